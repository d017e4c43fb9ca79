/* Trees of fractions: leaves, levels, and the rounds of their sumchecks (api/fraction.h has the formulas).
 *
 * A round works block by block, so that what one step writes is in the first-level cache for the next: form or fold the
 * block, multiply out its pairs at 0 and at infinity, add them up with their weights. */
#define FRACTION_BLOCK 16 /* pairs of parents */
#define FRACTION_AHEAD 64 /* vectors of prefetch distance: without it large levels take nearly twice as long */

INLINE K1 k_from(const uint64_t *pair) { return (K1){pair[0], pair[1]}; }

/* ---- leaves ------------------------------------------------------------------------------------------------------ */

static size_t leaf_segment(const zkds_leaves *leaves, uint64_t leaf) {
    size_t low = 0, high = leaves->segment_count - 1;
    while (low < high) {
        size_t middle = (low + high + 1) / 2;
        if (leaves->segments[middle].first <= leaf)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static K1 leaf_value(const zkds_leaves *leaves, const zkds_leaf_segment *s, uint64_t leaf) {
    K1 q = k_add((K1){s->re, s->im}, k_from(leaves->shift));
    if (s->width >= 1) q.re = f_sub(q.re, leaves->cells[leaf]);
    if (s->width >= 2) q = k_sub(q, k_mul(k_from(leaves->beta2), (K1){leaves->cells[s->second + leaf - s->first], 0}));
    if (s->width >= 3) q = k_sub(q, k_mul(k_from(leaves->beta3), (K1){leaves->cells[s->third + leaf - s->first], 0}));
    return q;
}

/* A vector that crosses from one segment to another. */
static void leaf_mixed_vector(const zkds_leaves *leaves, size_t segment, uint64_t leaf, uint64_t *q) {
    for (int lane = 0; lane < 8; lane++, leaf++) {
        while (leaf >= leaves->segments[segment].end) segment++;
        K1 value = leaf_value(leaves, leaves->segments + segment, leaf);
        q[lane] = value.re;
        q[8 + lane] = value.im;
    }
}

/* Whole vectors inside one segment. */
static void leaf_run(const zkds_leaves *leaves, const zkds_leaf_segment *s, uint64_t leaf, size_t vectors, uint64_t *q) {
    K1 constant = k_add((K1){s->re, s->im}, k_from(leaves->shift));
    KV base = kv_set1(constant);
    V lifted = v_set1(constant.re + P61);
    if (s->width == 0) {
        for (size_t v = 0; v < vectors; v++) kv_store(q, v, base);
        return;
    }
    const uint32_t *first = leaves->cells + leaf;
    if (s->width == 1) {
        for (size_t v = 0; v < vectors; v++) {
            v_prefetch(first + 8 * v + 8 * FRACTION_AHEAD);
            kv_store(q, v, (KV){v_sub(lifted, v_load_u32(first + 8 * v)), base.im});
        }
        return;
    }
    K1 minus_beta2 = k_sub((K1){0, 0}, k_from(leaves->beta2)), minus_beta3 = k_sub((K1){0, 0}, k_from(leaves->beta3));
    KV factor2 = kv_set1(minus_beta2), factor3 = kv_set1(minus_beta3);
    const uint32_t *second = leaves->cells + s->second + (leaf - s->first);
    const uint32_t *third = leaves->cells + s->third + (leaf - s->first);
    for (size_t v = 0; v < vectors; v++) {
        KV x = {fv_fold(v_sub(lifted, v_load_u32(first + 8 * v))), base.im};
        x = kv_add(x, kv_scale(v_load_u32(second + 8 * v), factor2));
        if (s->width >= 3) x = kv_add(x, kv_scale(v_load_u32(third + 8 * v), factor3));
        kv_store(q, v, x);
    }
}

static void leaf_values(const zkds_leaves *leaves, size_t vector, size_t vectors, uint64_t *q) {
    uint64_t leaf = 8 * (uint64_t)vector, end = leaf + 8 * (uint64_t)vectors;
    size_t segment = leaf_segment(leaves, leaf);
    while (leaf < end) {
        while (leaf >= leaves->segments[segment].end) segment++;
        uint64_t stop = leaves->segments[segment].end < end ? leaves->segments[segment].end : end;
        size_t whole = (size_t)(stop - leaf) / 8;
        if (whole) {
            leaf_run(leaves, leaves->segments + segment, leaf, whole, q);
        } else {
            leaf_mixed_vector(leaves, segment, leaf, q);
            whole = 1;
        }
        q += 16 * whole;
        leaf += 8 * (uint64_t)whole;
    }
}

/* ---- levels ------------------------------------------------------------------------------------------------------ */

static void leaf_parents(const zkds_leaves *leaves, size_t vector, size_t vectors, uint64_t *p, uint64_t *q) {
    uint64_t block[2 * FRACTION_BLOCK * 16] __attribute__((aligned(64)));
    for (size_t from = 0; from < vectors; from += FRACTION_BLOCK) {
        size_t count = vectors - from < FRACTION_BLOCK ? vectors - from : FRACTION_BLOCK;
        leaf_values(leaves, vector + 2 * from, 2 * count, block);
        for (size_t v = 0; v < count; v++) {
            KV q0 = kv_load(block, 2 * v), q1 = kv_load(block, 2 * v + 1);
            kv_store(p, from + v, (KV){v_add(q0.re, q1.re), v_add(q0.im, q1.im)});
            kv_store(q, from + v, kv_mul(q0, q1));
        }
    }
}

INLINE void parents_of(const uint64_t *p, const uint64_t *q, size_t vectors, int prefetch, uint64_t *p_out, uint64_t *q_out) {
    for (size_t v = 0; v < vectors; v++) {
        for (size_t k = 0; prefetch && k < 2; k++) {
            kv_prefetch(p, 2 * v + k + FRACTION_AHEAD);
            kv_prefetch(q, 2 * v + k + FRACTION_AHEAD);
        }
        KV p0 = kv_load(p, 2 * v), p1 = kv_load(p, 2 * v + 1), q0 = kv_load(q, 2 * v), q1 = kv_load(q, 2 * v + 1);
        KV left = kv_mul(p0, q1), right = kv_mul(p1, q0);
        kv_store(p_out, v, (KV){v_add(left.re, right.re), v_add(left.im, right.im)});
        kv_store(q_out, v, kv_mul(q0, q1));
    }
}

static void fraction_parents(const uint64_t *p, const uint64_t *q, size_t vectors, uint64_t *p_out, uint64_t *q_out) {
    parents_of(p, q, vectors, 1, p_out, q_out);
}

/* Two levels above the leaves from leaf vector `vector`; the one between is in the first-level cache only. */
static void leaf_grandparents(const zkds_leaves *leaves, size_t vector, size_t vectors, uint64_t *p, uint64_t *q) {
    uint64_t parents[2][2 * FRACTION_BLOCK * 16] __attribute__((aligned(64)));
    for (size_t from = 0; from < vectors; from += FRACTION_BLOCK) {
        size_t count = vectors - from < FRACTION_BLOCK ? vectors - from : FRACTION_BLOCK;
        leaf_parents(leaves, vector + 4 * from, 2 * count, parents[0], parents[1]);
        parents_of(parents[0], parents[1], count, 0, p + 16 * from, q + 16 * from);
    }
}

/* ---- weighted sums ----------------------------------------------------------------------------------------------- */

INLINE void weigh_block(KAcc *total, const uint64_t *values, const KWeight *weights, size_t count) {
    KAcc sum = *total; /* in registers during the loop */
    for (size_t j = 0; j < count; j++) kacc_add_weight(&sum, kv_load(values, j), weights + j);
    *total = sum;
}

INLINE void add_to_sums(uint64_t *sums, KV value, const uint64_t *high_weight) {
    kv_store(sums, 0, kv_add(kv_load(sums, 0), kv_mul(value, kv_set1(k_from(high_weight)))));
}

/* ---- fractions: p0 q1 + q0 (p1 + lambda q1) ------------------------------------------------------------------------ */

/* The terms of `count` pairs of parents: at 0 and at infinity. With `merge`, p1 is still without lambda q1. */
INLINE void fraction_terms(const uint64_t *p, const uint64_t *q, size_t count, int merge, const KFactor *lambda, int prefetch,
                           uint64_t *at_zero, uint64_t *at_infinity) {
    for (size_t j = 0; j < count; j++) {
        if (prefetch)
            for (size_t k = 0; k < 4; k++) kv_prefetch(p, 4 * j + k + FRACTION_AHEAD);
        KV p0 = kv_load(p, 4 * j), p1 = kv_load(p, 4 * j + 1), q0 = kv_load(q, 4 * j), q1 = kv_load(q, 4 * j + 1);
        if (merge) p1 = kv_mul_add(q1, lambda, p1);
        kv_store_weak(at_zero, j, kv_add(kv_mul(p0, q1), kv_mul(q0, p1)));
    }
    for (size_t j = 0; j < count; j++) {
        if (prefetch)
            for (size_t k = 0; k < 4; k++) kv_prefetch(q, 4 * j + k + FRACTION_AHEAD);
        KV p0 = kv_sub(kv_load(p, 4 * j + 2), kv_load(p, 4 * j)), p1 = kv_sub(kv_load(p, 4 * j + 3), kv_load(p, 4 * j + 1));
        KV q0 = kv_sub(kv_load(q, 4 * j + 2), kv_load(q, 4 * j)), q1 = kv_sub(kv_load(q, 4 * j + 3), kv_load(q, 4 * j + 1));
        if (merge) p1 = kv_mul_add(q1, lambda, p1);
        kv_store_weak(at_infinity, j, kv_add(kv_mul(p0, q1), kv_mul(q0, p1)));
    }
}

/* Fold `parents` output parents; two child vectors each. */
INLINE void fold_table(const uint64_t *in, uint64_t *out, size_t parents, const KFactor *r) {
    for (size_t w = 0; w < parents; w++) {
        for (size_t k = 0; k < 4; k++) kv_prefetch(in, 4 * w + k + FRACTION_AHEAD);
        kv_store(out, 2 * w, kv_bind(kv_load(in, 4 * w), kv_load(in, 4 * w + 2), r));
        kv_store(out, 2 * w + 1, kv_bind(kv_load(in, 4 * w + 1), kv_load(in, 4 * w + 3), r));
    }
}
INLINE void merge_tables(uint64_t *p, const uint64_t *q, size_t parents, const KFactor *lambda) {
    for (size_t w = 0; w < parents; w++)
        kv_store(p, 2 * w + 1, kv_mul_add(kv_load(q, 2 * w + 1), lambda, kv_load(p, 2 * w + 1)));
}

/* Input vectors of a layer: of the tables, or a level above the leaves, formed in the buffers. */
struct fractions {
    const uint64_t *p, *q;
};
INLINE struct fractions input_fractions(const struct fraction_round *round, size_t vector, size_t count, uint64_t *p, uint64_t *q) {
    if (!round->leaves) return (struct fractions){round->p + 16 * vector, round->q + 16 * vector};
    leaf_parents(round->leaves, round->first_vector + 2 * vector, count, p, q);
    return (struct fractions){p, q};
}

INLINE void fold_fractions(const struct fraction_round *round, struct fractions in, size_t from, size_t to) {
    KFactor r = kv_factor(k_from(round->challenge)), lambda = kv_factor(k_from(round->lambda));
    fold_table(in.p, round->p_out + 32 * from, to - from, &r);
    fold_table(in.q, round->q_out + 32 * from, to - from, &r);
    if (round->merge) merge_tables(round->p_out + 32 * from, round->q_out + 32 * from, to - from, &lambda);
}

static void fraction_fold(const struct fraction_round *round, size_t from, size_t to) {
    fold_fractions(round, (struct fractions){round->p + 64 * from, round->q + 64 * from}, from, to);
}

static void fraction_round(const struct fraction_round *round, size_t from, size_t to, uint64_t *sums) {
    uint64_t buffers[2][8 * 16 * FRACTION_BLOCK] __attribute__((aligned(64)));
    uint64_t terms[2][16 * FRACTION_BLOCK] __attribute__((aligned(64)));
    KFactor lambda = kv_factor(k_from(round->lambda));
    memset(sums, 0, 32 * sizeof *sums);
    for (size_t high = from; high < to; high++) {
        KAcc at_zero = kacc_zero(), at_infinity = kacc_zero();
        for (size_t low = 0; low < round->low_count; low += FRACTION_BLOCK) {
            size_t pair = high * round->low_count + low, left = round->low_count - low;
            size_t count = left < FRACTION_BLOCK ? left : FRACTION_BLOCK;
            size_t inputs = round->challenge ? 8 : 4; /* vectors a pair */
            struct fractions in = input_fractions(round, inputs * pair, inputs * count, buffers[0], buffers[1]);
            if (round->challenge) {
                fold_fractions(round, in, 2 * pair, 2 * (pair + count));
                fraction_terms(round->p_out + 64 * pair, round->q_out + 64 * pair, count, 0, &lambda, 0, terms[0], terms[1]);
            } else if (round->leaves) {
                fraction_terms(in.p, in.q, count, 1, &lambda, 0, terms[0], terms[1]);
            } else if (round->merge) {
                fraction_terms(in.p, in.q, count, 1, &lambda, 1, terms[0], terms[1]);
            } else {
                fraction_terms(in.p, in.q, count, 0, &lambda, 1, terms[0], terms[1]);
            }
            weigh_block(&at_zero, terms[0], (const KWeight *)round->low_weights + low, count);
            weigh_block(&at_infinity, terms[1], (const KWeight *)round->low_weights + low, count);
        }
        add_to_sums(sums, kacc_value(&at_zero), round->high_weights + 2 * high);
        add_to_sums(sums + 16, kacc_value(&at_infinity), round->high_weights + 2 * high);
    }
}

/* ---- products: q0 q1 ----------------------------------------------------------------------------------------------- */

INLINE void product_terms(const uint64_t *q, size_t count, uint64_t *at_zero, uint64_t *at_infinity) {
    for (size_t j = 0; j < count; j++) kv_store_weak(at_zero, j, kv_mul(kv_load(q, 4 * j), kv_load(q, 4 * j + 1)));
    for (size_t j = 0; j < count; j++) {
        KV q0 = kv_sub(kv_load(q, 4 * j + 2), kv_load(q, 4 * j)), q1 = kv_sub(kv_load(q, 4 * j + 3), kv_load(q, 4 * j + 1));
        kv_store_weak(at_infinity, j, kv_mul(q0, q1));
    }
}

static void product_fold(const struct fraction_round *round, size_t from, size_t to) {
    KFactor r = kv_factor(k_from(round->challenge));
    fold_table(round->q + 64 * from, round->q_out + 32 * from, to - from, &r);
}

/* The block of input vectors [vector, vector + count), from the table or formed in `buffer`. */
INLINE const uint64_t *input_block(const struct fraction_round *round, size_t vector, size_t count, uint64_t *buffer) {
    if (!round->leaves) return round->q + 16 * vector;
    leaf_values(round->leaves, round->first_vector + vector, count, buffer);
    return buffer;
}

static void product_round(const struct fraction_round *round, size_t from, size_t to, uint64_t *sums) {
    uint64_t buffer[8 * 16 * FRACTION_BLOCK] __attribute__((aligned(64)));
    uint64_t terms[2][16 * FRACTION_BLOCK] __attribute__((aligned(64)));
    KFactor r = kv_factor(round->challenge ? k_from(round->challenge) : (K1){0, 0});
    memset(sums, 0, 32 * sizeof *sums);
    for (size_t high = from; high < to; high++) {
        KAcc at_zero = kacc_zero(), at_infinity = kacc_zero();
        for (size_t low = 0; low < round->low_count; low += FRACTION_BLOCK) {
            size_t pair = high * round->low_count + low, left = round->low_count - low;
            size_t count = left < FRACTION_BLOCK ? left : FRACTION_BLOCK;
            const uint64_t *q;
            if (round->challenge) {
                fold_table(input_block(round, 8 * pair, 8 * count, buffer), round->q_out + 64 * pair, 2 * count, &r);
                q = round->q_out + 64 * pair;
            } else {
                q = input_block(round, 4 * pair, 4 * count, buffer);
            }
            product_terms(q, count, terms[0], terms[1]);
            weigh_block(&at_zero, terms[0], (const KWeight *)round->low_weights + low, count);
            weigh_block(&at_infinity, terms[1], (const KWeight *)round->low_weights + low, count);
        }
        add_to_sums(sums, kacc_value(&at_zero), round->high_weights + 2 * high);
        add_to_sums(sums + 16, kacc_value(&at_infinity), round->high_weights + 2 * high);
    }
}

const struct fraction_ops ISA(fraction_ops) = {leaf_values,   leaf_grandparents, fraction_parents, fraction_round,
                                               product_round, fraction_fold,     product_fold};
