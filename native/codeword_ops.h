/* Kernels around the code: filling rows, combining rows, and the tables of the recursive opening. */
#ifndef ZKDS_CODEWORD_OPS_H
#define ZKDS_CODEWORD_OPS_H
#include "runtime.h"

#define COMBINE_ROWS 1024 /* rows between two reductions */

struct codeword_ops {
    /* x[v] = re[8 v ..] + i im[8 v ..], blocked, for whole vectors of uint32. */
    void (*pack)(uint64_t *x, const uint32_t *re, const uint32_t *im, size_t vectors);
    /* x[v] += sum_i weight_i cells[i stride + 8 v ..], i < rows <= COMBINE_ROWS. Weights in limbs of 21 bits: limbs[6 i ..] are
     * three of the real part and three of the imaginary part. */
    void (*combine)(uint64_t *x, const uint32_t *cells, size_t stride, size_t rows, const uint64_t *limbs, size_t vectors);
    /* x[v] += weight row[v]. */
    void (*add_multiple)(uint64_t *x, const uint64_t *row, const uint64_t *weight, size_t vectors);
    /* sums of x_low y_low and of (x_high - x_low)(y_high - y_low), two pairs. */
    void (*half_products)(const uint64_t *x_low, const uint64_t *x_high, const uint64_t *y_low, const uint64_t *y_high, size_t vectors,
                          uint64_t *sums);
    /* low[v] += r (high[v] - low[v]). */
    void (*bind_half)(uint64_t *low, const uint64_t *high, const uint64_t *r, size_t vectors);
};
ZKDS_DECLARE_OPS(codeword);
#endif
