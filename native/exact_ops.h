/* The kernels of the exact family, one table per instruction set. Shared by all: tiles of packed rows times packed columns. */
#ifndef ZKDS_EXACT_OPS_H
#define ZKDS_EXACT_OPS_H
#include "runtime.h"

#define EXACT_TERMS 256      /* of a chunk of every sum */
#define EXACT_PANEL 16       /* columns of a panel, the width of a tile: two vectors, in the last panel perhaps one */
#define EXACT_WIDE_BITS 51   /* a wide entry v is packed as v + 2^51 */
#define EXACT_QUOTIENT (1ULL << EXACT_WIDE_BITS)

/* Columns of a panel that lie side by side in memory as well. */
struct exact_run {
    size_t lane;
    size_t length; /* 1 to 8, within one vector */
    int64_t offset;
};

/* The tiles' shape: rows of a full one. */
struct exact_shape {
    int wide_rows, digit_rows;
};

struct exact_ops {
    const struct exact_shape *shape;
    /* out[k * width + lane] = values[offsets[k] + column of lane] + bias for k < terms, sums[lane] = their sum; lanes of no run
     * are left alone. Returns the OR of all values + limit, which shows a value outside -limit .. limit - 1 in its high bits. */
    uint64_t (*pack)(const int64_t *values, const int64_t *offsets, size_t terms, const struct exact_run *runs, size_t run_count,
                     size_t width, uint64_t bias, uint64_t limit, uint64_t *out, uint64_t *sums);
    /* quotient 2^51 + remainder += left @ right of the numbers that were packed with bias 2^51, at most EXACT_TERMS of them;
     * left is packed `stride` wide; left_sums, right_sums: the sums of its lanes. `vectors` is 1 or 2, and right is packed so
     * wide. Every quotient and remainder is `pitch` entries from that of the row before. */
    void (*wide)(const uint64_t *left, const uint64_t *left_sums, int rows, const uint64_t *right, const uint64_t *right_sums,
                 int vectors, size_t terms, int64_t *quotient, uint64_t *remainder, size_t pitch);
    /* sums += left @ right of numbers packed without bias, below 2^31. */
    void (*digits)(const uint64_t *left, int rows, const uint64_t *right, int vectors, size_t terms, uint64_t *sums,
                   size_t pitch);
};
ZKDS_DECLARE_OPS(exact);
#endif
