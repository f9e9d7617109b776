# The code of the vDSO. `_vdso.py` holds the bytes that it assembles to; a test assembles it again and compares.
#
# It lies at the start of its page's code part; the page before the image is the parameter page ("[vvar]"):
#    0  u32  sequence: odd while the kernel writes
#    4  u32  ready: 0 sends every call to the kernel
#    8  u64  base_tsc: cycle counter when the bases were taken
#   16  u64  mult: nanoseconds per cycle, 32.32 fixed point
#   24  u64  base of CLOCK_REALTIME, ns
#   32  u64  base of CLOCK_MONOTONIC, ns
# time = base + (tsc - base_tsc) * mult >> 32; a counter behind base_tsc counts as standing at it.
	.text
	.set vvar, code - CODE_OFFSET - 4096
code:
# int clock_gettime(clockid_t clock, struct timespec *ts): 0 and 5 realtime, 1, 4, 6 and 7 monotonic
clock_gettime:
	cmp	$7, %edi
	ja	2f
	mov	$0xd2, %eax		# monotonic: 1, 4, 6, 7
	bt	%edi, %eax
	jc	1f
	mov	$0x21, %eax		# realtime: 0, 5
	bt	%edi, %eax
	jnc	2f
	mov	$24, %r10d
	jmp	0f
1:	mov	$32, %r10d
0:	call	now
	jc	2f
	mov	%rax, (%rsi)
	mov	%rdx, 8(%rsi)
	xor	%eax, %eax
	ret
2:	mov	$228, %eax
	syscall
	ret

# int gettimeofday(struct timeval *tv, struct timezone *tz)
gettimeofday:
	test	%rsi, %rsi
	jnz	2f
	test	%rdi, %rdi
	jz	2f
	mov	$24, %r10d
	call	now
	jc	2f
	mov	%rax, (%rdi)
	mov	%edx, %eax
	xor	%edx, %edx
	mov	$1000, %ecx
	div	%ecx
	mov	%rax, 8(%rdi)
	xor	%eax, %eax
	ret
2:	mov	$96, %eax
	syscall
	ret

# time_t time(time_t *t)
time:
	mov	$24, %r10d
	call	now
	jc	2f
	test	%rdi, %rdi
	jz	1f
	mov	%rax, (%rdi)
1:	ret
2:	mov	$201, %eax
	syscall
	ret

# int getcpu(unsigned *cpu, unsigned *node, void *unused)
getcpu:
	mov	$309, %eax
	syscall
	ret

# r10: offset of the base. Returns seconds in rax, nanoseconds in rdx, carry clear; carry set when not ready.
# Keeps rdi and rsi.
now:
	lea	vvar(%rip), %r8
1:	mov	(%r8), %r9d
	test	$1, %r9b
	jnz	3f
	cmpl	$0, 4(%r8)
	je	4f
	lfence
	rdtsc
	shl	$32, %rdx
	or	%rdx, %rax
	sub	8(%r8), %rax
	jnc	2f
	xor	%eax, %eax
2:	mulq	16(%r8)
	shrd	$32, %rdx, %rax
	add	(%r8,%r10), %rax
	cmp	(%r8), %r9d
	jne	1b
	xor	%edx, %edx
	mov	$1000000000, %ecx
	div	%rcx
	clc
	ret
3:	pause
	jmp	1b
4:	stc
	ret
code_end:
