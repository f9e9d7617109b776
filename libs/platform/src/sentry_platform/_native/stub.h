#ifndef KS_STUB_H
#define KS_STUB_H
extern const char ks_stub_start[], ks_stub_park[], ks_stub_parked[], ks_stub_walked[], ks_stub_end[];
#endif
