/* The kernels of the cells family, one table per instruction set. A chunk is 8 * 2^streamed cells. */
#ifndef ZKDS_CELLS_OPS_H
#define ZKDS_CELLS_OPS_H
#include "runtime.h"

#define CELLS_MAX_STREAMED 6
#define CELLS_SEGMENT_BITS 15 /* a segment: at most 2^15 cells of one piece, 128 KiB of the vector */
#define CELLS_MAX_CHUNKS 4096 /* of a segment, with streamed = 0 */
struct cells_ops {
    /* eq weights: out[y] = scale * eq(point, y), real and imaginary parts apart, 2^bits entries, zero-filled to 8. */
    void (*expand)(const uint64_t *point, int bits, const uint64_t *scale, uint64_t *re, uint64_t *im);
    /* form[i][j] += sum over chunks y and lanes of weight[y] lanes[lane] V[y][i][lane] low[j]; at most 2048 chunks. The form has
     * 2^streamed rows of max(1, 2^streamed / 8) blocked vectors, weak; low is blocked, zero-filled. */
    void (*correlate)(const uint32_t *chunks, size_t count, int streamed, const uint64_t *re, const uint64_t *im,
                      const uint64_t *lanes, const uint64_t *low, uint64_t *form);
    /* table[y] = sum_i eq[i] V[y][i]; eq: 2^streamed entries, real and imaginary parts apart, zero-filled to 8. */
    void (*fold)(const uint32_t *chunks, size_t count, int streamed, const uint64_t *re, const uint64_t *im, uint64_t *table);
    /* table[y] += weight[y] lanes. */
    void (*add_weights)(uint64_t *table, size_t count, const uint64_t *re, const uint64_t *im, const uint64_t *lanes);
};
ZKDS_DECLARE_OPS(cells);
#endif
