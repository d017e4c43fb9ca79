/* The kernels of the NTT family, one table per instruction set, and the tables of roots that they read. */
#ifndef ZKDS_NTT_OPS_H
#define ZKDS_NTT_OPS_H
#include "runtime.h"

/* Evaluation at roots of unity as a walk down the tree of x^m - c, which splits into x^(m/2) - s and x^(m/2) + s,
 * s^2 = c. Number the nodes of one depth from left (+s) to right; the node t of depth d under x^n - 1 has
 * c = e(frac(t)), where e(f) is the f-th power of the primitive root (f a fraction of a turn) and
 * frac(t) = sum_b t_b / 2^(b+1) is t's bits mirrored at the point. It doesn't depend on d, so one table serves all sizes.
 * The odd powers of a root of order 2n, the zeros of x^n + 1, are the right half of the tree of x^(2n) - 1: a coset
 * transform of n points begins at node 1 instead of node 0, and its node t of depth d is the entry 2^d + t.
 *
 * A table for `log_size` serves coset transforms up to 2^log_size points and plain ones up to twice that.
 *   roots  2^(log_size - 3) pairs   s = e(frac(t) / 2)
 *   cubes  2^(log_size - 4) pairs   b^3, where b = e(frac(t) / 4) = roots[2 t] and b^2 = roots[t]
 *   last   7 blocked vectors for each eight nodes of 8 points, up to t = 2^(log_size - 2): powers 1 to 7 of e(frac(t) / 8)
 */
struct ntt_tables {
    const uint64_t *roots, *cubes, *last;
};

#define NTT_MIN_LOG 6    /* smallest block of the vector kernels, 2^6 points */
#define NTT_BLOCK_LOG 11 /* blocks of 2^11 points (32 KiB) are finished level by level; an odd number */

struct ntt_ops {
    /* Replace the coefficients modulo x^(2^log_size) - c(node) by the values at its zeros, in the tree's order. */
    void (*transform)(uint64_t *x, int log_size, size_t node, const struct ntt_tables *tables);
    /* Its first 2 or 3 levels, from whole coefficients re[j] + i im[j] of 32 bits: nodes of 2^(log_size - levels) points, at
     * least 2^NTT_BLOCK_LOG. Weak representatives. */
    void (*cells)(uint64_t *x, const uint32_t *re, const uint32_t *im, int log_size, int levels, size_t node,
                  const struct ntt_tables *tables);
    /* Its two parts: down to nodes of 2^stop points (stop >= NTT_BLOCK_LOG, odd, or no smaller than log_size), and from there
     * on. Weak representatives in between. */
    void (*descend)(uint64_t *x, int log_size, int stop, size_t node, const struct ntt_tables *tables);
    void (*finish)(uint64_t *x, int log_size, size_t node, const struct ntt_tables *tables);
};
ZKDS_DECLARE_OPS(ntt);
#endif
