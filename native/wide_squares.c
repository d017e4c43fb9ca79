/* Sums of squares of products of integers wider than a word, of matrices of low rank: in limbs of 52 bits where the processor has
 * them and they hold all entries, else by 128-bit integers. */
#include "wide_squares_ops.h"
#include "api/wide_squares.h"

#define BLOCK 256 /* columns at a time: two rows of 128-bit integers in an L1 cache */

struct squares_job {
    const int64_t *start;
    size_t rows, columns;
    int shift;
    const struct zkds_outer *moved, *gradient;
    uint64_t *sums;      /* ZKDS_SQUARES_WORDS for each worker */
    uint128 *limbs;      /* WIDE_LIMBS for each worker */
    uint64_t *biased[2]; /* the right factors of moved and gradient plus WIDE_BIAS; NULL if limbs do not hold all entries */
};

/* total += left[row] right[.., column] of all rows of the factors. */
static void add_outer(int128 *total, const struct zkds_outer *outer, size_t rows, size_t columns, size_t row, size_t first,
                      size_t count) {
    for (size_t r = 0; r < outer->rank; r++) {
        const int64_t factor = outer->left[r * rows + row], *right = outer->right + r * columns + first;
        if (factor == 0) continue;
        for (size_t k = 0; k < count; k++) total[k] += (int128)factor * right[k];
    }
}

static uint128 magnitude(int128 value) { return value < 0 ? -(uint128)value : (uint128)value; }

/* product = x y; x and y have `words` words, product twice as many, zero. */
static inline void multiply(const uint64_t *x, const uint64_t *y, int words, uint64_t *product) {
    for (int i = 0; i < words; i++) {
        uint64_t carry = 0;
        for (int j = 0; j < words; j++) {
            uint128 t = (uint128)x[i] * y[j] + product[i + j] + carry;
            product[i + j] = (uint64_t)t;
            carry = (uint64_t)(t >> 64);
        }
        product[i + words] = carry;
    }
}

/* sum += value, of `words` words; the words above take the carry. */
static void add_words(uint64_t *sum, const uint64_t *value, int words) {
    uint64_t carry = 0;
    for (int i = 0; i < ZKDS_SQUARES_WORDS; i++) {
        uint128 t = (uint128)sum[i] + (i < words ? value[i] : 0) + carry;
        sum[i] = (uint64_t)t;
        carry = (uint64_t)(t >> 64);
    }
}

/* sum += (a b)^2 */
static void add_square(uint64_t *sum, uint128 a, uint128 b) {
    const uint64_t x[2] = {(uint64_t)a, (uint64_t)(a >> 64)}, y[2] = {(uint64_t)b, (uint64_t)(b >> 64)};
    uint64_t product[4] = {0}, square[8] = {0};
    multiply(x, y, 2, product);
    multiply(product, product, 4, square);
    add_words(sum, square, 8);
}

/* sum += value 2^shift */
static void add_shifted(uint64_t *sum, uint128 value, int shift) {
    uint64_t words[ZKDS_SQUARES_WORDS + 2] = {0};
    const uint128 low = value << shift % 64, high = shift % 64 ? value >> (128 - shift % 64) : 0;
    words[shift / 64] = (uint64_t)low;
    words[shift / 64 + 1] = (uint64_t)(low >> 64);
    words[shift / 64 + 2] = (uint64_t)high;
    add_words(sum, words, ZKDS_SQUARES_WORDS);
}

/* How many of a row's entries were done in limbs. */
static size_t row_in_limbs(const struct squares_job *job, size_t row, uint128 *limbs) {
    if (!job->biased[0]) return 0;
    const struct zkds_outer *outers[2] = {job->moved, job->gradient};
    struct wide_sum sums[2];
    for (int k = 0; k < 2; k++)
        sums[k] = (struct wide_sum){outers[k]->left + row, job->rows, outers[k]->rank, job->columns, job->biased[k]};
    return OPS(wide_squares)->row(job->start + row * job->columns, job->shift, &sums[0], &sums[1], job->columns, limbs);
}

static void squares_row(void *context, size_t row, int worker) {
    const struct squares_job *job = context;
    uint64_t *sum = job->sums + (size_t)worker * ZKDS_SQUARES_WORDS;
    size_t first = row_in_limbs(job, row, job->limbs + worker * WIDE_LIMBS);
    for (; first < job->columns; first += BLOCK) {
        const size_t count = job->columns - first < BLOCK ? job->columns - first : BLOCK;
        int128 w[BLOCK] = {0}, g[BLOCK] = {0};
        add_outer(w, job->moved, job->rows, job->columns, row, first, count);
        add_outer(g, job->gradient, job->rows, job->columns, row, first, count);
        const int64_t *start = job->start + row * job->columns + first;
        for (size_t k = 0; k < count; k++) {
            int128 moved = start[k] * ((int128)1 << job->shift) - w[k];
            add_square(sum, magnitude(moved), magnitude(g[k]));
        }
    }
}

static int fits(const int64_t *values, size_t count, int bits) {
    const int64_t limit = (int64_t)1 << bits;
    int good = 1;
    for (size_t i = 0; i < count; i++) good &= -limit < values[i] && values[i] < limit;
    return good;
}

static int outer_fits(const struct zkds_outer *outer, size_t rows, size_t columns) {
    return outer->rank <= ZKDS_SQUARES_MAX_RANK && fits(outer->left, outer->rank * rows, ZKDS_SQUARES_FACTOR_BITS) &&
           fits(outer->right, outer->rank * columns, ZKDS_SQUARES_FACTOR_BITS);
}

static uint64_t largest(const int64_t *values, size_t count) {
    uint64_t most = 0;
    for (size_t i = 0; i < count; i++) {
        const uint64_t size = (uint64_t)(values[i] < 0 ? -values[i] : values[i]);
        if (size > most) most = size;
    }
    return most;
}

/* A bound of the entries of a product that fits: below 2^114. */
static uint128 largest_entry(const struct zkds_outer *outer, size_t rows, size_t columns) {
    uint128 bound = 0;
    for (size_t r = 0; r < outer->rank; r++)
        bound += (uint128)largest(outer->left + r * rows, rows) * largest(outer->right + r * columns, columns);
    return bound;
}

static int fits_limbs(const struct squares_job *job) {
    const uint128 start = (uint128)largest(job->start, job->rows * job->columns) << job->shift;
    const uint128 limit = (uint128)1 << WIDE_FACTOR_BITS;
    return job->moved->rank <= WIDE_RANK && job->gradient->rank <= WIDE_RANK &&
           start + largest_entry(job->moved, job->rows, job->columns) < limit &&
           largest_entry(job->gradient, job->rows, job->columns) < limit;
}

/* Right factors of both, biased; NULL without memory. */
static uint64_t *biased_factors(const struct squares_job *job) {
    const size_t moved = job->moved->rank * job->columns, gradient = job->gradient->rank * job->columns;
    uint64_t *biased = zkds_alloc((moved + gradient + 1) * sizeof *biased);
    if (!biased) return NULL;
    for (size_t i = 0; i < moved; i++) biased[i] = (uint64_t)job->moved->right[i] + WIDE_BIAS;
    for (size_t i = 0; i < gradient; i++) biased[moved + i] = (uint64_t)job->gradient->right[i] + WIDE_BIAS;
    return biased;
}

int zkds_sum_of_squared_products(const int64_t *start, size_t rows, size_t columns, int shift, const struct zkds_outer *moved,
                                 const struct zkds_outer *gradient, uint64_t *sum) {
    if (shift < 0 || shift > ZKDS_SQUARES_MAX_START_BITS - ZKDS_SQUARES_FACTOR_BITS ||
        !fits(start, rows * columns, ZKDS_SQUARES_FACTOR_BITS) || !outer_fits(moved, rows, columns) ||
        !outer_fits(gradient, rows, columns))
        return ZKDS_BAD_ARGUMENT;
    const size_t workers = (size_t)zkds_threads();
    struct squares_job job = {start, rows, columns, shift, moved, gradient, NULL, NULL, {NULL, NULL}};
    uint64_t *biased = job.biased[0] = fits_limbs(&job) ? biased_factors(&job) : NULL;
    if (biased) job.biased[1] = biased + moved->rank * columns;
    job.sums = calloc(workers * ZKDS_SQUARES_WORDS, sizeof *job.sums);
    job.limbs = calloc(workers * WIDE_LIMBS, sizeof *job.limbs);
    const int code = job.sums && job.limbs ? ZKDS_OK : ZKDS_OUT_OF_MEMORY;
    if (code == ZKDS_OK) {
        zkds_parallel(rows, squares_row, &job);
        memset(sum, 0, ZKDS_SQUARES_WORDS * sizeof *sum);
        for (size_t worker = 0; worker < workers; worker++) {
            add_words(sum, job.sums + worker * ZKDS_SQUARES_WORDS, ZKDS_SQUARES_WORDS);
            for (int k = 0; k < WIDE_LIMBS; k++) add_shifted(sum, job.limbs[worker * WIDE_LIMBS + (size_t)k], WIDE_LIMB_BITS * k);
        }
    }
    free(biased);
    free(job.sums);
    free(job.limbs);
    return code;
}
