/*
 * Sequentially consistent atomics at addresses of the sentry's own mapping of guest memory. Precondition of all: address is
 * a multiple of 4 and is in a mapping that cannot raise SIGBUS (the memory file is sealed against shrinking). None blocks.
 */
#include "ks_usermem.h"

static uint32_t *word(uint64_t address)
{
    return (uint32_t *)(uintptr_t)address;
}

/* Return the word. */
uint32_t ks_usermem_load(uint64_t address)
{
    return __atomic_load_n(word(address), __ATOMIC_SEQ_CST);
}

/* Set the word. */
void ks_usermem_store(uint64_t address, uint32_t value)
{
    __atomic_store_n(word(address), value, __ATOMIC_SEQ_CST);
}

/* Set the word; return what it was. */
uint32_t ks_usermem_swap(uint64_t address, uint32_t value)
{
    return __atomic_exchange_n(word(address), value, __ATOMIC_SEQ_CST);
}

/* Add to the word modulo 2^32; return what it was. */
uint32_t ks_usermem_add(uint64_t address, uint32_t value)
{
    return __atomic_fetch_add(word(address), value, __ATOMIC_SEQ_CST);
}

/* Set the word to value if it is old; return what it was. */
uint32_t ks_usermem_cas(uint64_t address, uint32_t old, uint32_t value)
{
    __atomic_compare_exchange_n(word(address), &old, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return old;
}
