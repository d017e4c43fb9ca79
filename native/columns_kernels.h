/* Digits of runs of values. Plain loops, which the compiler makes vectors of. */

INLINE int columns_log2(uint64_t radix) { return radix & (radix - 1) ? 0 : __builtin_ctzll(radix); }

INLINE uint64_t columns_misfits(const int64_t *values, int64_t stride, size_t count, const struct zkds_digits *digits) {
    const uint64_t offset = digits->offset, reach = digits->reach;
    uint64_t misfits = 0;
    for (size_t i = 0; i < count; i++) misfits |= (uint64_t)values[(int64_t)i * stride] + offset >= reach;
    return misfits;
}

/* Digits of a power of two are bits. */
INLINE void columns_write_bits(const int64_t *values, int64_t stride, size_t count, const struct zkds_digits *digits, int bits,
                               uint32_t *const *cells) {
    const uint64_t offset = digits->offset, mask = digits->radix - 1;
    for (size_t j = 0; j < digits->count; j++) {
        const int shift = (int)j * bits;
        uint32_t *out = cells[j];
        if (shift > 63)
            memset(out, 0, count * sizeof *out);
        else
            for (size_t i = 0; i < count; i++)
                out[i] = (uint32_t)((((uint64_t)values[(int64_t)i * stride] + offset) >> shift) & mask);
    }
}

/* Others by the high half of a product with floor(2^64 / radix), which is the quotient or one less. */
INLINE void columns_write_quotients(const int64_t *values, int64_t stride, size_t count, const struct zkds_digits *digits,
                                    uint32_t *const *cells) {
    const uint64_t radix = digits->radix, reciprocal = UINT64_MAX / radix;
    for (size_t i = 0; i < count; i++) {
        uint64_t rest = (uint64_t)values[(int64_t)i * stride] + digits->offset;
        for (size_t j = 0; j < digits->count; j++) {
            uint64_t above = (uint64_t)((unsigned __int128)rest * reciprocal >> 64), digit = rest - above * radix;
            if (digit >= radix) {
                digit -= radix;
                above++;
            }
            cells[j][i] = (uint32_t)digit;
            rest = above;
        }
    }
}

INLINE void columns_write_run(const int64_t *values, int64_t stride, size_t count, const struct zkds_digits *digits,
                              uint32_t *const *cells) {
    const int bits = columns_log2(digits->radix);
    if (bits)
        columns_write_bits(values, stride, count, digits, bits, cells);
    else
        columns_write_quotients(values, stride, count, digits, cells);
}

/* A copy for entries side by side: with a stride of 1 loads are vectors. */
static int columns_write(const int64_t *values, int64_t stride, size_t count, const struct zkds_digits *digits,
                         uint32_t *const *cells) {
    if (stride == 1) {
        columns_write_run(values, 1, count, digits, cells);
        return columns_misfits(values, 1, count, digits) != 0;
    }
    columns_write_run(values, stride, count, digits, cells);
    return columns_misfits(values, stride, count, digits) != 0;
}

INLINE void columns_read_run(const uint32_t *const *cells, size_t count, const struct zkds_digits *digits, int64_t *values,
                             int64_t stride) {
    uint64_t weight = digits->radix;
    for (size_t i = 0; i < count; i++) values[(int64_t)i * stride] = (int64_t)(cells[0][i] - digits->offset);
    for (size_t j = 1; j < digits->count; j++, weight *= digits->radix)
        for (size_t i = 0; i < count; i++) {
            int64_t *value = values + (int64_t)i * stride;
            *value = (int64_t)((uint64_t)*value + cells[j][i] * weight);
        }
}

static void columns_read(const uint32_t *const *cells, size_t count, const struct zkds_digits *digits, int64_t *values,
                         int64_t stride) {
    if (stride == 1)
        columns_read_run(cells, count, digits, values, 1);
    else
        columns_read_run(cells, count, digits, values, stride);
}

const struct columns_ops ISA(columns_ops) = {columns_write, columns_read};
