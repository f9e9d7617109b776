// Exceptions of guest code: from a signal stop to a FAULT or TRAP event.
//
// The host does not report the vector, the page-fault error code and the kind of access: a tracer sees siginfo and registers. What is
// not in siginfo is worked out here, from the instruction where it matters, and nowhere else:
//
//   access      of a protection fault: a write, because the host maps no page that cannot be read. Otherwise as the instruction says;
//               a read when it is not known here. An access to the address of the instruction itself is taken for its fetch.
//   error code  from access and si_code. A page that the host has not mapped counts as not present.
//   vector      from signal, si_code, and the instruction where two exceptions give the same. int 4 is reported as a protection fault.
#include "core.h"
#include <sys/ptrace.h>

enum { DE = 0, DB = 1, BP = 3, BR = 5, UD = 6, GP = 13, PF = 14, MF = 16, AC = 17, XF = 19, CP = 21 };
enum { PF_PRESENT = 1, PF_WRITE = 2, PF_USER = 4, PF_INSTR = 16, PF_PK = 32 };
enum { SEGV_BOUNDS = 3, SEGV_PKU = 4, SEGV_CONTROL = 10 }; // SEGV_BNDERR, SEGV_PKUERR, SEGV_CPERR of newer headers
enum { MAX_INSN = 15 };

struct insn {
	uint8_t code[MAX_INSN + 16];
	int size, at;  // bytes that could be read; the next one to read
	int ran_out;   // the instruction continues where nothing can be read
	int map, pp;   // opcode map (1: 0f, 2: 0f 38, 3: 0f 3a); last prefix of 66, f3, f2 as 1, 2, 3
	int vex, evex; // encoded with a VEX (or EVEX) prefix
	uint8_t opcode;
};

// Read the instruction at ip, as far as it can be read.
static void fetch(int tid, uint64_t ip, struct insn *insn)
{
	uint64_t words[3];
	int skip = (int)(ip & 7), count = 0;
	while (count < 3 && ks_trace(PTRACE_PEEKTEXT, tid, (ip & ~7UL) + (uint64_t)count * 8, &words[count]) >= 0)
		count++;
	*insn = (struct insn){.size = count * 8 - skip};
	if (insn->size > MAX_INSN)
		insn->size = MAX_INSN;
	for (int i = 0; i < insn->size; i++)
		insn->code[i] = ((uint8_t *)words)[skip + i];
}

static uint8_t next(struct insn *insn)
{
	if (insn->at >= insn->size) {
		insn->ran_out = 1;
		return 0;
	}
	return insn->code[insn->at++];
}

// Read prefixes and opcode; `at` is left behind the opcode.
static void decode(struct insn *insn)
{
	uint8_t b;
	for (;;) {
		b = next(insn);
		if (b == 0x66 && !insn->pp)
			insn->pp = 1;
		else if (b == 0xf3)
			insn->pp = 2;
		else if (b == 0xf2)
			insn->pp = 3;
		else if (b != 0x66 && b != 0x67 && b != 0x2e && b != 0x36 && b != 0x3e && b != 0x26 && b != 0x64 && b != 0x65 && b != 0xf0)
			break;
	}
	if ((b & 0xf0) == 0x40) // REX
		b = next(insn);
	if (b == 0xc5) {
		insn->vex = insn->map = 1;
		insn->pp = next(insn) & 3;
		b = next(insn);
	} else if (b == 0xc4) {
		insn->vex = 1;
		insn->map = next(insn) & 0x1f;
		insn->pp = next(insn) & 3;
		b = next(insn);
	} else if (b == 0x62) {
		insn->vex = insn->evex = 1;
		insn->map = next(insn) & 7;
		insn->pp = next(insn) & 3;
		next(insn);
		b = next(insn);
	} else if (b == 0x0f) {
		insn->map = 1;
		b = next(insn);
		if (b == 0x38 || b == 0x3a) {
			insn->map = b == 0x38 ? 2 : 3;
			b = next(insn);
		}
	}
	insn->opcode = b;
}

// Whether an instruction may reach into the page that begins at addr.
static int straddles(const struct ks_regs *regs, uint64_t addr)
{
	return addr % KS_PAGE == 0 && addr - regs->rip - 1 < MAX_INSN - 1;
}

// Whether an access at addr may be one to the few bytes at base.
static int near(uint64_t addr, uint64_t base) { return addr - base < 64 || addr >> 12 == base >> 12; }

// Opcodes of one byte. mask: which values of the ModRM byte's middle field write to memory.
static int writes_legacy(struct insn *insn, const struct ks_regs *regs, uint64_t addr)
{
	uint8_t op = insn->opcode;
	if ((op >= 0x50 && op <= 0x57) || op == 0x68 || op == 0x6a || op == 0x9c || op == 0xe8 || op == 0xc8)
		return 1; // push, call, enter
	if (op == 0xa2 || op == 0xa3 || op == 0xaa || op == 0xab)
		return 1; // mov to an absolute address, stos
	if (op == 0xa4 || op == 0xa5)
		return near(addr, regs->rdi) && !near(addr, regs->rsi); // movs reads before it writes
	if (op < 0x38)
		return (op & 7) < 2; // add, or, adc, sbb, and, sub, xor to memory
	static const struct { uint8_t op, mask; } groups[] = {{0x80, 0x7f}, {0x81, 0x7f}, {0x83, 0x7f}, {0x86, 0xff}, {0x87, 0xff},
	    {0x88, 0xff}, {0x89, 0xff}, {0x8c, 0xff}, {0x8f, 0x01}, {0xc0, 0xff}, {0xc1, 0xff}, {0xc6, 0x01}, {0xc7, 0x01},
	    {0xd0, 0xff}, {0xd1, 0xff}, {0xd2, 0xff}, {0xd3, 0xff}, {0xd9, 0xcc}, {0xdb, 0x8e}, {0xdd, 0xce}, {0xdf, 0xce},
	    {0xf6, 0x0c}, {0xf7, 0x0c}, {0xfe, 0x03}, {0xff, 0x03}};
	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
		if (groups[i].op == op) {
			int field = next(insn) >> 3 & 7;
			if (op == 0xff && (field == 2 || field == 3 || field == 6)) // call, push: read the operand, write the stack
				return regs->rsp - addr <= 8;
			if (op == 0x8f && addr - regs->rsp < 8)
				return 0; // pop reads the stack first
			return groups[i].mask >> field & 1;
		}
	return 0;
}

// Opcodes behind 0f, in all three encodings.
static int writes_0f(struct insn *insn)
{
	switch (insn->opcode) {
	case 0x11: case 0x13: case 0x17: case 0x29: case 0x2b: case 0x7f: case 0xd6: case 0xe7: case 0xf7: // moves of vectors
		return 1;
	case 0x7e: // movd, movq to memory; with f3 from it
		return insn->pp != 2;
	case 0xae: { // fxsave, stmxcsr, xsave, xsaveopt
		int field = next(insn) >> 3 & 7;
		return insn->vex ? field == 3 : !insn->pp && 0x59 >> field & 1;
	}
	case 0x91: // kmov; else setcc
		return 1;
	}
	if (insn->vex)
		return 0;
	switch (insn->opcode) {
	case 0xa0: case 0xa8: // push fs, gs
	case 0xab: case 0xb3: case 0xbb: case 0xa4: case 0xa5: case 0xac: case 0xad: // bts, btr, btc, shld, shrd
	case 0xb0: case 0xb1: case 0xc0: case 0xc1: case 0xc3: // cmpxchg, xadd, movnti
		return 1;
	case 0xba:
		return 0xe0 >> (next(insn) >> 3 & 7) & 1; // bts, btr, btc with a number
	case 0xc7:
		return 0x32 >> (next(insn) >> 3 & 7) & 1; // cmpxchg8b, xsavec, xsaves
	}
	return (insn->opcode & 0xf0) == 0x90; // setcc
}

// Opcodes behind 0f 38 and 0f 3a, and those that only EVEX has.
static int writes_long(struct insn *insn)
{
	uint8_t op = insn->opcode;
	if (insn->map == 3)
		return (op >= 0x14 && op <= 0x17) || (insn->vex && (op == 0x19 || op == 0x39 || op == 0x1d)) ||
		    (insn->evex && (op == 0x1b || op == 0x3b)); // extracts, conversion to half precision
	if (insn->map == 5)
		return insn->evex && (op == 0x11 || op == 0x7e);
	if (insn->map != 2)
		return 0;
	if (insn->evex)
		return (insn->pp == 2 && op >= 0x10 && op <= 0x35 && (op & 15) <= 5) || op == 0x63 || op == 0x8a || op == 0x8b ||
		    (op >= 0xa0 && op <= 0xa3); // narrowing moves, compress, scatter
	if (insn->vex)
		return op == 0x2e || op == 0x2f || op == 0x8e || (op == 0x4b && insn->pp == 2); // masked moves, tile store
	return (op == 0xf1 && insn->pp != 3) || op == 0xf9; // movbe, movdiri
}

// What the instruction at ip does at addr. Where addr is the start of the next page, the fetch may have faulted: it has if opcode or
// ModRM byte are there, or if the page may be read and the instruction does not write. Else a read is the answer that refuses nothing.
static int accesses(int tid, const struct ks_regs *regs, uint64_t addr, int protection)
{
	struct insn insn;
	fetch(tid, regs->rip, &insn);
	decode(&insn);
	int writes = insn.map == 0 ? writes_legacy(&insn, regs, addr) : insn.map == 1 ? writes_0f(&insn) : writes_long(&insn);
	if (straddles(regs, addr)) {
		if (insn.ran_out || regs->rip + (uint64_t)insn.at > addr || (protection && !writes))
			return KS_EXEC;
		return protection ? KS_WRITE : KS_READ;
	}
	return writes && !insn.ran_out ? KS_WRITE : KS_READ;
}

// A memory fault that the address space may resolve.
static int page_fault(struct ks_event *e, int tid, const struct ks_regs *regs, const siginfo_t *info, int signo)
{
	uint64_t addr = (uint64_t)info->si_addr;
	int protection = signo == SIGSEGV && info->si_code == SEGV_ACCERR, code = info->si_code, access;
	if (addr == regs->rip)
		access = KS_EXEC;
	else if (!protection || straddles(regs, addr))
		access = accesses(tid, regs, addr, protection);
	else
		access = KS_WRITE;
	if (addr >= KS_STUB && addr < KS_TOP) { // for a guest nothing is mapped there
		protection = 0;
		code = SEGV_MAPERR;
	}
	// Linux reveals nothing of its own half: every access to it counts as one to a present page.
	int error = PF_USER | (protection || addr >= KS_TOP ? PF_PRESENT : 0);
	error |= access == KS_EXEC ? PF_INSTR : access == KS_WRITE ? PF_WRITE : 0;
	e->kind = KS_FAULT;
	e->args[0] = e->args[4] = addr;
	e->args[1] = (uint64_t)code;
	e->args[2] = PF;
	e->args[3] = (uint64_t)error;
	e->args[5] = (uint64_t)access;
	return KS_FAULT;
}

// Vector and error code of an exception that no change of the address space can resolve.
static void vector_of(int tid, const struct ks_regs *regs, const siginfo_t *info, int signo, int *vector, int *error)
{
	int code = info->si_code;
	*error = 0;
	if (signo == SIGILL || signo == SIGBUS) {
		*vector = signo == SIGILL ? UD : AC;
	} else if (signo == SIGTRAP) {
		*vector = code == SI_KERNEL ? BP : DB;
	} else if (signo == SIGFPE && code == FPE_INTDIV) {
		*vector = DE;
	} else if (signo == SIGFPE) { // the x87's exceptions come with its next instruction
		struct insn insn;
		fetch(tid, regs->rip, &insn);
		decode(&insn);
		*vector = !insn.map && ((insn.opcode & 0xf8) == 0xd8 || insn.opcode == 0x9b) ? MF : XF;
	} else if (code == SEGV_PKU) {
		*vector = PF;
		*error = PF_PRESENT | PF_USER | PF_PK;
		*error |= accesses(tid, regs, (uint64_t)info->si_addr, 0) == KS_WRITE ? PF_WRITE : 0;
	} else if (code == SEGV_BOUNDS || code == SEGV_CONTROL) {
		*vector = code == SEGV_BOUNDS ? BR : CP;
	} else {
		struct insn insn;
		fetch(tid, regs->rip, &insn);
		*vector = GP;
		if (insn.size >= 2 && insn.code[0] == 0xcd) // int n, whose gate is not for user code
			*error = insn.code[1] * 8 + 2;
	}
}

// Fill in the event of a stop by a signal that the CPU caused. Returns its kind, or -errno.
int ks_exception(struct ks_event *e, int tid, int signo, const siginfo_t *info)
{
	struct ks_regs regs;
	long r = ks_trace(PTRACE_GETREGS, tid, 0, &regs);
	if (r < 0)
		return (int)r;
	int code = info->si_code;
	e->nr = signo;
	e->ip = regs.rip;
	if ((signo == SIGSEGV && (code == SEGV_MAPERR || code == SEGV_ACCERR)) || (signo == SIGBUS && code != BUS_ADRALN))
		return page_fault(e, tid, &regs, info, signo);
	int vector, error;
	vector_of(tid, &regs, info, signo, &vector, &error);
	e->kind = KS_TRAP;
	e->args[0] = (uint64_t)info->si_addr;
	e->args[1] = (uint64_t)code;
	e->args[2] = (uint64_t)vector;
	e->args[3] = (uint64_t)error;
	e->args[4] = vector == PF ? e->args[0] : 0;
	return KS_TRAP;
}
