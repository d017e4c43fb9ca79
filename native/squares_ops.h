/* The kernels of the squares family, one table per instruction set: SQUARES_LANES entries at a time, a row for each coefficient. */
#ifndef ZKDS_SQUARES_OPS_H
#define ZKDS_SQUARES_OPS_H
#include "runtime.h"

#define SQUARES_LANES 64

struct squares_ops {
    /* out[i + j][x] += factor_i * in[j * pitch + x] for x < SQUARES_LANES, modulo 2^16 */
    void (*multiply_add)(const int16_t *factors, size_t factor_count, const int16_t *in, size_t in_count, size_t pitch,
                         int16_t (*out)[SQUARES_LANES]);
    /* The product of two polynomials, below 2^53; returns the largest absolute value. */
    double (*product)(const int16_t (*left)[SQUARES_LANES], size_t left_count, const int16_t (*right)[SQUARES_LANES],
                      size_t right_count, double (*out)[SQUARES_LANES]);
    /* sums[i + j] += sum_x p[i][x] p[j][x]. `narrow`: all sums of lanes are below 2^53. */
    void (*squares)(const double (*p)[SQUARES_LANES], size_t count, int narrow, int64_t *sums);
};
ZKDS_DECLARE_OPS(squares);
#endif
