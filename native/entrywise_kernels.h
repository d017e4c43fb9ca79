/* Digits of neighbouring entries. Plain loops, which the compiler makes vectors of; products are modulo 2^64. */

static void entrywise_add_cells(int64_t *sums, const uint32_t *cells, int64_t scale, size_t count) {
    uint64_t *out = (uint64_t *)sums;
    if (scale == 1)
        for (size_t i = 0; i < count; i++) out[i] += cells[i];
    else if (scale == -1)
        for (size_t i = 0; i < count; i++) out[i] -= cells[i];
    else
        for (size_t i = 0; i < count; i++) out[i] += (uint64_t)scale * cells[i];
}

static void entrywise_add_products(int64_t *sums, int64_t factor, const int64_t *left, const int64_t *right, size_t count) {
    uint64_t *out = (uint64_t *)sums;
    const uint64_t *a = (const uint64_t *)left, *b = (const uint64_t *)right, scale = (uint64_t)factor;
    if (!a)
        for (size_t i = 0; i < count; i++) out[i] += scale;
    else if (!b)
        for (size_t i = 0; i < count; i++) out[i] += scale * a[i];
    else if (scale == 1)
        for (size_t i = 0; i < count; i++) out[i] += a[i] * b[i];
    else
        for (size_t i = 0; i < count; i++) out[i] += scale * (a[i] * b[i]);
}

static int entrywise_shift(int64_t *sums, int bits, size_t count) {
    const uint64_t mask = (1ULL << bits) - 1;
    uint64_t seen = 0;
    for (size_t i = 0; i < count; i++) {
        seen |= (uint64_t)sums[i] & mask;
        sums[i] >>= bits;
    }
    return seen != 0;
}

const struct entrywise_ops ISA(entrywise_ops) = {entrywise_add_cells, entrywise_add_products, entrywise_shift};
