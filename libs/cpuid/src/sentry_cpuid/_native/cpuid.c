/* CPUID. See ks_cpuid.h. */
#include "ks_cpuid.h"

/*
 * Execute CPUID on the processor that runs this thread. Pre: registers holds four words. Post: they hold EAX, EBX, ECX, EDX.
 * In a virtual machine each call leaves the guest: some microseconds.
 */
void ks_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t *registers) {
    __asm__ volatile("cpuid"
                     : "=a"(registers[0]), "=b"(registers[1]), "=c"(registers[2]), "=d"(registers[3])
                     : "0"(leaf), "2"(subleaf));
}
