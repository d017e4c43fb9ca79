/* Number-theoretic transform over K on blocked arrays; see ntt_ops.h for the tree. */

INLINE K1 ntt_entry(const uint64_t *table, size_t index) { return (K1){table[2 * index], table[2 * index + 1]}; }

/* Multiplication by i, of weak components: (-im, re). */
INLINE KV ntt_times_i(KV x) { return (KV){v_sub(v_set1(2 * P61), x.im), x.re}; }

/* Multiplication by e(1/8) = 2^30 (1 + i): 2^30 rotates a number of 61 bits. Components below 2^63 - 4 in, below 2^61 + 2^33
 * out, so that sums and differences of four of them still fit ntt_four. */
INLINE V ntt_rotate(V x) { return v_add(v_and(v_sll(x, 30), fv_p()), v_srl(x, 31)); }
INLINE KV ntt_times_eighth(KV x) {
    V difference = v_add(v_sub(x.re, x.im), v_set1(4 * P61));
    return (KV){ntt_rotate(difference), ntt_rotate(v_add(x.re, x.im))};
}

/* The transform of four values at z = 1, -1, i, -i. Components of the inputs below 2^61 + 2^34, weak outputs. */
INLINE void ntt_four(const KV x[4], KV y[4]) {
    const V bias = v_set1(4 * P61);
    KV even = {v_add(x[0].re, x[2].re), v_add(x[0].im, x[2].im)}, odd = {v_add(x[1].re, x[3].re), v_add(x[1].im, x[3].im)};
    KV low = {v_add(v_sub(x[0].re, x[2].re), bias), v_add(v_sub(x[0].im, x[2].im), bias)};
    KV high = {v_sub(x[1].re, x[3].re), v_sub(x[1].im, x[3].im)}; /* signed */
    y[0] = (KV){fv_fold(v_add(even.re, odd.re)), fv_fold(v_add(even.im, odd.im))};
    y[1] = (KV){fv_fold(v_add(v_sub(even.re, odd.re), bias)), fv_fold(v_add(v_sub(even.im, odd.im), bias))};
    y[2] = (KV){fv_fold(v_sub(low.re, high.im)), fv_fold(v_add(low.im, high.re))};
    y[3] = (KV){fv_fold(v_add(low.re, high.im)), fv_fold(v_sub(low.im, high.re))};
}

/* The transform of eight weak values at the eighth roots of unity, in the tree's order; weak outputs. */
INLINE void ntt_eight(const KV x[8], KV y[8]) {
    KV even[4], odd[4];
    for (int j = 0; j < 4; j++) {
        even[j] = kv_add(x[j], x[j + 4]);
        odd[j] = kv_sub(x[j], x[j + 4]);
    }
    odd[1] = ntt_times_eighth(odd[1]);
    odd[2] = ntt_times_i(odd[2]);
    odd[3] = ntt_times_eighth(ntt_times_i(odd[3]));
    odd[2].re = fv_fold(odd[2].re);
    ntt_four(even, y);
    ntt_four(odd, y + 4);
}

/* One node of 2 half vectors into its two children. */
static void ntt_pass2(uint64_t *x, size_t half, K1 s) {
    const KFactor factor = kv_factor(s);
    for (size_t v = 0; v < half; v++) {
        KV low = kv_load(x, v), high = kv_mul_factor(kv_load(x, v + half), &factor);
        kv_store_weak(x, v, kv_add(low, high));
        kv_store_weak(x, v + half, kv_sub(low, high));
    }
}

/* One node of 4 quarter vectors into its four grandchildren. */
static void ntt_pass4(uint64_t *x, size_t quarter, K1 b, K1 b2, K1 b3) {
    const KFactor f1 = kv_factor(b), f2 = kv_factor(b2), f3 = kv_factor(b3);
    for (size_t v = 0; v < quarter; v++) {
        KV in[4], out[4];
        in[0] = kv_load(x, v);
        in[1] = kv_mul_factor(kv_load(x, v + quarter), &f1);
        in[2] = kv_mul_factor(kv_load(x, v + 2 * quarter), &f2);
        in[3] = kv_mul_factor(kv_load(x, v + 3 * quarter), &f3);
        ntt_four(in, out);
        for (int j = 0; j < 4; j++) kv_store_weak(x, v + (size_t)j * quarter, out[j]);
    }
}

/* The same for `nodes` neighbouring nodes of four vectors, where splitting a factor into limbs would not pay. */
static void ntt_pass4_short(uint64_t *x, size_t nodes, size_t node, const struct ntt_tables *tables) {
    for (size_t t = 0; t < nodes; t++, x += 64) {
        KV in[4], out[4];
        in[0] = kv_load(x, 0);
        in[1] = kv_mul(kv_load(x, 1), kv_set1(ntt_entry(tables->roots, 2 * (node + t))));
        in[2] = kv_mul(kv_load(x, 2), kv_set1(ntt_entry(tables->roots, node + t)));
        in[3] = kv_mul(kv_load(x, 3), kv_set1(ntt_entry(tables->cubes, node + t)));
        ntt_four(in, out);
        for (int j = 0; j < 4; j++) kv_store_weak(x, (size_t)j, out[j]);
    }
}

/* Eight nodes of eight points each: the nodes go into the lanes and come back. */
static void ntt_last(uint64_t *x, size_t groups, size_t node, const struct ntt_tables *tables) {
    const uint64_t *powers = tables->last + 14 * node; /* 7 * 16 words for 8 nodes */
    for (size_t g = 0; g < groups; g++, x += 128, powers += 112) {
        V re[8], im[8];
        KV in[8], out[8];
        for (int j = 0; j < 8; j++) {
            re[j] = v_load(x + 16 * j);
            im[j] = v_load(x + 16 * j + 8);
        }
        v_transpose(re);
        v_transpose(im);
        in[0] = (KV){re[0], im[0]};
        for (int j = 1; j < 8; j++) in[j] = kv_mul((KV){re[j], im[j]}, kv_load(powers, (size_t)j - 1));
        ntt_eight(in, out);
        for (int j = 0; j < 8; j++) {
            re[j] = out[j].re;
            im[j] = out[j].im;
        }
        v_transpose(re);
        v_transpose(im);
        for (int j = 0; j < 8; j++) kv_store_canonical(x, (size_t)j, (KV){re[j], im[j]});
    }
}

/* ---- from cells -------------------------------------------------------------------------------------------------- */

/* A fixed factor c + d i for numbers below 2^32, in limbs of 30 and 31 bits; n = -d. */
typedef struct {
    V c0, c1, d0, d1, n0, n1;
} NttCellFactor;

INLINE NttCellFactor ntt_cell_factor(K1 y) {
    const uint64_t low30 = 0x3fffffff, n = f_sub(0, y.im);
    return (NttCellFactor){v_set1(y.re & low30), v_set1(y.re >> 30), v_set1(y.im & low30),
                           v_set1(y.im >> 30),   v_set1(n & low30),  v_set1(n >> 30)};
}
/* E + 2^30 m -> weak; E < 2^63, and (m >> 31) + 2^61 < 2^62. */
INLINE V ntt_cell_join(V E, V m) { return fv_fold(v_add(v_add(E, v_srl(m, 31)), v_and(v_sll(m, 30), fv_p()))); }
INLINE KV ntt_cell_product(V a, V b, const NttCellFactor *k) {
    KV out;
    out.re = ntt_cell_join(v_add(v_mul32(a, k->c0), v_mul32(b, k->n0)), v_add(v_mul32(a, k->c1), v_mul32(b, k->n1)));
    out.im = ntt_cell_join(v_add(v_mul32(a, k->d0), v_mul32(b, k->c0)), v_add(v_mul32(a, k->d1), v_mul32(b, k->c1)));
    return out;
}

/* Cells of the vectors first .. first + NTT_STAGED - 1 of each part, side by side: the parts themselves lie a power of two
 * apart, more of them than a set of a cache holds. */
#define NTT_STAGED 32
typedef struct {
    uint32_t re[8][8 * NTT_STAGED], im[8][8 * NTT_STAGED];
} NttStage;

INLINE void ntt_stage(NttStage *stage, const uint32_t *re, const uint32_t *im, size_t parts, size_t part, size_t first) {
    for (size_t j = 0; j < parts; j++) {
        memcpy(stage->re[j], re + 8 * (first + j * part), sizeof stage->re[j]);
        memcpy(stage->im[j], im + 8 * (first + j * part), sizeof stage->im[j]);
    }
}
INLINE void ntt_staged_products(const NttStage *stage, size_t v, size_t parts, const NttCellFactor *factors, KV *in) {
    in[0] = (KV){v_load_u32(stage->re[0] + 8 * v), v_load_u32(stage->im[0] + 8 * v)};
    for (size_t j = 1; j < parts; j++)
        in[j] = ntt_cell_product(v_load_u32(stage->re[j] + 8 * v), v_load_u32(stage->im[j] + 8 * v), &factors[j - 1]);
}

static void ntt_cells4(uint64_t *x, const uint32_t *re, const uint32_t *im, size_t quarter, size_t node, const struct ntt_tables *tables) {
    const NttCellFactor factors[3] = {ntt_cell_factor(ntt_entry(tables->roots, 2 * node)),
                                      ntt_cell_factor(ntt_entry(tables->roots, node)),
                                      ntt_cell_factor(ntt_entry(tables->cubes, node))};
    NttStage stage;
    for (size_t v = 0; v < quarter; v++) {
        KV in[4], out[4];
        if (v % NTT_STAGED == 0) ntt_stage(&stage, re, im, 4, quarter, v);
        ntt_staged_products(&stage, v % NTT_STAGED, 4, factors, in);
        ntt_four(in, out);
        for (size_t j = 0; j < 4; j++) kv_store_weak(x, v + j * quarter, out[j]);
    }
}

static void ntt_cells8(uint64_t *x, const uint32_t *re, const uint32_t *im, size_t eighth, size_t node, const struct ntt_tables *tables) {
    const uint64_t *powers = tables->last + 112 * (node / 8) + node % 8;
    NttCellFactor factors[7];
    NttStage stage;
    for (size_t j = 0; j < 7; j++) factors[j] = ntt_cell_factor((K1){powers[16 * j], powers[16 * j + 8]});
    for (size_t v = 0; v < eighth; v++) {
        KV in[8], out[8];
        if (v % NTT_STAGED == 0) ntt_stage(&stage, re, im, 8, eighth, v);
        ntt_staged_products(&stage, v % NTT_STAGED, 8, factors, in);
        ntt_eight(in, out);
        for (size_t j = 0; j < 8; j++) kv_store_weak(x, v + j * eighth, out[j]);
    }
}

static void ntt_cells(uint64_t *x, const uint32_t *re, const uint32_t *im, int log_size, int levels, size_t node,
                      const struct ntt_tables *tables) {
    size_t part = (size_t)1 << (log_size - levels - 3);
    if (levels == 2)
        ntt_cells4(x, re, im, part, node, tables);
    else
        ntt_cells8(x, re, im, part, node, tables);
}

/* ---- the tree ---------------------------------------------------------------------------------------------------- */

/* One level of the tree over a block; returns the number of levels done, 1 or 2. */
static int ntt_level(uint64_t *x, size_t nodes, int log_size, size_t node, const struct ntt_tables *tables) {
    size_t vectors = (size_t)1 << (log_size - 3);
    if ((log_size - 3) & 1) {
        for (size_t t = 0; t < nodes; t++)
            ntt_pass2(x + 16 * vectors * t, vectors / 2, ntt_entry(tables->roots, node + t));
        return 1;
    }
    if (vectors == 4) {
        ntt_pass4_short(x, nodes, node, tables);
        return 2;
    }
    for (size_t t = 0; t < nodes; t++)
        ntt_pass4(x + 16 * vectors * t, vectors / 4, ntt_entry(tables->roots, 2 * (node + t)),
                  ntt_entry(tables->roots, node + t), ntt_entry(tables->cubes, node + t));
    return 2;
}

/* Only the levels above nodes of 2^stop points, depth first. */
static void ntt_descend(uint64_t *x, int log_size, int stop, size_t node, const struct ntt_tables *tables) {
    if (log_size <= stop) return;
    int levels = ntt_level(x, 1, log_size, node, tables);
    for (size_t t = 0; t < (size_t)1 << levels; t++)
        ntt_descend(x + (t << (log_size - levels + 1)), log_size - levels, stop, (node << levels) + t, tables);
}

/* A block that fits the cache, level by level. */
static void ntt_finish(uint64_t *x, int log_size, size_t node, const struct ntt_tables *tables) {
    size_t nodes = 1;
    for (int left = log_size; left > 3;) {
        int levels = ntt_level(x, nodes, left, node, tables);
        nodes <<= levels;
        node <<= levels;
        left -= levels;
    }
    ntt_last(x, nodes / 8, node, tables);
}

static void ntt_transform(uint64_t *x, int log_size, size_t node, const struct ntt_tables *tables) {
    int block = log_size <= NTT_BLOCK_LOG ? log_size : NTT_BLOCK_LOG;
    ntt_descend(x, log_size, block, node, tables);
    for (size_t t = 0; t < (size_t)1 << (log_size - block); t++)
        ntt_finish(x + (t << (block + 1)), block, (node << (log_size - block)) + t, tables);
}
const struct ntt_ops ISA(ntt_ops) = {ntt_transform, ntt_cells, ntt_descend, ntt_finish};
