/* Vector arithmetic in F = F_p, p = 2^61 - 1, and K = F[i]/(i^2 + 1), eight elements at a time.
 *
 * "weak" means a representative below 2^61 + 8, "canonical" one below p. Every function takes weak inputs unless it
 * says otherwise. A table in memory always holds canonical values, so that all instruction sets agree bit for bit.
 * A table of K elements is "blocked": for each group of eight elements, 8 real parts and then 8 imaginary parts.
 */
#ifndef ZKDS_FIELD61_H
#define ZKDS_FIELD61_H
#include "vec.h"

#define P61 ((1ULL << 61) - 1)

typedef struct {
    V re, im;
} KV;

typedef struct {
    uint64_t re, im;
} K1; /* one element of K, canonical; the layout of (re, im) pairs in memory */

/* ---- scalars ---------------------------------------------------------------------------------------------------- */

INLINE uint64_t f_canonical(uint64_t x) {
    x = (x & P61) + (x >> 61);
    return x >= P61 ? x - P61 : x;
}
INLINE uint64_t f_add(uint64_t a, uint64_t b) { return f_canonical(a + b); }
INLINE uint64_t f_sub(uint64_t a, uint64_t b) { return a >= b ? a - b : a + P61 - b; }
__extension__ typedef unsigned __int128 u128;
/* Below 2^124 -> weak. */
INLINE uint64_t f_reduce(u128 t) {
    uint64_t x = ((uint64_t)t & P61) + (uint64_t)(t >> 61);
    return (x & P61) + (x >> 61);
}
INLINE uint64_t f_mul(uint64_t a, uint64_t b) {
    u128 t = (u128)a * b;
    return f_canonical(((uint64_t)t & P61) + (uint64_t)(t >> 61));
}
INLINE K1 k_add(K1 a, K1 b) { return (K1){f_add(a.re, b.re), f_add(a.im, b.im)}; }
INLINE K1 k_sub(K1 a, K1 b) { return (K1){f_sub(a.re, b.re), f_sub(a.im, b.im)}; }
INLINE K1 k_mul(K1 a, K1 b) {
    return (K1){f_sub(f_mul(a.re, b.re), f_mul(a.im, b.im)), f_add(f_mul(a.re, b.im), f_mul(a.im, b.re))};
}
/* out[x] = scale * eq(point, x) for 0 <= x < 2^variables; point as canonical (re, im) pairs. */
INLINE void k_eq_expand(const uint64_t *point, size_t variables, K1 scale, K1 *out) {
    out[0] = scale;
    for (size_t b = 0; b < variables; b++) {
        K1 z = {point[2 * b], point[2 * b + 1]};
        for (size_t x = 0, half = (size_t)1 << b; x < half; x++) {
            out[half + x] = k_mul(out[x], z);
            out[x] = k_sub(out[x], out[half + x]);
        }
    }
}

/* ---- F, eight lanes --------------------------------------------------------------------------------------------- */

INLINE V fv_p(void) { return v_set1(P61); }
/* Any 64-bit value -> weak. */
INLINE V fv_fold(V x) { return v_add(v_and(x, fv_p()), v_srl(x, 61)); }
/* Any 64-bit value -> canonical. */
INLINE V fv_canonical(V x) {
    x = fv_fold(x);
    return v_min(x, v_sub(x, fv_p()));
}
/* Below 2p, hence weak at least -> canonical. */
INLINE V fv_canonical_weak(V x) { return v_min(x, v_sub(x, fv_p())); }
/* E + 2^31 m -> weak; m and E + (m >> 30) + 2^61 must fit 64 bits. They do for two products of weak values on 31-bit limbs
 * plus one weak value: 2 (2^31 - 1)^2 + 2 (2^30 - 1)(2^31 - 2) + 2^61 + 7 + 2^33 + 2^61 < 2^64. */
INLINE V fv_join(V E, V m) { return fv_fold(v_add(v_add(E, v_srl(m, 30)), v_and(v_sll(m, 31), fv_p()))); }
INLINE V fv_sub(V a, V b) { return fv_fold(v_add(v_sub(a, b), v_set1(2 * P61))); }
INLINE V fv_add(V a, V b) { return fv_fold(v_add(a, b)); }
#ifdef ZKDS_SCALAR_LANES
static V fv_mul(V a, V b) {
    for (int i = 0; i < 8; i++) a.lane[i] = f_reduce((u128)a.lane[i] * b.lane[i]);
    return a;
}
#else
INLINE V fv_mul(V a, V b) {
    const V low31 = v_set1(0x7fffffff);
    V a0 = v_and(a, low31), a1 = v_srl(a, 31), b0 = v_and(b, low31), b1 = v_srl(b, 31);
    V E = v_add(v_mul32(a0, b0), v_sll(v_mul32(a1, b1), 1));
    return fv_join(E, v_add(v_mul32(a0, b1), v_mul32(a1, b0)));
}
#endif

/* ---- K, eight lanes --------------------------------------------------------------------------------------------- */

INLINE KV kv_load(const uint64_t *table, size_t vector) {
    return (KV){v_load(table + 16 * vector), v_load(table + 16 * vector + 8)};
}
/* Stores canonical representatives of weak values. */
INLINE void kv_store_canonical(uint64_t *table, size_t vector, KV x) {
    v_store(table + 16 * vector, fv_canonical_weak(x.re));
    v_store(table + 16 * vector + 8, fv_canonical_weak(x.im));
}
/* Stores canonical representatives of any 64-bit values. */
INLINE void kv_store(uint64_t *table, size_t vector, KV x) {
    v_store(table + 16 * vector, fv_canonical(x.re));
    v_store(table + 16 * vector + 8, fv_canonical(x.im));
}
/* Stores weak representatives: scratch only. */
INLINE void kv_store_weak(uint64_t *table, size_t vector, KV x) {
    v_store(table + 16 * vector, x.re);
    v_store(table + 16 * vector + 8, x.im);
}
INLINE void kv_prefetch(const uint64_t *table, size_t vector) {
    v_prefetch(table + 16 * vector);
    v_prefetch(table + 16 * vector + 8);
}
INLINE KV kv_zero(void) { return (KV){v_zero(), v_zero()}; }
INLINE KV kv_set1(K1 x) { return (KV){v_set1(x.re), v_set1(x.im)}; }
INLINE KV kv_add(KV a, KV b) { return (KV){fv_add(a.re, b.re), fv_add(a.im, b.im)}; }
INLINE KV kv_sub(KV a, KV b) { return (KV){fv_sub(a.re, b.re), fv_sub(a.im, b.im)}; }

#ifdef ZKDS_SCALAR_LANES
/* x y + e, weak; 2^62 p keeps the real part from going below zero */
static KV kv_multiply(KV x, KV y, KV e) {
    for (int i = 0; i < 8; i++) {
        uint64_t a = x.re.lane[i], b = x.im.lane[i], c = y.re.lane[i], d = y.im.lane[i];
        e.re.lane[i] = f_reduce((u128)a * c + ((u128)P61 << 62) - (u128)b * d + e.re.lane[i]);
        e.im.lane[i] = f_reduce((u128)a * d + (u128)b * c + e.im.lane[i]);
    }
    return e;
}
INLINE KV kv_mul(KV x, KV y) { return kv_multiply(x, y, kv_zero()); }

/* A fixed factor, prepared. */
typedef struct {
    KV value;
} KFactor;

INLINE KFactor kv_lane_factor(KV y) { return (KFactor){y}; }
/* x k + e; e weak */
INLINE KV kv_mul_add(KV x, const KFactor *k, KV e) { return kv_multiply(x, k->value, e); }
/* F times K. */
INLINE KV kv_scale(V s, KV y) { return (KV){fv_mul(s, y.re), fv_mul(s, y.im)}; }
#else
/* Products on 31-bit limbs: x = x0 + 2^31 x1, and 2^62 = 2 (kernels.md, technique 2). The real part is a signed
 * difference; its middle term gets the bias 2^62, worth 2^93 = 2^32, which the constant 3p - 2^32 takes back. */
INLINE KV kv_mul(KV x, KV y) {
    const V low31 = v_set1(0x7fffffff);
    V a0 = v_and(x.re, low31), a1 = v_srl(x.re, 31), b0 = v_and(x.im, low31), b1 = v_srl(x.im, 31);
    V c0 = v_and(y.re, low31), c1 = v_srl(y.re, 31), d0 = v_and(y.im, low31), d1 = v_srl(y.im, 31);
    V c2 = v_add(c1, c1), d2 = v_add(d1, d1);
    V E = v_sub(v_add(v_mul32(a0, c0), v_mul32(a1, c2)), v_add(v_mul32(b0, d0), v_mul32(b1, d2)));
    V m = v_sub(v_add(v_mul32(a0, c1), v_mul32(a1, c0)), v_add(v_mul32(b0, d1), v_mul32(b1, d0)));
    KV out;
    out.re = fv_join(v_add(E, v_set1(3 * P61 - (1ULL << 32))), v_add(m, v_set1(1ULL << 62)));
    E = v_add(v_add(v_mul32(a0, d0), v_mul32(a1, d2)), v_add(v_mul32(b0, c0), v_mul32(b1, c2)));
    m = v_add(v_add(v_mul32(a0, d1), v_mul32(a1, d0)), v_add(v_mul32(b0, c1), v_mul32(b1, c0)));
    out.im = fv_join(E, m);
    return out;
}

/* Limbs of a fixed factor c + d i, of its double high limbs and of -d. */
typedef struct {
    V c0, c1, c2, d0, d1, d2, n0, n1, n2;
} KFactor;

INLINE KFactor kv_lane_factor(KV y) {
    const V low31 = v_set1(0x7fffffff);
    V n = fv_canonical(v_sub(fv_p(), y.im));
    KFactor k;
    k.c0 = v_and(y.re, low31), k.c1 = v_srl(y.re, 31), k.c2 = v_add(k.c1, k.c1);
    k.d0 = v_and(y.im, low31), k.d1 = v_srl(y.im, 31), k.d2 = v_add(k.d1, k.d1);
    k.n0 = v_and(n, low31), k.n1 = v_srl(n, 31), k.n2 = v_add(k.n1, k.n1);
    return k;
}
/* x k + e, with one reduction per component; e weak. */
INLINE KV kv_mul_add(KV x, const KFactor *k, KV e) {
    const V low31 = v_set1(0x7fffffff);
    V a0 = v_and(x.re, low31), a1 = v_srl(x.re, 31), b0 = v_and(x.im, low31), b1 = v_srl(x.im, 31);
    V E = v_add(v_add(v_mul32(a0, k->c0), v_mul32(a1, k->c2)), v_add(v_mul32(b0, k->n0), v_mul32(b1, k->n2)));
    V m = v_add(v_add(v_mul32(a0, k->c1), v_mul32(a1, k->c0)), v_add(v_mul32(b0, k->n1), v_mul32(b1, k->n0)));
    KV out;
    out.re = fv_join(v_add(E, e.re), m);
    E = v_add(v_add(v_mul32(a0, k->d0), v_mul32(a1, k->d2)), v_add(v_mul32(b0, k->c0), v_mul32(b1, k->c2)));
    m = v_add(v_add(v_mul32(a0, k->d1), v_mul32(a1, k->d0)), v_add(v_mul32(b0, k->c1), v_mul32(b1, k->c0)));
    out.im = fv_join(v_add(E, e.im), m);
    return out;
}
/* F times K. */
INLINE KV kv_scale(V s, KV y) {
    const V low31 = v_set1(0x7fffffff);
    V s0 = v_and(s, low31), s1 = v_srl(s, 31), s2 = v_add(s1, s1);
    V c0 = v_and(y.re, low31), c1 = v_srl(y.re, 31), d0 = v_and(y.im, low31), d1 = v_srl(y.im, 31);
    KV out;
    out.re = fv_join(v_add(v_mul32(s0, c0), v_mul32(s2, c1)), v_add(v_mul32(s0, c1), v_mul32(s1, c0)));
    out.im = fv_join(v_add(v_mul32(s0, d0), v_mul32(s2, d1)), v_add(v_mul32(s0, d1), v_mul32(s1, d0)));
    return out;
}
#endif

INLINE KV kv_square(KV x) {
    return (KV){fv_mul(fv_add(x.re, x.im), fv_sub(x.re, x.im)), fv_mul(fv_add(x.re, x.re), x.im)};
}

/* The factor is canonical; kv_lane_factor has one for each lane. */
INLINE KFactor kv_factor(K1 y) { return kv_lane_factor(kv_set1(y)); }
INLINE KV kv_mul_factor(KV x, const KFactor *k) { return kv_mul_add(x, k, kv_zero()); }
/* low + r (high - low): one variable of a multilinear table bound to r. */
INLINE KV kv_bind(KV low, KV high, const KFactor *r) { return kv_mul_add(kv_sub(high, low), r, low); }

/* ---- accumulated products --------------------------------------------------------------------------------------- */

/* A lane-wise running sum of products in K. With IFMA the reduction is put off: at most KACC_TERMS products may be added
 * between kacc_zero and kacc_value. */
#define KACC_TERMS 512

/* A scalar factor of such products, with what IFMA wants of it: re + im, and bits 52 and up of all three. */
typedef struct {
    uint64_t re, im, sum, re_high, im_high, sum_high;
} KWeight;

INLINE KWeight k_weight(K1 y) { return (KWeight){y.re, y.im, y.re + y.im, y.re >> 52, y.im >> 52, (y.re + y.im) >> 52}; }

#ifdef ZKDS_IFMA
typedef struct {
    V A, B, B2, C, C2; /* sum a b = A + 2^52 (B + B2) + 2^43 (C + C2), with 2^104 = 2^43 */
} FAcc;
typedef struct {
    FAcc re, im, sum; /* Karatsuba: a c, b d, (a + b)(c + d) */
} KAcc;

INLINE FAcc facc_zero(void) { return (FAcc){v_zero(), v_zero(), v_zero(), v_zero(), v_zero()}; }
/* s += a b, given b1 = b >> 52 */
INLINE void facc_add_split(FAcc *s, V a, V b, V b1) {
    V a1 = v_srl(a, 52);
    s->A = v_madd52lo(s->A, a, b);
    s->B = v_madd52hi(s->B, a, b);
    s->B2 = v_madd52lo(s->B2, a, b1);
    s->B = v_madd52lo(s->B, a1, b);
    s->C = v_madd52hi(s->C, a, b1);
    s->C2 = v_madd52hi(s->C2, a1, b);
    s->C = v_madd52lo(s->C, a1, b1);
}
INLINE void facc_add(FAcc *s, V a, V b) { facc_add_split(s, a, b, v_srl(b, 52)); }
INLINE V facc_value(const FAcc *s) {
    V A = fv_fold(s->A), B = v_add(s->B, s->B2), C = v_add(s->C, s->C2);
    V low = v_add(v_add(A, v_srl(B, 9)), v_and(v_sll(B, 52), fv_p()));
    return fv_fold(v_add(low, v_add(v_srl(C, 18), v_and(v_sll(C, 43), fv_p()))));
}
INLINE KAcc kacc_zero(void) { return (KAcc){facc_zero(), facc_zero(), facc_zero()}; }
INLINE void kacc_add(KAcc *s, KV x, KV y) {
    facc_add(&s->re, x.re, y.re);
    facc_add(&s->im, x.im, y.im);
    facc_add(&s->sum, v_add(x.re, x.im), v_add(y.re, y.im));
}
INLINE void kacc_add_weight(KAcc *s, KV x, const KWeight *y) {
    facc_add_split(&s->re, x.re, v_set1(y->re), v_set1(y->re_high));
    facc_add_split(&s->im, x.im, v_set1(y->im), v_set1(y->im_high));
    facc_add_split(&s->sum, v_add(x.re, x.im), v_set1(y->sum), v_set1(y->sum_high));
}
/* high - low of canonical values, below 2^62 and good only as an operand of kacc_add: no product overflows there. */
INLINE KV kacc_slope(KV low, KV high) {
    return (KV){v_add(v_sub(high.re, low.re), fv_p()), v_add(v_sub(high.im, low.im), fv_p())};
}
INLINE KV kacc_value(const KAcc *s) {
    V a = facc_value(&s->re), b = facc_value(&s->im), c = facc_value(&s->sum);
    return (KV){fv_sub(a, b), fv_fold(v_add(v_sub(c, v_add(a, b)), v_set1(4 * P61)))};
}
#else
typedef struct {
    V value;
} FAcc;
typedef struct {
    KV value;
} KAcc;
INLINE FAcc facc_zero(void) { return (FAcc){v_zero()}; }
INLINE void facc_add(FAcc *s, V a, V b) { s->value = fv_add(s->value, fv_mul(a, b)); }
INLINE V facc_value(const FAcc *s) { return s->value; }
INLINE KAcc kacc_zero(void) { return (KAcc){kv_zero()}; }
INLINE void kacc_add(KAcc *s, KV x, KV y) { s->value = kv_add(s->value, kv_mul(x, y)); }
INLINE void kacc_add_weight(KAcc *s, KV x, const KWeight *y) { kacc_add(s, x, (KV){v_set1(y->re), v_set1(y->im)}); }
INLINE KV kacc_slope(KV low, KV high) { return kv_sub(high, low); }
INLINE KV kacc_value(const KAcc *s) { return s->value; }
#endif

/* Sum of the eight lanes, canonical. */
INLINE K1 kv_sum_lanes(KV x) {
    uint64_t re[8], im[8];
    v_store(re, fv_canonical(x.re));
    v_store(im, fv_canonical(x.im));
    K1 s = {0, 0};
    for (int i = 0; i < 8; i++) s = k_add(s, (K1){re[i], im[i]});
    return s;
}
#endif
