/* The instruction that Python has no door to. */
#ifndef KS_CPUID_H
#define KS_CPUID_H
#include <stdint.h>
#include "cpuid.cdef.h"
#endif
