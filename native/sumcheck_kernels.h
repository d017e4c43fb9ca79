/* Sumcheck rounds: each table is read once per round. A block of vectors is bound to the last challenge and, while it is in
 * the L1 cache, multiplied into the next round's sums (kernels.md, row 3). */

#define PREFETCH_VECTORS 64 /* how far ahead the input is fetched */

/* Vector v of a table, zero beyond the end. */
static KV table_vector(const struct zkds_table *table, size_t v) {
    size_t first = 8 * v;
    if (first >= table->length) return kv_zero();
    if (table->kind == ZKDS_TABLE_K) return kv_load(table->entries, v);
    size_t count = table->length - first < 8 ? table->length - first : 8;
    uint64_t lanes[8] = {0};
    for (size_t i = 0; i < count; i++)
        lanes[i] = table->kind == ZKDS_TABLE_F ? ((const uint64_t *)table->entries)[first + i]
                                               : ((const uint32_t *)table->entries)[first + i];
    return (KV){v_load(lanes), v_zero()};
}

/* ---- binding ---------------------------------------------------------------------------------------------------- */

static void bind_k(const uint64_t *table, uint64_t *out, size_t from, size_t to, const KFactor *r) {
    for (size_t v = from; v < to; v++) {
        kv_prefetch(table, 2 * v + PREFETCH_VECTORS);
        kv_prefetch(table, 2 * v + PREFETCH_VECTORS + 1);
        kv_store_canonical(out, v, kv_bind(kv_load(table, 2 * v), kv_load(table, 2 * v + 1), r));
    }
}
INLINE KV bind_base(V low, V high, KV r) {
    KV y = kv_scale(fv_sub(high, low), r);
    return (KV){fv_add(y.re, low), y.im};
}
static void bind_f(const uint64_t *table, uint64_t *out, size_t from, size_t to, KV r) {
    for (size_t v = from; v < to; v++) {
        v_prefetch(table + 16 * v + 8 * PREFETCH_VECTORS);
        v_prefetch(table + 16 * v + 8 * PREFETCH_VECTORS + 8);
        kv_store_canonical(out, v, bind_base(v_load(table + 16 * v), v_load(table + 16 * v + 8), r));
    }
}
static void bind_u32(const uint32_t *table, uint64_t *out, size_t from, size_t to, KV r) {
    for (size_t v = from; v < to; v++) {
        v_prefetch(table + 16 * v + 8 * PREFETCH_VECTORS);
        kv_store_canonical(out, v, bind_base(v_load_u32(table + 16 * v), v_load_u32(table + 16 * v + 8), r));
    }
}
/* Vectors from..to-1 of the bound table, as far as there are any. */
static void bind_vectors(const struct zkds_table *table, size_t from, size_t to, K1 r) {
    KFactor factor = kv_factor(r);
    size_t whole = table->length / 16, all = (table->length + 15) / 16, end = to < whole ? to : whole;
    if (table->kind == ZKDS_TABLE_K) bind_k(table->entries, table->bound, from, end, &factor);
    if (table->kind == ZKDS_TABLE_F) bind_f(table->entries, table->bound, from, end, kv_set1(r));
    if (table->kind == ZKDS_TABLE_U32) bind_u32(table->entries, table->bound, from, end, kv_set1(r));
    if (from <= whole && whole < to && whole < all)
        kv_store_canonical(table->bound, whole, kv_bind(table_vector(table, 2 * whole), table_vector(table, 2 * whole + 1), &factor));
}

/* ---- one term on one block -------------------------------------------------------------------------------------- */

/* The factors of a term on a block of pairs: K vectors 2w and 2w + 1 for pair w, or F vectors where `base` is set. */
struct factors {
    const uint64_t *entries[4];
    int base[4];
    int degree;
};

enum { NODE_ZERO, NODE_INFINITY, NODE_TWO, NODE_THREE };

/* low, high - low, 2 high - low or 3 high - 2 low, weak; low and high canonical */
INLINE V node_value(V low, V high, int node) {
    if (node == NODE_ZERO) return low;
    V slope = v_add(v_sub(high, low), fv_p());
    if (node == NODE_INFINITY) return fv_fold(slope);
    if (node == NODE_TWO) return fv_fold(v_add(slope, high));
    return fv_fold(v_add(v_add(slope, slope), high));
}
INLINE KV node_factor(const uint64_t *entries, size_t w, int node) {
    KV low = kv_load(entries, 2 * w);
    if (node == NODE_ZERO) return low;
    KV high = kv_load(entries, 2 * w + 1);
    return (KV){node_value(low.re, high.re, node), node_value(low.im, high.im, node)};
}
/* The same for an operand of kacc_add, which may be unreduced. */
INLINE KV node_operand(const uint64_t *entries, size_t w, int node) {
    if (node != NODE_INFINITY) return node_factor(entries, w, node);
    return kacc_slope(kv_load(entries, 2 * w), kv_load(entries, 2 * w + 1));
}
INLINE V node_base(const uint64_t *entries, size_t w, int node) {
    return node_value(v_load(entries + 16 * w), v_load(entries + 16 * w + 8), node);
}

/* The product of the first `count` factors at a node. */
INLINE KV partial_product(const struct factors *f, int count, size_t w, int node) {
    KV product = node_factor(f->entries[0], w, node);
    for (int j = 1; j < count; j++) product = kv_mul(product, node_factor(f->entries[j], w, node));
    return product;
}

/* The sum of a term over `pairs` pairs at a node. */
INLINE KV sum_at_node(const struct factors *f, size_t pairs, int node) {
    if (f->degree == 1) {
        KV sum = kv_zero();
        for (size_t w = 0; w < pairs; w++) sum = kv_add(sum, node_factor(f->entries[0], w, node));
        return sum;
    }
    if (f->degree == 2 && f->base[0] && f->base[1]) {
        FAcc sum = facc_zero();
        for (size_t w = 0; w < pairs; w++) facc_add(&sum, node_base(f->entries[0], w, node), node_base(f->entries[1], w, node));
        return (KV){facc_value(&sum), v_zero()};
    }
    if (f->degree == 2 && f->base[0]) {
        FAcc re = facc_zero(), im = facc_zero();
        for (size_t w = 0; w < pairs; w++) {
            V s = node_base(f->entries[0], w, node);
            KV y = node_factor(f->entries[1], w, node);
            facc_add(&re, s, y.re);
            facc_add(&im, s, y.im);
        }
        return (KV){facc_value(&re), facc_value(&im)};
    }
    KAcc sum = kacc_zero();
    if (f->degree == 2) {
        for (size_t w = 0; w < pairs; w++)
            kacc_add(&sum, node_operand(f->entries[0], w, node), node_operand(f->entries[1], w, node));
    } else {
        for (size_t w = 0; w < pairs; w++)
            kacc_add(&sum, partial_product(f, f->degree - 1, w, node), node_operand(f->entries[f->degree - 1], w, node));
    }
    return kacc_value(&sum);
}
/* Whether the product is (a b)^2. */
INLINE int is_square(const struct factors *f) {
    return f->degree == 4 && f->entries[0] == f->entries[1] && f->entries[2] == f->entries[3];
}
INLINE KV square_at_node(const struct factors *f, size_t w, int node) {
    return kv_square(kv_mul(node_factor(f->entries[0], w, node), node_factor(f->entries[2], w, node)));
}
/* products[w] += the term at a node; or = if `fresh` */
INLINE void products_at_node(const struct factors *f, size_t pairs, int node, int fresh, uint64_t *products) {
    if (f->degree == 2 && fresh) {
        for (size_t w = 0; w < pairs; w++) kv_store_weak(products, w, partial_product(f, 2, w, node));
    } else if (is_square(f) && fresh) {
        for (size_t w = 0; w < pairs; w++) kv_store_weak(products, w, square_at_node(f, w, node));
    } else {
        for (size_t w = 0; w < pairs; w++) {
            KV product = partial_product(f, f->degree, w, node);
            kv_store_weak(products, w, fresh ? product : kv_add(kv_load(products, w), product));
        }
    }
}

/* One value per node of the message, so that each loop is compiled for its node. */
static KV sum_term(const struct factors *f, size_t pairs, int node) {
    switch (node) {
    case NODE_ZERO: return sum_at_node(f, pairs, NODE_ZERO);
    case NODE_INFINITY: return sum_at_node(f, pairs, NODE_INFINITY);
    case NODE_TWO: return sum_at_node(f, pairs, NODE_TWO);
    default: return sum_at_node(f, pairs, NODE_THREE);
    }
}
static void add_products(const struct factors *f, size_t pairs, int node, int fresh, uint64_t *products) {
    switch (node) {
    case NODE_ZERO: products_at_node(f, pairs, NODE_ZERO, fresh, products); break;
    case NODE_INFINITY: products_at_node(f, pairs, NODE_INFINITY, fresh, products); break;
    case NODE_TWO: products_at_node(f, pairs, NODE_TWO, fresh, products); break;
    default: products_at_node(f, pairs, NODE_THREE, fresh, products); break;
    }
}

/* ---- one block -------------------------------------------------------------------------------------------------- */

struct block_scratch {
    uint64_t widened[4][16 * 2 * SUMCHECK_BLOCK]; /* factors that are not K tables yet */
    uint64_t products[SUMCHECK_NODES][16 * SUMCHECK_BLOCK]; /* weighted sums: the terms so far, pair by pair */
    size_t filled[SUMCHECK_NODES];                          /* pairs of `products` in use; the others count as zero */
};

/* F vectors of a block of a table of small integers. */
static void widen(const uint32_t *from, uint64_t *to, size_t vectors) {
    for (size_t v = 0; v < vectors; v++) v_store(to + 8 * v, v_load_u32(from + 8 * v));
}
/* F vectors -> K vectors, in place */
static void embed(const uint64_t *from, uint64_t *to, size_t vectors) {
    for (size_t v = vectors; v-- > 0;) {
        V x = v_load(from + 8 * v);
        v_store(to + 16 * v, x);
        v_store(to + 16 * v + 8, v_zero());
    }
}

/* The factors of a term at pairs first..first+pairs-1, all of them whole. */
static struct factors whole_factors(const struct zkds_table *const tables[4], int degree, size_t first, size_t pairs, int keep_base,
                                    struct block_scratch *scratch) {
    struct factors f = {{0}, {0}, degree};
    for (int j = 0; j < degree; j++) {
        const struct zkds_table *table = tables[j];
        if (table->kind == ZKDS_TABLE_K) {
            f.entries[j] = (const uint64_t *)table->entries + 32 * first;
            continue;
        }
        f.base[j] = 1;
        f.entries[j] = (const uint64_t *)table->entries + 16 * first;
        if (table->kind == ZKDS_TABLE_U32) {
            widen((const uint32_t *)table->entries + 16 * first, scratch->widened[j], 2 * pairs);
            f.entries[j] = scratch->widened[j];
        }
    }
    for (int j = 0; j < degree; j++)
        if (f.base[j] && !keep_base) {
            embed(f.entries[j], scratch->widened[j], 2 * pairs);
            f.entries[j] = scratch->widened[j];
            f.base[j] = 0;
        }
    return f;
}
/* The one pair that a table's end cuts, zero-filled. */
static struct factors cut_factors(const struct zkds_table *const tables[4], int degree, size_t pair, struct block_scratch *scratch) {
    struct factors f = {{0}, {0}, degree};
    for (int j = 0; j < degree; j++) {
        kv_store(scratch->widened[j], 0, table_vector(tables[j], 2 * pair));
        kv_store(scratch->widened[j], 1, table_vector(tables[j], 2 * pair + 1));
        f.entries[j] = scratch->widened[j];
    }
    return f;
}

/* Adds a term's values at pairs offset..offset+pairs-1 of the block to sums[node], or pair by pair to the products. */
static void add_term(const struct sumcheck_round *round, const struct factors *f, size_t offset, size_t pairs,
                     struct block_scratch *scratch, KV sums[SUMCHECK_NODES]) {
    for (int node = 0; node < round->degree; node++) {
        if (node == NODE_INFINITY && f->degree < round->degree) continue;
        if (!round->eq_low) {
            sums[node] = kv_add(sums[node], sum_term(f, pairs, node));
            continue;
        }
        size_t filled = scratch->filled[node], end = offset + pairs; /* terms start at 0 or where they have filled up to */
        int fresh = offset >= filled;
        if (!fresh && end > filled) memset(scratch->products[node] + 16 * filled, 0, 128 * (end - filled));
        add_products(f, pairs, node, fresh, scratch->products[node] + 16 * offset);
        if (end > filled) scratch->filled[node] = end;
    }
}

/* Adds a term on one block to sums[node], or to the products if there are weights. */
static void term_on_block(const struct sumcheck_round *round, const struct zkds_term *term, size_t first, size_t last,
                          struct block_scratch *scratch, KV sums[SUMCHECK_NODES]) {
    struct zkds_table bound[4];
    const struct zkds_table *tables[4];
    size_t whole = SIZE_MAX, all = SIZE_MAX; /* beyond these, some factor is cut, or is zero */
    int base = 0;
    for (int j = 0; j < term->degree; j++) {
        bound[j] = round->tables[term->factors[j]];
        if (round->r) bound[j] = sumcheck_bound(&bound[j]);
        tables[j] = &bound[j];
        if (bound[j].length / 16 < whole) whole = bound[j].length / 16;
        if ((bound[j].length + 15) / 16 < all) all = (bound[j].length + 15) / 16;
        base += bound[j].kind != ZKDS_TABLE_K;
    }
    if (base == 1 && tables[0]->kind == ZKDS_TABLE_K && term->degree == 2) { /* the base field's factor first */
        tables[0] = &bound[1];
        tables[1] = &bound[0];
    }
    int keep_base = base > 0 && term->degree == 2 && !round->eq_low;
    size_t end = last < whole ? last : whole;
    if (first < end) {
        struct factors f = whole_factors(tables, term->degree, first, end - first, keep_base, scratch);
        add_term(round, &f, 0, end - first, scratch, sums);
    }
    if (whole < all && first <= whole && whole < last) {
        struct factors f = cut_factors(tables, term->degree, whole, scratch);
        add_term(round, &f, whole - first, 1, scratch, sums);
    }
}

static KV weigh_products(const uint64_t *products, size_t pairs, const KWeight *eq_low) {
    KAcc sum = kacc_zero();
    for (size_t w = 0; w < pairs; w++) kacc_add_weight(&sum, kv_load(products, w), &eq_low[w]);
    return kacc_value(&sum);
}

/* ---- weighted sums of products of two on a whole block ------------------------------------------------------------------ */

/* Terms of one coefficient, a product of two factors each: both K, or F times K for all of them. */
#define MOST_DOTS 64
struct dots {
    const uint64_t *left[MOST_DOTS], *right[MOST_DOTS];
    size_t count;
    int base;
};

/* sum over pairs of eq * (sum over terms at a node): one reduction for the terms of a pair. */
INLINE KV dots_at_node(const struct dots *dots, size_t pairs, int node, const KWeight *eq_low) {
    KAcc total = kacc_zero();
    for (size_t w = 0; w < pairs; w++) {
        KV sum;
        if (dots->base) {
            FAcc re = facc_zero(), im = facc_zero();
            for (size_t t = 0; t < dots->count; t++) {
                V s = node_base(dots->left[t], w, node);
                KV y = node_operand(dots->right[t], w, node);
                facc_add(&re, s, y.re);
                facc_add(&im, s, y.im);
            }
            sum = (KV){facc_value(&re), facc_value(&im)};
        } else {
            KAcc terms = kacc_zero();
            for (size_t t = 0; t < dots->count; t++)
                kacc_add(&terms, node_operand(dots->left[t], w, node), node_operand(dots->right[t], w, node));
            sum = kacc_value(&terms);
        }
        kacc_add_weight(&total, sum, &eq_low[w]);
    }
    return kacc_value(&total);
}
static KV weigh_dots(const struct dots *dots, size_t pairs, int node, const KWeight *eq_low) {
    switch (node) {
    case NODE_ZERO: return dots_at_node(dots, pairs, NODE_ZERO, eq_low);
    case NODE_INFINITY: return dots_at_node(dots, pairs, NODE_INFINITY, eq_low);
    case NODE_TWO: return dots_at_node(dots, pairs, NODE_TWO, eq_low);
    default: return dots_at_node(dots, pairs, NODE_THREE, eq_low);
    }
}

/* Append a term, unless it is no such product or a factor ends in or before the block: then 0. */
static int append_dot(struct dots *dots, const struct sumcheck_round *round, const struct zkds_term *term, size_t first, size_t last) {
    struct zkds_table tables[2];
    if (term->degree != 2 || dots->count == MOST_DOTS) return 0;
    for (int j = 0; j < 2; j++) {
        tables[j] = round->tables[term->factors[j]];
        if (round->r) tables[j] = sumcheck_bound(&tables[j]);
        if (tables[j].length / 16 < last || tables[j].kind == ZKDS_TABLE_U32) return 0;
    }
    const int base = (tables[0].kind == ZKDS_TABLE_F) + (tables[1].kind == ZKDS_TABLE_F), swap = tables[0].kind == ZKDS_TABLE_K;
    if (base == 2 || (dots->count && dots->base != base)) return 0;
    const struct zkds_table *left = &tables[swap], *right = &tables[!swap];
    dots->base = base;
    dots->left[dots->count] = (const uint64_t *)left->entries + (base ? 16 : 32) * first;
    dots->right[dots->count++] = (const uint64_t *)right->entries + 32 * first;
    return 1;
}

static int same_coefficient(const struct zkds_term *a, const struct zkds_term *b) {
    return a->coefficient[0] == b->coefficient[0] && a->coefficient[1] == b->coefficient[1];
}

/* Binds a table on a block of pairs, once. */
static void bind_once(const struct sumcheck_round *round, size_t table, size_t first, size_t last, unsigned char *flags) {
    if (!round->r || flags[table]) return;
    flags[table] = 1;
    bind_vectors(&round->tables[table], 2 * first, 2 * last, (K1){round->r[0], round->r[1]});
}

/* Terms from..to-1, of one coefficient, on one block: adds to sums[node]. */
static void group_on_block(const struct sumcheck_round *round, size_t from, size_t to, size_t first, size_t last,
                           unsigned char *flags, struct block_scratch *scratch, KV sums[SUMCHECK_NODES]) {
    KV group[SUMCHECK_NODES] = {kv_zero(), kv_zero(), kv_zero(), kv_zero()};
    struct dots dots = {.count = 0};
    memset(scratch->filled, 0, sizeof scratch->filled);
    for (size_t t = from; t < to; t++) {
        const struct zkds_term *term = &round->terms[t];
        for (int j = 0; j < term->degree; j++) bind_once(round, (size_t)term->factors[j], first, last, flags);
        if (!round->eq_low || !append_dot(&dots, round, term, first, last)) term_on_block(round, term, first, last, scratch, group);
    }
    K1 coefficient = {round->terms[from].coefficient[0], round->terms[from].coefficient[1]};
    KFactor factor = kv_factor(coefficient);
    for (int node = 0; node < round->degree; node++) {
        if (round->eq_low) group[node] = weigh_products(scratch->products[node], scratch->filled[node], round->eq_low);
        if (dots.count && (node != NODE_INFINITY || round->degree == 2))
            group[node] = kv_add(group[node], weigh_dots(&dots, last - first, node, round->eq_low));
        if (coefficient.re == 1 && coefficient.im == 0)
            sums[node] = kv_add(sums[node], group[node]);
        else
            sums[node] = kv_mul_add(group[node], &factor, sums[node]);
    }
}

static void sumcheck_blocks(const struct sumcheck_round *round, size_t from, size_t to, unsigned char *flags, uint64_t *sums) {
    struct block_scratch scratch;
    KV total[SUMCHECK_NODES];
    for (int node = 0; node < round->degree; node++) total[node] = kv_load(sums, (size_t)node);
    for (size_t block = from; block < to; block++) {
        size_t first = block * SUMCHECK_BLOCK, last = first + SUMCHECK_BLOCK;
        KV sum[SUMCHECK_NODES] = {kv_zero(), kv_zero(), kv_zero(), kv_zero()};
        memset(flags, 0, round->table_count);
        for (size_t t = 0, next; round->degree > 0 && t < round->term_count; t = next) {
            for (next = t + 1; next < round->term_count && same_coefficient(&round->terms[t], &round->terms[next]); next++) {}
            group_on_block(round, t, next, first, last, flags, &scratch, sum);
        }
        for (size_t table = 0; table < round->table_count; table++) bind_once(round, table, first, last, flags);
        for (int node = 0; node < round->degree; node++) {
            if (round->eq_high) {
                KFactor high = kv_factor((K1){round->eq_high[2 * block], round->eq_high[2 * block + 1]});
                total[node] = kv_mul_add(sum[node], &high, total[node]);
            } else {
                total[node] = kv_add(total[node], sum[node]);
            }
        }
    }
    for (int node = 0; node < round->degree; node++) kv_store(sums, (size_t)node, total[node]);
}
const struct sumcheck_ops ISA(sumcheck_ops) = {sumcheck_blocks};
