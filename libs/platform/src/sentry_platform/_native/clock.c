// The cycle counter against the host's clocks, for the guests' vDSO.
#include "ks_tracees.h"
#include <time.h>

static inline uint64_t counter(void)
{
	uint32_t low, high;
	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
	return (uint64_t)high << 32 | low;
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

// Take the narrowest of eight samples: out[0] counter, out[1] CLOCK_MONOTONIC at that moment, out[2] CLOCK_REALTIME minus
// CLOCK_MONOTONIC, out[3] width of the sample in cycles; the moment is the middle of the two readings around the clock's.
void ks_clock_sample(int64_t *out)
{
	out[3] = INT64_MAX;
	for (int i = 0; i < 8; i++) {
		uint64_t before = counter();
		int64_t monotonic = clock_ns(CLOCK_MONOTONIC);
		uint64_t after = counter();
		int64_t again = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
		if ((int64_t)(after - before) < out[3]) {
			out[0] = (int64_t)(before + (after - before) / 2);
			out[1] = monotonic;
			out[2] = again;
			out[3] = (int64_t)(after - before);
		}
	}
}
