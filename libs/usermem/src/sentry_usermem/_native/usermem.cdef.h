uint32_t ks_usermem_load(uint64_t address);
void ks_usermem_store(uint64_t address, uint32_t value);
uint32_t ks_usermem_swap(uint64_t address, uint32_t value);
uint32_t ks_usermem_add(uint64_t address, uint32_t value);
uint32_t ks_usermem_cas(uint64_t address, uint32_t old, uint32_t value);
