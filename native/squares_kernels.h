/* Polynomials of SQUARES_LANES entries side by side. */

static void squares_multiply_add(const int16_t *factors, size_t factor_count, const int16_t *in, size_t in_count, size_t pitch,
                                 int16_t (*out)[SQUARES_LANES]) {
    for (size_t i = 0; i < factor_count; i++) {
        const int16_t factor = factors[i];
        if (!factor) continue;
        for (size_t j = 0; j < in_count; j++) {
            int16_t *to = out[i + j];
            const int16_t *from = in + j * pitch;
            for (int x = 0; x < SQUARES_LANES; x++) to[x] = (int16_t)(to[x] + factor * from[x]);
        }
    }
}

static double squares_product(const int16_t (*left)[SQUARES_LANES], size_t left_count, const int16_t (*right)[SQUARES_LANES],
                              size_t right_count, double (*out)[SQUARES_LANES]) {
    double largest = 0;
    for (size_t m = 0; m + 1 < left_count + right_count; m++) {
        double sum[SQUARES_LANES] = {0};
        size_t from = m < right_count ? 0 : m + 1 - right_count, to = m < left_count ? m : left_count - 1;
        for (size_t i = from; i <= to; i++)
            for (int x = 0; x < SQUARES_LANES; x++) sum[x] += (double)(left[i][x] * right[m - i][x]);
        for (int x = 0; x < SQUARES_LANES; x++) {
            out[m][x] = sum[x];
            double size = sum[x] < 0 ? -sum[x] : sum[x];
            if (size > largest) largest = size;
        }
    }
    return largest;
}

static void squares_squares(const double (*p)[SQUARES_LANES], size_t count, int narrow, int64_t *sums) {
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i; j < count; j++) {
            int64_t total = 0;
            if (narrow) {
                double lanes[8] = {0};
                for (int x = 0; x < SQUARES_LANES; x++) lanes[x % 8] += p[i][x] * p[j][x];
                for (int x = 0; x < 8; x++) total += (int64_t)lanes[x];
            } else {
                for (int x = 0; x < SQUARES_LANES; x++) total += (int64_t)p[i][x] * (int64_t)p[j][x];
            }
            sums[i + j] += i == j ? total : 2 * total;
        }
    }
}
const struct squares_ops ISA(squares_ops) = {squares_multiply_add, squares_product, squares_squares};
