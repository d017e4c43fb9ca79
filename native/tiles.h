/* What kernels with tiles of bytes (AMX, 16 rows of 64 bytes) share. A left factor's rows are lines of 64 bytes; a right one's
 * columns are words: row i of its tile has bytes 4 i to 4 i + 3 of all 16 columns. */
#ifndef ZKDS_TILES_H
#define ZKDS_TILES_H
#include "runtime.h"

#define TILE_SIDE 16
#define TILE_TERMS 64 /* bytes of a row */
#define TILE_BYTES (TILE_SIDE * TILE_TERMS)

#ifdef ZKDS_TILES
#include <immintrin.h>
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,amx-tile,amx-int8")))

/* Lane by lane the lowest bytes of four vectors. */
TARGET static inline __m512i lowest_bytes(__m512i a, __m512i b, __m512i c, __m512i d) {
    const __m512i ab = _mm512_mask_blend_epi8(0x2222222222222222, a, _mm512_slli_epi32(b, 8));
    const __m512i abc = _mm512_mask_blend_epi8(0x4444444444444444, ab, _mm512_slli_epi32(c, 16));
    return _mm512_mask_blend_epi8(0x8888888888888888, abc, _mm512_slli_epi32(d, 24));
}

/* A 16 x 16 matrix of 32-bit words, transposed: a tile of rows becomes one of columns, or back. `to` may be `from`. */
TARGET static inline void tile_transpose(const void *from, void *to) {
    const char *rows = from;
    char *columns = to;
    __m512i x[16], y[16];
    for (int i = 0; i < 16; i++) x[i] = _mm512_load_si512(rows + 64 * i);
    for (int i = 0; i < 16; i += 2) {
        y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
        y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
    }
    for (int i = 0; i < 16; i += 4)
        for (int k = 0; k < 2; k++) { /* x[i + c]: column 4 l + c of rows i to i + 3, in the 128 bits l */
            x[i + 2 * k] = _mm512_unpacklo_epi64(y[i + k], y[i + k + 2]);
            x[i + 2 * k + 1] = _mm512_unpackhi_epi64(y[i + k], y[i + k + 2]);
        }
    for (int c = 0; c < 4; c++) {
        const __m512i low = _mm512_shuffle_i32x4(x[c], x[4 + c], 0x88), high = _mm512_shuffle_i32x4(x[c], x[4 + c], 0xdd);
        const __m512i low2 = _mm512_shuffle_i32x4(x[8 + c], x[12 + c], 0x88);
        const __m512i high2 = _mm512_shuffle_i32x4(x[8 + c], x[12 + c], 0xdd);
        _mm512_store_si512(columns + 64 * c, _mm512_shuffle_i32x4(low, low2, 0x88));
        _mm512_store_si512(columns + 64 * (8 + c), _mm512_shuffle_i32x4(low, low2, 0xdd));
        _mm512_store_si512(columns + 64 * (4 + c), _mm512_shuffle_i32x4(high, high2, 0x88));
        _mm512_store_si512(columns + 64 * (12 + c), _mm512_shuffle_i32x4(high, high2, 0xdd));
    }
}

/* The layout that `ldtilecfg` reads: every tile has 16 rows of 64 bytes, but that left factors (4, 5) have `width` of them, a
 * multiple of 4, and right ones (6, 7) as many rows as these are words. */
TARGET static inline void tiles_configure(size_t width) {
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } layout = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        layout.row_bytes[i] = i == 4 || i == 5 ? (uint16_t)width : TILE_TERMS;
        layout.rows[i] = i > 5 ? (uint8_t)(width / 4) : TILE_SIDE;
    }
    _tile_loadconfig(&layout);
}
#endif
#endif
