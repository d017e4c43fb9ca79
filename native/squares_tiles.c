/* Tiles are a thread's own: each sum configures and releases them. */
#include "squares_tiles.h"

#ifdef ZKDS_TILES
#define SUMS (4 * SQUARES_TERMS + 4 * TILE_SIDE)

_Static_assert((1LL << 14) * TILES_BLOCKS * SQUARES_LANES * TILES_HALF * TILE_SIDE < INT32_MAX, "32-bit sums of products of bytes");

TARGET void squares_tiles_add(struct squares_tiles *tiles, const int32_t *p, size_t count) {
    const size_t half = squares_tiles_rows(count) / TILE_SIDE, block = tiles->blocks++;
    const __m512i round = _mm512_set1_epi32(128);
    for (size_t m = 0; m < half * TILE_SIDE; m++) {
        __m512i x[4], y[4];
        for (size_t v = 0; v < 4; v++) {
            x[v] = _mm512_load_si512(p + (v * SQUARES_PRODUCT + m) * 16);
            y[v] = _mm512_srai_epi32(_mm512_add_epi32(x[v], round), 8);
        }
        _mm512_store_si512(tiles->left[m / TILE_SIDE][block][m % TILE_SIDE], lowest_bytes(x[0], x[1], x[2], x[3]));
        _mm512_store_si512(tiles->left[half + m / TILE_SIDE][block][m % TILE_SIDE], lowest_bytes(y[0], y[1], y[2], y[3]));
    }
    for (size_t i = 0; i < 2 * half; i++) tile_transpose(tiles->left[i][block], tiles->right[i][block]);
}

/* sums[i + j] += c[i][j] */
TARGET static void add_diagonals(const int32_t (*c)[TILE_SIDE], int32_t *sums) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i low = _mm512_loadu_si512(sums), high = _mm512_loadu_si512(sums + 16);
    for (int i = 0; i < TILE_SIDE; i++) {
        const __m512i turned = _mm512_permutexvar_epi32(_mm512_sub_epi32(lanes, _mm512_set1_epi32(i)), _mm512_load_si512(c[i]));
        const __mmask16 upper = (__mmask16)(0xffffu << i);
        low = _mm512_mask_add_epi32(low, upper, low, turned);
        high = _mm512_mask_add_epi32(high, (__mmask16)~upper, high, turned);
    }
    _mm512_storeu_si512(sums, low);
    _mm512_storeu_si512(sums + 16, high);
}

/* products[a][b] = left tile i + a times right tile j + b */
TARGET static void multiply(const struct squares_tiles *tiles, size_t i, size_t j, int32_t (*products)[TILE_SIDE][TILE_SIDE]) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t block = 0; block < tiles->blocks; block++) {
        _tile_loadd(4, tiles->left[i][block], 64);
        _tile_loadd(5, tiles->left[i + 1][block], 64);
        _tile_loadd(6, tiles->right[j][block], 64);
        _tile_loadd(7, tiles->right[j + 1][block], 64);
        _tile_dpbssd(0, 4, 6);
        _tile_dpbssd(1, 4, 7);
        _tile_dpbssd(2, 5, 6);
        _tile_dpbssd(3, 5, 7);
    }
    _tile_stored(0, products[0], 64);
    _tile_stored(1, products[1], 64);
    _tile_stored(2, products[2], 64);
    _tile_stored(3, products[3], 64);
}

TARGET void squares_tiles_sum(struct squares_tiles *tiles, size_t count, int64_t *to) {
    const size_t half = squares_tiles_rows(count) / TILE_SIDE, all = 2 * half;
    int32_t products[4][TILE_SIDE][TILE_SIDE] __attribute__((aligned(64)));
    int32_t sums[3][2][SUMS] = {{{0}}}; /* of 2^0, 2^8 and 2^16; of tiles on the diagonal, and of others, which count twice */
    tiles_configure(64);
    for (size_t i = 0; i < all; i += 2)
        for (size_t j = i; j < all; j += 2) {
            multiply(tiles, i, j, products);
            for (size_t k = 0; k < 4; k++) {
                const size_t row = i + k / 2, column = j + k % 2;
                if (row <= column)
                    add_diagonals((const int32_t(*)[TILE_SIDE])products[k],
                                  sums[row / half + column / half][row != column] + TILE_SIDE * (row % half + column % half));
            }
        }
    _tile_release();
    for (size_t m = 0; m < 2 * count - 1; m++)
        for (int byte = 0; byte < 3; byte++)
            to[m] += ((int64_t)sums[byte][0][m] + 2 * (int64_t)sums[byte][1][m]) * ((int64_t)1 << 8 * byte);
    tiles->blocks = 0;
}

/* out[m][x] += sign c[m][x] for m < rows */
TARGET static void add_rows(const int32_t (*c)[TILE_SIDE], size_t rows, int sign, int16_t (*out)[SQUARES_LANES]) {
    const __m256i zero = _mm256_setzero_si256();
    for (size_t m = 0; m < rows; m++) {
        __m256i row = _mm512_cvtepi32_epi16(_mm512_load_si512(c[m])), *to = (__m256i *)(void *)out[m];
        if (sign < 0) row = _mm256_sub_epi16(zero, row);
        _mm256_storeu_si256(to, _mm256_add_epi16(_mm256_loadu_si256(to), row));
    }
}

TARGET void squares_tiles_multiply(const int8_t *left, size_t left_digits, const int8_t *right, size_t right_digits, size_t rank,
                                   int sign, int16_t (*out)[SQUARES_LANES]) {
    const size_t width = squares_tiles_width(rank), chunks = squares_tiles_chunks(rank), pitch = chunks * width;
    const size_t count = left_digits + right_digits - 1, tile = 16 * width;
    int32_t sums[4][TILE_SIDE][TILE_SIDE] __attribute__((aligned(64)));
    tiles_configure(width);
    for (size_t m = 0; m < count; m += 2 * TILE_SIDE)
        for (size_t x = 0; x < 4; x += 2) {
            const size_t first = m + 1 > left_digits ? m + 1 - left_digits : 0; /* smaller j have only zeros in rows m and on */
            _tile_zero(0);
            _tile_zero(1);
            _tile_zero(2);
            _tile_zero(3);
            for (size_t j = first; j < right_digits && j < m + 2 * TILE_SIDE; j++)
                for (size_t c = 0; c < chunks; c++) {
                    const int8_t *rows = left + ((ptrdiff_t)m - (ptrdiff_t)j) * (ptrdiff_t)pitch + c * width;
                    const int8_t *columns = right + ((j * chunks + c) * 4 + x) * tile;
                    _tile_loadd(4, rows, pitch);
                    _tile_loadd(5, rows + TILE_SIDE * pitch, pitch);
                    _tile_loadd(6, columns, 64);
                    _tile_loadd(7, columns + tile, 64);
                    _tile_dpbssd(0, 4, 6);
                    _tile_dpbssd(1, 4, 7);
                    _tile_dpbssd(2, 5, 6);
                    _tile_dpbssd(3, 5, 7);
                }
            _tile_stored(0, sums[0], 64);
            _tile_stored(1, sums[1], 64);
            _tile_stored(2, sums[2], 64);
            _tile_stored(3, sums[3], 64);
            for (size_t k = 0; k < 4; k++) {
                const size_t from = m + k / 2 * TILE_SIDE, left_over = count > from ? count - from : 0;
                const size_t rows = left_over < TILE_SIDE ? left_over : TILE_SIDE;
                int16_t(*to)[SQUARES_LANES] = (int16_t(*)[SQUARES_LANES])(void *)(out[from] + (x + k % 2) * TILE_SIDE);
                if (rows) add_rows((const int32_t(*)[TILE_SIDE])sums[k], rows, sign, to);
            }
        }
    _tile_release();
}
#else
void squares_tiles_add(struct squares_tiles *tiles, const int32_t *p, size_t count) { (void)tiles, (void)p, (void)count; }
void squares_tiles_sum(struct squares_tiles *tiles, size_t count, int64_t *to) { (void)tiles, (void)count, (void)to; }
void squares_tiles_multiply(const int8_t *left, size_t left_digits, const int8_t *right, size_t right_digits, size_t rank,
                            int sign, int16_t (*out)[SQUARES_LANES]) {
    (void)left, (void)left_digits, (void)right, (void)right_digits, (void)rank, (void)sign, (void)out;
}
#endif
