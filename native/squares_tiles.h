/* Polynomials with tiles of bytes (AMX). Of sums of squares: sum_x p_m[x] p_n[x] for all m, n is a product of a matrix and its
 * transpose. Coefficients are cut in two bytes, p = p_0 + 2^8 p_1, both from -128 to 127. Of sums of products of digits:
 * out[m] = sum_j sum_r left_r[m - j] right_r[j] is, for each j, a product of matrices, whose rows m are those of `left` moved. */
#ifndef ZKDS_SQUARES_TILES_H
#define ZKDS_SQUARES_TILES_H
#include "squares_ops.h"
#include "tiles.h"

#define TILES_HALF ((2 * SQUARES_TERMS + TILE_SIDE - 1) / TILE_SIDE) /* tiles that hold the coefficients' low bytes, at most */
#define TILES_BLOCKS 8                                              /* blocks of SQUARES_LANES entries that are summed at once */
#define TILES_LARGEST 32639                                         /* 127 2^8 + 127 */

/* Blocks of entries: the low bytes, by tiles of 16 coefficients, then the high ones. Rows of `left` are coefficients, those of
 * `right` entries, four to a column. */
struct squares_tiles {
    int8_t left[2 * TILES_HALF][TILES_BLOCKS][TILE_SIDE][64] __attribute__((aligned(64)));
    int32_t right[2 * TILES_HALF][TILES_BLOCKS][TILE_SIDE][TILE_SIDE] __attribute__((aligned(64)));
    size_t blocks;
};

/* The number of rows of a product, a multiple of TILE_SIDE: those from `count` on must be 0. */
static inline size_t squares_tiles_rows(size_t count) { return (count + TILE_SIDE - 1) / TILE_SIDE * TILE_SIDE; }
/* Adds a block to the others, fewer than TILES_BLOCKS: p as of squares_ops (avx512), |p| <= TILES_LARGEST. */
void squares_tiles_add(struct squares_tiles *tiles, const int32_t *p, size_t count);
/* Adds the coefficients of the sum of the squares over all blocks, of which there are none left then: 2 count - 1.
 * 32-bit sums hold it: 2^14 for each of 512 entries and 2 SQUARES_TERMS coefficients are 2^30.6. */
void squares_tiles_sum(struct squares_tiles *tiles, size_t count, int64_t *to);

#define TILES_RANK 24 /* polynomials that are added up, at least: fewer are added one by one */

/* They are cut in chunks of so many bytes, a multiple of 4 of 64 at most, the last ones of which are 0. */
static inline size_t squares_tiles_chunks(size_t rank) { return (rank + 63) / 64; }
static inline size_t squares_tiles_width(size_t rank) {
    return (rank + 4 * squares_tiles_chunks(rank) - 1) / (4 * squares_tiles_chunks(rank)) * 4;
}
static inline size_t squares_tiles_pitch(size_t rank) { return squares_tiles_chunks(rank) * squares_tiles_width(rank); }
/* `right` is (digits, chunks, 4, width / 4, 16, 4): from one group of 16 entries to the next. */
static inline size_t squares_tiles_next(size_t rank) { return squares_tiles_width(rank) * TILE_SIDE; }
/* Where digit j of polynomial r is at the first entry; at the next one of a group it is 4 bytes further. */
static inline size_t squares_tiles_place(size_t rank, size_t r, size_t j) {
    const size_t width = squares_tiles_width(rank), chunk = j * squares_tiles_chunks(rank) + r / width;
    return chunk * 4 * squares_tiles_next(rank) + r % width / 4 * 64 + r % 4;
}
/* out[i + j][x] += sign sum_r left_ri right_rj[x] of digits of one byte, for SQUARES_LANES entries, modulo 2^16; sign 1 or -1.
 * left: (left_digits, pitch), within TILES_ROWS(right_digits) rows of zeros before and behind. */
#define TILES_ROWS(right_digits) ((right_digits) + 2 * TILE_SIDE)
void squares_tiles_multiply(const int8_t *left, size_t left_digits, const int8_t *right, size_t right_digits, size_t rank,
                            int sign, int16_t (*out)[SQUARES_LANES]);
#endif
