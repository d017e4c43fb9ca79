/* Exact products of integer matrices with tiles of bytes (AMX): the same results as the tiles of exact_ops.h.
 *
 * An entry of w bits, with its sign, is sum_p 2^(8 p) byte_p: unsigned bytes, but for the last one of a signed entry. A plane is
 * one byte of all entries of a factor. Products of planes are summed in 32 bits, those of one digit and one power of 2^8 together,
 * over EXACT_TILE_TERMS terms; then they are added up in 64 bits. */
#ifndef ZKDS_EXACT_TILES_H
#define ZKDS_EXACT_TILES_H
#include "tiles.h"
#include "api/exact.h"

#define EXACT_TILE_PLANES 64                   /* of a factor, at most: the digits' bytes */
#define EXACT_TILE_TERMS (8 * TILE_TERMS)      /* of a chunk: 255^2 times 64 times 512 is below 2^31 */
#define EXACT_WORD_BYTES 3                     /* digits of wide entries are words of so many bytes */
#define EXACT_WORD_BITS (8 * EXACT_WORD_BYTES)
#define EXACT_WIDE_TILE_TERMS 8192             /* of a wide sum, at most: 3 products below 2^48 of each are below 2^63 */

/* A product of matrices: left_count and right_count arrays; either `digits` sums, or, if that is 0, a wide one. */
struct exact_product {
    const struct zkds_factor *left, *right;
    size_t left_count, right_count, digits, batches;
    const struct zkds_view *out;
    int64_t *hi, *lo;
    int64_t *const *sums;
};

/* Whether tiles can multiply them, and gain by it. */
int exact_tiles_fit(const struct exact_product *product);
/* The product, ZKDS_OK; or ZKDS_BAD_ARGUMENT for an entry wider than declared, ZKDS_OUT_OF_MEMORY. */
int exact_tiles_multiply(const struct exact_product *product);
#endif
