/* The tables behind a pointer from Python. */
#ifndef ZKDS_NTT_H
#define ZKDS_NTT_H
#include "ntt_ops.h"
struct ntt_tables zkds_ntt_view(const uint64_t *tables, int log_size);
#endif
