/* Eight 64-bit lanes in portable C. One of three twins: see vec.h for the contract. */
#ifndef ZKDS_VEC_PORTABLE_H
#define ZKDS_VEC_PORTABLE_H

typedef struct {
    uint64_t lane[8];
} V;
#define ZKDS_SCALAR_LANES 1 /* products are faster, and much smaller, lane by lane on 128-bit integers */

#define V_EACH(expression)                                                                                             \
    V out_;                                                                                                            \
    for (int i = 0; i < 8; i++) out_.lane[i] = (expression);                                                           \
    return out_

INLINE V v_load(const void *p) {
    V x;
    memcpy(&x, p, sizeof x);
    return x;
}
INLINE void v_store(void *p, V x) { memcpy(p, &x, sizeof x); }
INLINE V v_merge(V x, unsigned lanes, const uint64_t *p) { V_EACH(lanes >> i & 1 ? p[i] : x.lane[i]); }
INLINE V v_load_u32(const uint32_t *p) { V_EACH(p[i]); }
INLINE V v_set1(uint64_t x) { V_EACH(x); }
INLINE V v_zero(void) { V_EACH(0); }
INLINE V v_add(V a, V b) { V_EACH(a.lane[i] + b.lane[i]); }
INLINE V v_sub(V a, V b) { V_EACH(a.lane[i] - b.lane[i]); }
INLINE V v_and(V a, V b) { V_EACH(a.lane[i] & b.lane[i]); }
INLINE V v_or(V a, V b) { V_EACH(a.lane[i] | b.lane[i]); }
INLINE V v_srl(V x, int n) { V_EACH(x.lane[i] >> n); }
INLINE V v_sll(V x, int n) { V_EACH(x.lane[i] << n); }
INLINE V v_mul32(V a, V b) { V_EACH((a.lane[i] & 0xffffffffu) * (b.lane[i] & 0xffffffffu)); }
INLINE V v_mul32s(V a, V b) { V_EACH((uint64_t)((int64_t)(int32_t)a.lane[i] * (int32_t)b.lane[i])); }
INLINE V v_min(V a, V b) { V_EACH(a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]); }
INLINE V v_reverse(V x) { V_EACH(x.lane[7 - i]); }
INLINE void v_prefetch(const void *p) { (void)p; }
#undef V_EACH
#endif
