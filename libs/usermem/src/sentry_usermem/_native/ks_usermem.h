/* Atomics on 32-bit words that guest threads use at the same time. */
#ifndef KS_USERMEM_H
#define KS_USERMEM_H
#include <stdint.h>
#include "usermem.cdef.h"
#endif
