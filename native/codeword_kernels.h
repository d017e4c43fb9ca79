/* Kernels around the code; contracts in codeword_ops.h. */

static void codeword_pack(uint64_t *x, const uint32_t *re, const uint32_t *im, size_t vectors) {
    for (size_t v = 0; v < vectors; v++) {
        v_store(x + 16 * v, v_load_u32(re + 8 * v));
        v_store(x + 16 * v + 8, v_load_u32(im + 8 * v));
    }
}

/* a0 + 2^21 a1 + 2^42 a2 -> weak. */
INLINE V codeword_limbs_value(const V a[3]) {
    V b = fv_fold(a[1]), c = fv_fold(a[2]);
    b = v_add(v_and(v_sll(b, 21), fv_p()), v_srl(b, 40));
    c = v_add(v_and(v_sll(c, 42), fv_p()), v_srl(c, 19));
    return fv_fold(v_add(fv_fold(a[0]), v_add(b, c)));
}

static void codeword_combine(uint64_t *x, const uint32_t *cells, size_t stride, size_t rows, const uint64_t *limbs, size_t vectors) {
    for (size_t v = 0; v < vectors; v++) {
        V sum[6];
        for (int l = 0; l < 6; l++) sum[l] = v_zero();
        for (size_t i = 0; i < rows; i++) {
            V value = v_load_u32(cells + i * stride + 8 * v);
            for (int l = 0; l < 6; l++) sum[l] = v_add(sum[l], v_mul32(value, v_set1(limbs[6 * i + (size_t)l])));
        }
        kv_store(x, v, kv_add(kv_load(x, v), (KV){codeword_limbs_value(sum), codeword_limbs_value(sum + 3)}));
    }
}

static void codeword_add_multiple(uint64_t *x, const uint64_t *row, const uint64_t *weight, size_t vectors) {
    const KFactor factor = kv_factor((K1){weight[0], weight[1]});
    for (size_t v = 0; v < vectors; v++) kv_store(x, v, kv_mul_add(kv_load(row, v), &factor, kv_load(x, v)));
}

static void codeword_half_products(const uint64_t *x_low, const uint64_t *x_high, const uint64_t *y_low, const uint64_t *y_high,
                                   size_t vectors, uint64_t *sums) {
    K1 zero = {0, 0}, infinity = {0, 0};
    for (size_t first = 0; first < vectors; first += KACC_TERMS) {
        size_t end = vectors - first < KACC_TERMS ? vectors : first + KACC_TERMS;
        KAcc low = kacc_zero(), leading = kacc_zero();
        for (size_t v = first; v < end; v++) {
            KV x = kv_load(x_low, v), y = kv_load(y_low, v);
            kacc_add(&low, x, y);
            kacc_add(&leading, kv_sub(kv_load(x_high, v), x), kv_sub(kv_load(y_high, v), y));
        }
        zero = k_add(zero, kv_sum_lanes(kacc_value(&low)));
        infinity = k_add(infinity, kv_sum_lanes(kacc_value(&leading)));
    }
    sums[0] = zero.re, sums[1] = zero.im, sums[2] = infinity.re, sums[3] = infinity.im;
}

static void codeword_bind_half(uint64_t *low, const uint64_t *high, const uint64_t *r, size_t vectors) {
    const KFactor factor = kv_factor((K1){r[0], r[1]});
    for (size_t v = 0; v < vectors; v++) kv_store(low, v, kv_bind(kv_load(low, v), kv_load(high, v), &factor));
}
const struct codeword_ops ISA(codeword_ops) = {codeword_pack, codeword_combine, codeword_add_multiple, codeword_half_products,
                                               codeword_bind_half};
