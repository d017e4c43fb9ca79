/* SHA-256 of 32 messages at a time: two interleaved groups of sixteen lanes. */

static const uint32_t sha_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
static const uint32_t sha_initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

INLINE W sha_small_sigma0(W x) { return w_xor3(w_rotr(x, 7), w_rotr(x, 18), w_srl(x, 3)); }
INLINE W sha_small_sigma1(W x) { return w_xor3(w_rotr(x, 17), w_rotr(x, 19), w_srl(x, 10)); }
INLINE W sha_big_sigma0(W x) { return w_xor3(w_rotr(x, 2), w_rotr(x, 13), w_rotr(x, 22)); }
INLINE W sha_big_sigma1(W x) { return w_xor3(w_rotr(x, 6), w_rotr(x, 11), w_rotr(x, 25)); }
INLINE W sha_schedule(const W *w, int j) {
    return w_add(w_add(w[j], w[(j + 9) & 15]), w_add(sha_small_sigma0(w[(j + 1) & 15]), sha_small_sigma1(w[(j + 14) & 15])));
}

#define SHA_STEP(a, b, c, d, e, f, g, h, message)                                                                      \
    {                                                                                                                  \
        W t = w_add(w_add(w_add(h, w_add(constant, message)), w_ch(e, f, g)), sha_big_sigma1(e));                      \
        d = w_add(d, t);                                                                                               \
        h = w_add(w_add(t, w_maj(a, b, c)), sha_big_sigma0(a));                                                        \
    }
#define SHA_ROUND(a, b, c, d, e, f, g, h, j)                                                                           \
    {                                                                                                                  \
        W constant = w_set1(sha_constants[i + (j)]);                                                                   \
        if (i) {                                                                                                       \
            w[j] = sha_schedule(w, j);                                                                                 \
            w[16 + (j)] = sha_schedule(w + 16, j);                                                                     \
        }                                                                                                              \
        SHA_STEP(a##0, b##0, c##0, d##0, e##0, f##0, g##0, h##0, w[j])                                                 \
        SHA_STEP(a##1, b##1, c##1, d##1, e##1, f##1, g##1, h##1, w[16 + (j)])                                          \
    }
#define SHA_EIGHT_ROUNDS(j)                                                                                            \
    SHA_ROUND(a, b, c, d, e, f, g, h, j)                                                                               \
    SHA_ROUND(h, a, b, c, d, e, f, g, j + 1)                                                                           \
    SHA_ROUND(g, h, a, b, c, d, e, f, j + 2)                                                                           \
    SHA_ROUND(f, g, h, a, b, c, d, e, j + 3)                                                                           \
    SHA_ROUND(e, f, g, h, a, b, c, d, j + 4)                                                                           \
    SHA_ROUND(d, e, f, g, h, a, b, c, j + 5)                                                                           \
    SHA_ROUND(c, d, e, f, g, h, a, b, j + 6)                                                                           \
    SHA_ROUND(b, c, d, e, f, g, h, a, j + 7)

/* One block of each message; s: 16 vectors of chaining values, w: 32 vectors of message words (overwritten). */
static void sha_compress(W *s, W *w) {
    W a0 = s[0], b0 = s[1], c0 = s[2], d0 = s[3], e0 = s[4], f0 = s[5], g0 = s[6], h0 = s[7];
    W a1 = s[8], b1 = s[9], c1 = s[10], d1 = s[11], e1 = s[12], f1 = s[13], g1 = s[14], h1 = s[15];
#if defined(ZKDS_BUILD_AVX512) /* a third faster; elsewhere it only makes the compiler slow */
#pragma GCC unroll 4
#endif
    for (int i = 0; i < 64; i += 16) {
        SHA_EIGHT_ROUNDS(0)
        SHA_EIGHT_ROUNDS(8)
    }
    const W first[8] = {a0, b0, c0, d0, e0, f0, g0, h0}, second[8] = {a1, b1, c1, d1, e1, f1, g1, h1};
    for (int j = 0; j < 8; j++) {
        s[j] = w_add(s[j], first[j]);
        s[8 + j] = w_add(s[8 + j], second[j]);
    }
}

INLINE void sha_start(W s[16]) {
    for (int j = 0; j < 8; j++) s[j] = s[8 + j] = w_set1(sha_initial[j]);
}
INLINE void sha_broadcast(W w[32], int j, uint32_t word) { w[j] = w[16 + j] = w_set1(word); }
/* The last words of a message of `bytes` bytes, from word j of its last block on. */
INLINE void sha_padding(W w[32], int j, uint64_t bytes) {
    sha_broadcast(w, j, 0x80000000);
    for (j++; j < 14; j++) sha_broadcast(w, j, 0);
    sha_broadcast(w, 14, (uint32_t)(bytes >> 29));
    sha_broadcast(w, 15, (uint32_t)(bytes << 3));
}

/* Digests of SHA-256(seed | number) for 32 consecutive numbers. */
static void sha_numbered(const uint32_t *seed, uint64_t first, W s[16]) {
    W w[32];
    uint32_t low[SHA_LANES], high[SHA_LANES];
    for (uint64_t l = 0; l < SHA_LANES; l++) {
        low[l] = __builtin_bswap32((uint32_t)(first + l));
        high[l] = __builtin_bswap32((uint32_t)((first + l) >> 32));
    }
    for (int j = 0; j < 8; j++) sha_broadcast(w, j, seed[j]);
    for (int g = 0; g < 2; g++) {
        w[16 * g + 8] = w_load(low + 16 * g);
        w[16 * g + 9] = w_load(high + 16 * g);
    }
    sha_padding(w, 10, 40);
    sha_start(s);
    sha_compress(s, w);
}

static size_t sha_grind(const uint32_t *seed, uint64_t first, size_t count, int bits) {
    for (size_t i = 0; i < count; i += SHA_LANES) {
        W s[16];
        uint32_t top[SHA_LANES];
        sha_numbered(seed, first + i, s);
        w_store(top, s[0]);
        w_store(top + 16, s[8]);
        for (size_t l = 0; l < SHA_LANES && i + l < count; l++)
            if (!((uint64_t)top[l] >> (32 - bits))) return i + l;
    }
    return count;
}

static void sha_write_digests(const W s[16], size_t count, uint8_t *digests) {
    uint32_t words[SHA_STATE_WORDS];
    for (int j = 0; j < 16; j++) w_store(words + 16 * j, s[j]);
    for (size_t l = 0; l < count; l++)
        for (size_t j = 0; j < 8; j++) {
            uint32_t word = __builtin_bswap32(words[16 * (j + 8 * (l / 16)) + l % 16]);
            memcpy(digests + 32 * l + 4 * j, &word, 4);
        }
}

/* 16 pairs of digests, 64 bytes each -> their 16 words, one message a lane. */
INLINE void sha_pair_words(const uint8_t *children, W words[16]) {
    V x[2][8];
    for (int half = 0; half < 2; half++) {
        for (int l = 0; l < 8; l++) x[half][l] = v_load(children + 64 * (8 * half + l));
        v_transpose(x[half]);
    }
    for (int j = 0; j < 8; j++) w_split(x[0][j], x[1][j], words + 2 * j, words + 2 * j + 1);
}

/* 0x01 | 64 bytes, padded: each word straddles two of the children's, and the last byte begins the second block. */
static void sha_full_nodes(const uint8_t *children, W s[16]) {
    W w[32], last[2];
    for (int g = 0; g < 2; g++) {
        W words[16];
        sha_pair_words(children + 1024 * g, words);
        w[16 * g] = w_add(w_set1(0x01000000), w_srl(words[0], 8));
        for (int j = 1; j < 16; j++) w[16 * g + j] = w_add(w_sll(words[j - 1], 24), w_srl(words[j], 8));
        last[g] = w_add(w_sll(words[15], 24), w_set1(0x00800000));
    }
    sha_start(s);
    sha_compress(s, w);
    for (int j = 1; j < 15; j++) sha_broadcast(w, j, 0);
    sha_broadcast(w, 15, 65 * 8);
    w[0] = last[0];
    w[16] = last[1];
    sha_compress(s, w);
}

static void sha_nodes(const uint8_t *children, size_t count, uint8_t *parents) {
    for (size_t i = 0; i < count; i += SHA_LANES) {
        W s[16];
        if (count - i >= SHA_LANES) {
            sha_full_nodes(children + 64 * i, s);
            sha_write_digests(s, SHA_LANES, parents + 32 * i);
        } else { /* the lanes beyond the last node hash zeros */
            uint8_t padded[64 * SHA_LANES] = {0};
            memcpy(padded, children + 64 * i, 64 * (count - i));
            sha_full_nodes(padded, s);
            sha_write_digests(s, count - i, parents + 32 * i);
        }
    }
}

INLINE void sha_load_state(const uint32_t *state, W s[16]) {
    for (int j = 0; j < 16; j++) s[j] = w_load(state + 16 * j);
}
INLINE void sha_store_state(uint32_t *state, const W s[16]) {
    for (int j = 0; j < 16; j++) w_store(state + 16 * j, s[j]);
}

static void sha_leaf_begin(uint32_t *state, const uint32_t *seed, uint64_t first_leaf) {
    static const uint32_t header[3] = {0x007a6b64, 0x73206c65, 0x61660000}; /* 0x00 | "zkds leaf" | 0x00 0x00 */
    W s[16], salt[16], w[32];
    if (seed)
        sha_numbered(seed, first_leaf, salt);
    else
        for (int j = 0; j < 16; j++) salt[j] = w_set1(0);
    for (int j = 0; j < 8; j++) {
        sha_broadcast(w, j, j < 3 ? header[j] : 0);
        w[8 + j] = salt[j];
        w[24 + j] = salt[8 + j];
    }
    sha_start(s);
    sha_compress(s, w);
    sha_store_state(state, s);
}

/* The eight words of one row at 32 leaves, into words first .. first + 7 of the block. */
INLINE void sha_row_words(W w[32], int first, const uint64_t *row, size_t low, const uint64_t *mirror, size_t high) {
    for (int g = 0; g < 2; g++) {
        W *to = w + 16 * g + first;
        const uint64_t *x = row + 16 * (low + 2 * (size_t)g), *y = mirror + 16 * (high - 2 * (size_t)g);
        w_split(v_load(x), v_load(x + 16), to, to + 1);
        w_split(v_load(x + 8), v_load(x + 24), to + 2, to + 3);
        w_split(v_reverse(v_load(y)), v_reverse(v_load(y - 16)), to + 4, to + 5);
        w_split(v_reverse(v_load(y + 8)), v_reverse(v_load(y - 8)), to + 6, to + 7);
    }
}

static void sha_leaf_absorb(uint32_t *state, const uint64_t *const rows[2], size_t low, const uint64_t *const mirrors[2], size_t high) {
    W s[16], w[32];
    sha_row_words(w, 0, rows[0], low, mirrors[0], high);
    sha_row_words(w, 8, rows[1], low, mirrors[1], high);
    sha_load_state(state, s);
    sha_compress(s, w);
    sha_store_state(state, s);
}

static void sha_leaf_finish(uint32_t *state, const uint64_t *row, size_t low, const uint64_t *mirror, size_t high, uint64_t bytes,
                            uint8_t *digests) {
    W s[16], w[32];
    if (row) sha_row_words(w, 0, row, low, mirror, high);
    sha_padding(w, row ? 8 : 0, bytes);
    sha_load_state(state, s);
    sha_compress(s, w);
    sha_write_digests(s, SHA_LANES, digests);
}
const struct sha256_ops ISA(sha256_ops) = {sha_nodes, sha_grind, sha_leaf_begin, sha_leaf_absorb, sha_leaf_finish};
