/* The kernels of the squares family, one table per instruction set: SQUARES_LANES entries at a time, a row for each coefficient. */
#ifndef ZKDS_SQUARES_OPS_H
#define ZKDS_SQUARES_OPS_H
#include "runtime.h"

#define SQUARES_LANES 64
#define SQUARES_TERMS 96 /* of a factor, at most */
#define SQUARES_PRODUCT (2 * SQUARES_TERMS + 8) /* rows of a product; it is kept vector by vector, aligned to 64 bytes */
#define SQUARES_PARTS 9  /* squares by which a polynomial in four parts is squared */
#define SQUARES_ROWS 50  /* coefficients of a part, at most: a multiple of a tile's */

/* Sums of squares of the parts, coefficient by coefficient, lane by lane. */
typedef double squares_sums[SQUARES_PARTS][2 * SQUARES_ROWS][8];

/* Polynomials with coefficients -1, 0 and 1, coefficient by coefficient: which of them have a 1 there, and then which a -1. */
struct squares_signs {
    uint32_t *which;
    size_t *plus, *all; /* of coefficient i; `which` has those of coefficient 0 first */
};

struct squares_ops {
    const int *width; /* doubles of a vector; one of a product has 2 width: its row m is at (v SQUARES_PRODUCT + m) 2 width */
    /* out[i + j][x] += factor_i * in[j * SQUARES_LANES + x] for x < SQUARES_LANES, modulo 2^16 */
    void (*multiply_add)(const int16_t *factors, size_t factor_count, const int16_t *in, size_t in_count,
                         int16_t (*out)[SQUARES_LANES]);
    /* out[i + j][x] += sum over the polynomials r of sign_ri * in[(r * in_count + j) * SQUARES_LANES + x], modulo 2^16; in: -1, 0
     * and 1; scratch: sign_count + in_count - 1 rows of zeros, and zero again at the end. */
    void (*add_signed)(const struct squares_signs *signs, size_t sign_count, const int8_t *in, size_t in_count,
                       int8_t (*scratch)[SQUARES_LANES], int16_t (*out)[SQUARES_LANES]);
    /* The product of two polynomials, below 2^31; returns the largest absolute value. out: SQUARES_LANES * SQUARES_PRODUCT. */
    int32_t (*product)(const int16_t (*left)[SQUARES_LANES], size_t left_count, const int16_t (*right)[SQUARES_LANES],
                       size_t right_count, int32_t *out);
    /* With p = p_0 + X^h p_1 + X^2h p_2 + X^3h p_3, h = part, adds the squares of p_0, p_1, p_0 + p_1, p_2, p_3, p_2 + p_3,
     * p_0 + p_2, p_1 + p_3 and the sum of all four, of SQUARES_LANES entries, to the sums. Nothing may reach 2^53. */
    void (*squares)(const int32_t *p, size_t count, size_t part, squares_sums sums);
};
ZKDS_DECLARE_OPS(squares);
#endif
