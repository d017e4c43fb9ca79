/* The kernels of the wide squares, one table per instruction set. */
#ifndef ZKDS_WIDE_SQUARES_OPS_H
#define ZKDS_WIDE_SQUARES_OPS_H
#include "runtime.h"

#define WIDE_LIMB_BITS 52
#define WIDE_LIMBS 8         /* of a square */
#define WIDE_FACTOR_BITS 103 /* of w and of g, at most: two limbs, and one more bit for the sign */
#define WIDE_RANK 1024       /* sums of so many limbs fit 64 bits */
#define WIDE_BIAS (1ULL << 51)

__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

/* sum_r left[r * pitch] (right[r * columns + x] - WIDE_BIAS) */
struct wide_sum {
    const int64_t *left;
    size_t pitch, rank, columns;
    const uint64_t *right;
};

struct wide_squares_ops {
    /* sum_k limbs[k] 2^(52 k) += sum over x < count of ((2^shift start[x] - moved)^2 gradient^2); returns how many entries it has
     * done: none without instructions for it, else those of whole vectors. */
    size_t (*row)(const int64_t *start, int shift, const struct wide_sum *moved, const struct wide_sum *gradient, size_t count,
                  uint128 *limbs);
};
ZKDS_DECLARE_OPS(wide_squares);
#endif
