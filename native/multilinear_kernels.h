/* Evaluation of multilinear extensions. */

/* <low, vectors of an F table>, one chunk: at most KACC_TERMS vectors. */
#define MULTILINEAR_CHUNK_F(name, type, load)                                                                          \
    static KV name(const type *table, size_t vectors, const uint64_t *low) {                                           \
        FAcc re = facc_zero(), im = facc_zero();                                                                       \
        for (size_t v = 0; v < vectors; v++) {                                                                         \
            V x = load(table + 8 * v);                                                                                 \
            KV y = kv_load(low, v);                                                                                    \
            facc_add(&re, x, y.re);                                                                                    \
            facc_add(&im, x, y.im);                                                                                    \
        }                                                                                                              \
        return (KV){facc_value(&re), facc_value(&im)};                                                                 \
    }
MULTILINEAR_CHUNK_F(chunk_f, uint64_t, v_load)
MULTILINEAR_CHUNK_F(chunk_u32, uint32_t, v_load_u32)
#undef MULTILINEAR_CHUNK_F

static KV chunk_k(const uint64_t *table, size_t vectors, const uint64_t *low) {
    KAcc products = kacc_zero();
    for (size_t v = 0; v < vectors; v++) kacc_add(&products, kv_load(table, v), kv_load(low, v));
    return kacc_value(&products);
}

/* `count` elements of the table from element `first`, a multiple of 8; the last vector may be cut short. */
static KV multilinear_chunk(const void *table, int kind, size_t first, size_t count, const uint64_t *low) {
    size_t vectors = count / 8, rest = count % 8;
    if (kind == ZKDS_TABLE_K) return chunk_k((const uint64_t *)table + 2 * first, vectors, low);
    uint64_t last[8] = {0};
    KV sum;
    if (kind == ZKDS_TABLE_F) {
        const uint64_t *from = (const uint64_t *)table + first;
        sum = chunk_f(from, vectors, low);
        for (size_t i = 0; i < rest; i++) last[i] = from[8 * vectors + i];
    } else {
        const uint32_t *from = (const uint32_t *)table + first;
        sum = chunk_u32(from, vectors, low);
        for (size_t i = 0; i < rest; i++) last[i] = from[8 * vectors + i];
    }
    return rest ? kv_add(sum, kv_scale(v_load(last), kv_load(low, vectors))) : sum;
}

static void multilinear_evaluate(const void *table, int kind, size_t length, const uint64_t *low, const uint64_t *high,
                                 size_t from, size_t to, uint64_t *sum) {
    KV total = kv_load(sum, 0);
    for (size_t chunk = from; chunk < to; chunk++) {
        size_t first = chunk * EQ_CHUNK, count = length - first < EQ_CHUNK ? length - first : EQ_CHUNK;
        KFactor factor = kv_factor((K1){high[2 * chunk], high[2 * chunk + 1]});
        total = kv_mul_add(multilinear_chunk(table, kind, first, count, low), &factor, total);
    }
    kv_store(sum, 0, total);
}
const struct multilinear_ops ISA(multilinear_ops) = {multilinear_evaluate};
