/* Small integers against weights in K.
 *
 * A weight component below 2^61 is split into limbs of 21, 21 and 19 bits. A cell below 2^32 times a limb is below 2^53, so up
 * to 2048 products add up in 64 bits without a reduction: six multiplications and six additions for eight cells. */
#define LIMB_BITS 21
#define MAX_TERMS 2048

/* limbs: six arrays of `count` entries (a multiple of 8), `pitch` apart. */
INLINE void split_limbs(const uint64_t *re, const uint64_t *im, size_t count, size_t pitch, uint64_t *limbs) {
    const V mask = v_set1((1ULL << LIMB_BITS) - 1);
    for (size_t i = 0; i < count; i += 8) {
        V x = v_load(re + i), y = v_load(im + i);
        v_store(limbs + i, v_and(x, mask));
        v_store(limbs + pitch + i, v_and(v_srl(x, LIMB_BITS), mask));
        v_store(limbs + 2 * pitch + i, v_srl(x, 2 * LIMB_BITS));
        v_store(limbs + 3 * pitch + i, v_and(y, mask));
        v_store(limbs + 4 * pitch + i, v_and(v_srl(y, LIMB_BITS), mask));
        v_store(limbs + 5 * pitch + i, v_srl(y, 2 * LIMB_BITS));
    }
}
/* a + 2^21 b + 2^42 c for any 64-bit a, b, c -> weak. 2^61 = 1 turns a shift into a rotation. */
INLINE V join_limbs(V a, V b, V c) {
    const V p = fv_p();
    a = fv_fold(a), b = fv_fold(b), c = fv_fold(c);
    b = v_add(v_and(v_sll(b, 21), p), v_srl(b, 40));
    c = v_add(v_and(v_sll(c, 42), p), v_srl(c, 19));
    return fv_fold(v_add(a, v_add(b, c)));
}
/* x = sum_y weight[y] a[y], z = sum_y weight[y] b[y]: groups of eight cells, `stride` cells from one y to the next. */
INLINE void dot_cells(const uint32_t *a, const uint32_t *b, size_t count, size_t stride, const uint64_t *limbs, size_t pitch,
                      KV *x, KV *z) {
    V s0 = v_zero(), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0, t4 = s0, t5 = s0;
    for (size_t y = 0; y < count; y++) {
        V u = v_load_u32(a + y * stride), w = v_load_u32(b + y * stride), limb;
        limb = v_set1(limbs[y]);
        s0 = v_add(s0, v_mul32(u, limb)), t0 = v_add(t0, v_mul32(w, limb));
        limb = v_set1(limbs[pitch + y]);
        s1 = v_add(s1, v_mul32(u, limb)), t1 = v_add(t1, v_mul32(w, limb));
        limb = v_set1(limbs[2 * pitch + y]);
        s2 = v_add(s2, v_mul32(u, limb)), t2 = v_add(t2, v_mul32(w, limb));
        limb = v_set1(limbs[3 * pitch + y]);
        s3 = v_add(s3, v_mul32(u, limb)), t3 = v_add(t3, v_mul32(w, limb));
        limb = v_set1(limbs[4 * pitch + y]);
        s4 = v_add(s4, v_mul32(u, limb)), t4 = v_add(t4, v_mul32(w, limb));
        limb = v_set1(limbs[5 * pitch + y]);
        s5 = v_add(s5, v_mul32(u, limb)), t5 = v_add(t5, v_mul32(w, limb));
    }
    *x = (KV){join_limbs(s0, s1, s2), join_limbs(s3, s4, s5)};
    *z = (KV){join_limbs(t0, t1, t2), join_limbs(t3, t4, t5)};
}

static void cells_expand(const uint64_t *point, int bits, const uint64_t *scale, uint64_t *re, uint64_t *im) {
    memset(re, 0, 64);
    memset(im, 0, 64);
    re[0] = scale[0];
    im[0] = scale[1];
    for (int b = 0; b < bits; b++) {
        const K1 z = {point[2 * b], point[2 * b + 1]};
        const size_t half = (size_t)1 << b;
        if (b < 3) {
            for (size_t y = 0; y < half; y++) {
                K1 x = {re[y], im[y]}, high = k_mul(x, z), low = k_sub(x, high);
                re[half + y] = high.re, im[half + y] = high.im;
                re[y] = low.re, im[y] = low.im;
            }
            continue;
        }
        const KFactor factor = kv_factor(z);
        for (size_t y = 0; y < half; y += 8) {
            KV x = {v_load(re + y), v_load(im + y)}, high = kv_mul_factor(x, &factor), low = kv_sub(x, high);
            v_store(re + half + y, fv_canonical(high.re)), v_store(im + half + y, fv_canonical(high.im));
            v_store(re + y, fv_canonical(low.re)), v_store(im + y, fv_canonical(low.im));
        }
    }
}

/* out[i] = sum of the eight weak lanes of x[i], canonical. */
INLINE K1 sum_weak_lanes(KV x) {
    uint64_t re[8], im[8];
    v_store(re, x.re);
    v_store(im, x.im);
    uint64_t r0 = re[0] + re[1] + re[2] + re[3], r1 = re[4] + re[5] + re[6] + re[7];
    uint64_t i0 = im[0] + im[1] + im[2] + im[3], i1 = im[4] + im[5] + im[6] + im[7];
    return (K1){f_canonical((r0 & P61) + (r0 >> 61) + (r1 & P61) + (r1 >> 61)),
                f_canonical((i0 & P61) + (i0 >> 61) + (i1 & P61) + (i1 >> 61))};
}

static void cells_correlate(const uint32_t *chunks, size_t count, int streamed, const uint64_t *re, const uint64_t *im,
                            const uint64_t *lanes, const uint64_t *low, uint64_t *form) {
    const size_t side = (size_t)1 << streamed, vectors = side < 8 ? 1 : side / 8, pitch = (count + 7) & ~(size_t)7;
    uint64_t limbs[6 * MAX_TERMS];
    split_limbs(re, im, pitch, pitch, limbs);
    const KV lane_weights = kv_load(lanes, 0);
    for (size_t i = 0; i < side; i += 2) {
        KV sum[2];
        dot_cells(chunks + 8 * i, chunks + 8 * i + 8, count, 8 * side, limbs, pitch, &sum[0], &sum[1]);
        for (size_t k = 0; k < 2; k++) {
            const KFactor factor = kv_factor(sum_weak_lanes(kv_mul(sum[k], lane_weights)));
            uint64_t *row = form + 16 * vectors * (i + k);
            for (size_t v = 0; v < vectors; v++) {
                KV total = kv_mul_add(kv_load(low, v), &factor, kv_load(row, v));
                v_store(row + 16 * v, total.re);
                v_store(row + 16 * v + 8, total.im);
            }
        }
    }
}

static void cells_fold(const uint32_t *chunks, size_t count, int streamed, const uint64_t *re, const uint64_t *im,
                       uint64_t *table) {
    const size_t side = (size_t)1 << streamed, pitch = (side + 7) & ~(size_t)7;
    uint64_t limbs[6 << CELLS_MAX_STREAMED];
    KV x, z;
    split_limbs(re, im, pitch, pitch, limbs);
    for (size_t y = 0; y < count; y += 2) {
        const uint32_t *first = chunks + y * 8 * side, *second = y + 1 < count ? first + 8 * side : first;
        dot_cells(first, second, side, 8, limbs, pitch, &x, &z);
        kv_store(table, y, x);
        if (y + 1 < count) kv_store(table, y + 1, z);
    }
}

static void cells_add_weights(uint64_t *table, size_t count, const uint64_t *re, const uint64_t *im, const uint64_t *lanes) {
    const KFactor factor = kv_lane_factor(kv_load(lanes, 0));
    for (size_t y = 0; y < count; y++)
        kv_store(table, y, kv_mul_add(kv_set1((K1){re[y], im[y]}), &factor, kv_load(table, y)));
}

const struct cells_ops ISA(cells_ops) = {cells_expand, cells_correlate, cells_fold, cells_add_weights};
