// The tracees of a platform: stub processes, their contexts, and the events that come from them.
//
// One core serves one sandbox and belongs to the thread that booted it (ptrace ties tracees to a thread). Conventions: functions
// return 0 or a count, or -errno; results go to the last pointer; contexts are small integers; no function here is re-entrant.
#ifndef KS_TRACEES_H
#define KS_TRACEES_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

// The platforms' own pages, above the guest's TASK_SIZE; constants of the image format.
#define KS_STUB 0x7fffffff0000UL
#define KS_BATCH 0x7fffffff1000UL
#define KS_TOP 0x7ffffffff000UL
#define KS_PAGE 4096UL

#define KS_PARK_NR 0x1000 // number of the stub's own call: no Linux call has it
#define KS_BATCH_MAX 63   // calls that fit in a batch page

enum { KS_SYSCALL = 1, KS_FAULT, KS_TRAP, KS_INTERRUPTED, KS_GONE, KS_WAKE, KS_TIMEOUT, KS_FD, KS_FOREIGN };

// What a FAULT was about to do.
enum { KS_READ = 1, KS_WRITE = 2, KS_EXEC = 4 };

// What a context may be doing; a notification or stop that is not legal in its state kills it.
enum { KS_FREE = 0, KS_RUNNING, KS_NOTIFIED, KS_STOPPED, KS_DYING };

#include "calls.cdef.h"

#endif
