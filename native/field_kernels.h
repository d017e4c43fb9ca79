/* Elementwise kernels, dot product and binding. */
#define FIELD_ELEMENTWISE(name)                                                                                        \
    static void name##_array(const uint64_t *a, const uint64_t *b, uint64_t *out, size_t count) {                      \
        size_t i = 0;                                                                                                  \
        for (; i + 8 <= count; i += 8)                                                                                 \
            v_store(out + i, fv_canonical_weak(name##_vector(v_load(a + i), v_load(b + i))));                          \
        for (; i < count; i++) out[i] = name(a[i], b[i]);                                                              \
    }
/* of canonical values, below 2p */
INLINE V f_add_vector(V a, V b) { return v_add(a, b); }
INLINE V f_sub_vector(V a, V b) { return v_add(v_sub(a, b), fv_p()); }
INLINE V f_mul_vector(V a, V b) { return fv_mul(a, b); }
FIELD_ELEMENTWISE(f_add)
FIELD_ELEMENTWISE(f_sub)
FIELD_ELEMENTWISE(f_mul)
#undef FIELD_ELEMENTWISE

static void k_mul_array(const uint64_t *a, const uint64_t *b, uint64_t *out, size_t vectors) {
    for (size_t v = 0; v < vectors; v++) kv_store_canonical(out, v, kv_mul(kv_load(a, v), kv_load(b, v)));
}
static void k_scale_array(const uint64_t *a, const uint64_t *factor, uint64_t *out, size_t vectors) {
    KFactor k = kv_factor((K1){factor[0], factor[1]});
    for (size_t v = 0; v < vectors; v++) kv_store_canonical(out, v, kv_mul_factor(kv_load(a, v), &k));
}
static void k_dot_array(const uint64_t *a, const uint64_t *b, size_t vectors, uint64_t *sum) {
    KV total = kv_zero();
    for (size_t from = 0; from < vectors; from += KACC_TERMS) {
        size_t to = vectors - from < KACC_TERMS ? vectors : from + KACC_TERMS;
        KAcc products = kacc_zero();
        for (size_t v = from; v < to; v++) kacc_add(&products, kv_load(a, v), kv_load(b, v));
        total = kv_add(total, kacc_value(&products));
    }
    K1 lanes = kv_sum_lanes(total);
    sum[0] = f_add(sum[0], lanes.re);
    sum[1] = f_add(sum[1], lanes.im);
}
static void k_combine_arrays(const uint64_t *weights, size_t count, const uint64_t *tables, size_t stride, size_t vectors,
                             uint64_t *out) {
    for (size_t from = 0; from < count || from == 0; from += KACC_TERMS) {
        KWeight prepared[KACC_TERMS];
        size_t terms = count - from < KACC_TERMS ? count - from : KACC_TERMS;
        for (size_t c = 0; c < terms; c++)
            prepared[c] = k_weight((K1){weights[2 * (from + c)], weights[2 * (from + c) + 1]});
        for (size_t v = 0; v < vectors; v++) {
            KAcc products = kacc_zero();
            for (size_t c = 0; c < terms; c++) kacc_add_weight(&products, kv_load(tables, (from + c) * stride + v), &prepared[c]);
            KV total = kacc_value(&products);
            kv_store_canonical(out, v, from ? kv_add(kv_load(out, v), total) : total);
        }
    }
}
/* The same for tables of F: 8 entries a vector. */
static void f_combine_arrays(const uint64_t *weights, size_t count, const uint64_t *tables, size_t stride, size_t vectors,
                             uint64_t *out) {
    for (size_t from = 0; from < count || from == 0; from += KACC_TERMS) {
        size_t end = count - from < KACC_TERMS ? count : from + KACC_TERMS;
        for (size_t v = 0; v < vectors; v++) {
            FAcc re = facc_zero(), im = facc_zero();
            for (size_t c = from; c < end; c++) {
                V entries = v_load(tables + 8 * (c * stride + v));
                facc_add(&re, entries, v_set1(weights[2 * c]));
                facc_add(&im, entries, v_set1(weights[2 * c + 1]));
            }
            KV total = {facc_value(&re), facc_value(&im)};
            kv_store_canonical(out, v, from ? kv_add(kv_load(out, v), total) : total);
        }
    }
}
/* Integers above -p and below p -> canonical. */
INLINE V f_from_integers(V x) { return v_add(x, v_and(v_sub(v_zero(), v_srl(x, 63)), fv_p())); }
INLINE V f_load_integers(const int64_t *values, size_t count) { /* up to 8 */
    uint64_t lanes[8] = {0};
    if (count >= 8) return f_from_integers(v_load((const uint64_t *)values));
    memcpy(lanes, values, 8 * count);
    return f_from_integers(v_load(lanes));
}
#define WEIGH_WIDTH 16 /* values of a line of memory or two, so that columns far apart are read once */
static void weigh_array(const int64_t *values, size_t count, size_t stride, size_t width, const uint64_t *weights, uint64_t *out) {
    for (size_t j = 0; j < width; j += WEIGH_WIDTH) {
        const size_t low = width - j < 8 ? width - j : 8, high = width - j < WEIGH_WIDTH ? width - j - low : 8;
        KV total[2] = {kv_zero(), kv_zero()};
        for (size_t from = 0; from < count; from += KACC_TERMS) {
            size_t end = count - from < KACC_TERMS ? count : from + KACC_TERMS;
            FAcc re[2] = {facc_zero(), facc_zero()}, im[2] = {facc_zero(), facc_zero()};
            for (size_t n = from; n < end; n++) {
                const V first = f_load_integers(values + n * stride + j, low), weight_re = v_set1(weights[2 * n]);
                const V second = f_load_integers(values + n * stride + j + low, high), weight_im = v_set1(weights[2 * n + 1]);
                facc_add(&re[0], first, weight_re);
                facc_add(&im[0], first, weight_im);
                facc_add(&re[1], second, weight_re);
                facc_add(&im[1], second, weight_im);
            }
            for (int k = 0; k < 2; k++) total[k] = kv_add(total[k], (KV){facc_value(&re[k]), facc_value(&im[k])});
        }
        uint64_t lanes[2][16];
        for (int k = 0; k < 2; k++) kv_store(lanes[k], 0, total[k]);
        for (size_t k = 0; k < low + high; k++) {
            out[2 * (j + k)] = lanes[k / 8][k % 8];
            out[2 * (j + k) + 1] = lanes[k / 8][8 + k % 8];
        }
    }
}
static void weigh_narrow_array(const int64_t *values, size_t count, size_t width, const uint64_t *weights, uint64_t *out) {
    const size_t all = count * width, vectors = (all + 7) / 8;
    KV total = kv_zero();
    for (size_t from = 0; from < vectors; from += KACC_TERMS) {
        size_t end = vectors - from < KACC_TERMS ? vectors : from + KACC_TERMS;
        FAcc re = facc_zero(), im = facc_zero();
        for (size_t v = from; v < end; v++) {
            const V x = f_load_integers(values + 8 * v, all - 8 * v);
            facc_add(&re, x, v_load(weights + 16 * v));
            facc_add(&im, x, v_load(weights + 16 * v + 8));
        }
        total = kv_add(total, (KV){facc_value(&re), facc_value(&im)});
    }
    uint64_t lanes[16];
    kv_store(lanes, 0, total);
    for (size_t j = 0; j < width; j++) {
        K1 sum = {0, 0};
        for (size_t lane = j; lane < 8; lane += width) sum = k_add(sum, (K1){lanes[lane], lanes[8 + lane]});
        out[2 * j] = sum.re;
        out[2 * j + 1] = sum.im;
    }
}
static void k_bind_array(const uint64_t *a, const uint64_t *r, uint64_t *out, size_t vectors) {
    KFactor k = kv_factor((K1){r[0], r[1]});
    for (size_t v = 0; v < vectors / 2; v++) kv_store_canonical(out, v, kv_bind(kv_load(a, 2 * v), kv_load(a, 2 * v + 1), &k));
    if (vectors % 2) kv_store_canonical(out, vectors / 2, kv_bind(kv_load(a, vectors - 1), kv_zero(), &k));
}
const struct field_ops ISA(field_ops) = {f_add_array, f_sub_array,   f_mul_array, k_mul_array,
                                         k_scale_array, k_dot_array, k_combine_arrays, f_combine_arrays,
                                         weigh_array, weigh_narrow_array, k_bind_array};
