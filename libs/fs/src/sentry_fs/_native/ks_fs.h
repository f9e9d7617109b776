/* Host files, one call each: look, check, open. See fs.c. */
#ifndef KS_FS_H
#define KS_FS_H
#include <stddef.h>

enum { KS_FILE, KS_DIRECTORY, KS_WRITABLE, KS_PLACE };

#include "fs.cdef.h"

#endif
