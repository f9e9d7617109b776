// The stub: the one read-only page of code that the sentry puts into every guest address space.
//
// park    makes a call that does not exist in Linux and waits for the sentry's answer: below zero means that the sentry has
//         gone, and the stub ends itself; otherwise the batch page has that many host calls.
// walk    makes them one after the other, and parks again with how many were made (rdi) and what the last one
//         returned (rsi); it ends early at one that failed. It keeps everything in registers: the batch page is read-only, and
//         guest threads of the same space cannot disturb it.
//
// A guest thread that jumps here makes ordinary calls, which the sentry treats as the guest's own: it lets a call through
// only for a helper, at the one place below, with every argument as the sentry set it.
#include "stub.h"

__asm__(".pushsection .rodata\n"
        ".globl ks_stub_start, ks_stub_park, ks_stub_parked, ks_stub_walked, ks_stub_end\n"
        "ks_stub_start:\n"
        "	xor %edi, %edi\n"
        "	xor %esi, %esi\n"
        "1:\n"
        "ks_stub_park:\n"
        "	mov $0x1000, %eax\n" // KS_PARK_NR; a breakpoint where the trap is sysemu
        "	syscall\n"
        "ks_stub_parked:\n"
        "	test %rax, %rax\n"
        "	js 4f\n"
        "	mov %rax, %r12\n"
        "	xor %ebp, %ebp\n"
        "	movabs $0x7fffffff1000, %rbx\n" // KS_BATCH
        "	xor %eax, %eax\n"
        "2:	cmp %r12, %rbp\n"
        "	jae 3f\n"
        "	mov (%rbx), %rax\n"
        "	mov 8(%rbx), %rdi\n"
        "	mov 16(%rbx), %rsi\n"
        "	mov 24(%rbx), %rdx\n"
        "	mov 32(%rbx), %r10\n"
        "	mov 40(%rbx), %r8\n"
        "	mov 48(%rbx), %r9\n"
        "	syscall\n"
        "ks_stub_walked:\n"
        "	cmp $-4096, %rax\n"
        "	ja 3f\n"
        "	inc %rbp\n"
        "	add $64, %rbx\n"
        "	jmp 2b\n"
        "3:	mov %rbp, %rdi\n"
        "	mov %rax, %rsi\n"
        "	jmp 1b\n"
        "4:	hlt\n"
        "	jmp 4b\n"
        "ks_stub_end:\n"
        ".popsection\n");
