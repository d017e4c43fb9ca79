/* The kernels of the multilinear family, one table per instruction set. */
#ifndef ZKDS_MULTILINEAR_OPS_H
#define ZKDS_MULTILINEAR_OPS_H
#include "runtime.h"
#include "api/multilinear.h"

/* A table is cut in chunks of 2^EQ_LOW elements: eq(point, x) = low[x mod 2^EQ_LOW] high[x div 2^EQ_LOW], and `low` stays
 * in the L1 cache. */
#define EQ_LOW 10
#define EQ_CHUNK ((size_t)1 << EQ_LOW)

struct multilinear_ops {
    /* sum[16] (eight lanes) += sum over chunks from..to-1 of high[chunk] * <low, chunk>; high as (re, im) pairs */
    void (*evaluate)(const void *table, int kind, size_t length, const uint64_t *low, const uint64_t *high, size_t from,
                     size_t to, uint64_t *sum);
};
ZKDS_DECLARE_OPS(multilinear);
#endif
