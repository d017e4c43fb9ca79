/* The kernels of the entrywise family, one table per instruction set: runs of neighbouring entries. */
#ifndef ZKDS_ENTRYWISE_OPS_H
#define ZKDS_ENTRYWISE_OPS_H
#include "runtime.h"

struct entrywise_ops {
    /* sums[i] += scale cells[i] */
    void (*add_cells)(int64_t *sums, const uint32_t *cells, int64_t scale, size_t count);
    /* sums[i] += factor left[i] right[i]; a factor that is NULL is 1. */
    void (*add_products)(int64_t *sums, int64_t factor, const int64_t *left, const int64_t *right, size_t count);
    /* sums[i] = floor(sums[i] / 2^bits); 1 if anything was cut off. */
    int (*shift)(int64_t *sums, int bits, size_t count);
};
ZKDS_DECLARE_OPS(entrywise);
#endif
