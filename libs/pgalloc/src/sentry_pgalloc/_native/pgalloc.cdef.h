int ks_pgalloc_map(int fd, uint64_t length, uint64_t *base);
int ks_pgalloc_unmap(uint64_t base, uint64_t length);
int ks_pgalloc_punch(int fd, uint64_t offset, uint64_t length);
uint64_t ks_pgalloc_zero_pages(uint64_t address, uint64_t count);
uint64_t ks_pgalloc_data_pages(uint64_t address, uint64_t count);
