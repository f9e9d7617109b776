/* Host calls of the memory file that Python has no door to: a huge sparse mapping, hole punching, the zero scan. */
#ifndef KS_PGALLOC_H
#define KS_PGALLOC_H
#include <stdint.h>
#include "pgalloc.cdef.h"
#endif
