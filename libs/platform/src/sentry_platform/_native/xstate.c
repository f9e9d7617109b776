// The extended state's one form: a standard-format (not compacted) XSAVE area with the components that guests have, at this CPU's
// offsets, and as long as they reach. Bytes 464 to 472 name those components, as the host's own signal frames do.
#include "core.h"
#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#define COMPONENTS 0x2e7UL // x87, SSE, AVX, AVX-512 (three), PKRU; no AMX
#define SOFTWARE 464	   // offset of the bytes that the CPU leaves to software
#define HEADER 512
#define LEGACY_END 576

static void measure(struct ks_core *core)
{
	if (core->xsave_size)
		return;
	uint32_t low, high, a, b, c, d;
	__asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	core->xsave_components = low & COMPONENTS;
	size_t size = LEGACY_END;
	for (unsigned i = 2; i < 10; i++)
		if (core->xsave_components >> i & 1) {
			__cpuid_count(0xd, i, a, b, c, d);
			if (a + b > size)
				size = a + b;
		}
	core->xsave_size = size;
}

// Size in bytes of the area of a thread's extended state.
size_t ks_xstate_size(struct ks_core *core)
{
	measure(core);
	return core->xsave_size;
}

// Read the host's area of a stopped context, of whatever size the host has. Returns 0 or -errno.
static int host_area(struct ks_core *core, struct context *c, void *area)
{
	struct iovec iov = {area, KS_XSTATE_MAX};
	long r = ks_trace(PTRACE_GETREGSET, c->tid, NT_X86_XSTATE, &iov);
	if (r >= 0)
		core->host_xsave_size = iov.iov_len;
	return (int)r;
}

// The extended state of a stopped context; area has ks_xstate_size bytes. Returns 0 or -errno.
int ks_get_xstate(struct ks_core *core, int context, void *area)
{
	struct context *c = ks_context_at(core, context);
	if (!c || c->state != KS_STOPPED)
		return -EINVAL;
	measure(core);
	uint64_t host[KS_XSTATE_MAX / 8];
	int r = host_area(core, c, host);
	if (r < 0)
		return r;
	memset((char *)host + SOFTWARE, 0, HEADER - SOFTWARE);
	host[SOFTWARE / 8] = core->xsave_components;
	host[HEADER / 8] &= core->xsave_components;
	memcpy(area, host, core->xsave_size);
	return 0;
}

// Write the whole extended state of a stopped context. Returns 0 or -errno (-EINVAL: not an area of this form).
int ks_set_xstate(struct ks_core *core, int context, const void *area, size_t size)
{
	struct context *c = ks_context_at(core, context);
	if (!c || c->state != KS_STOPPED)
		return -EINVAL;
	measure(core);
	uint64_t host[KS_XSTATE_MAX / 8] = {0};
	int r = core->host_xsave_size ? 0 : host_area(core, c, host);
	if (r < 0)
		return r;
	if (size != core->xsave_size)
		return -EINVAL;
	memset(host, 0, sizeof host);
	memcpy(host, area, size);
	memset((char *)host + SOFTWARE, 0, HEADER - SOFTWARE);
	if (host[HEADER / 8] & ~core->xsave_components)
		return -EINVAL;
	struct iovec iov = {host, core->host_xsave_size};
	r = (int)ks_trace(PTRACE_SETREGSET, c->tid, NT_X86_XSTATE, &iov);
	if (r >= 0)
		c->fresh &= (uint8_t)~2;
	return r;
}
