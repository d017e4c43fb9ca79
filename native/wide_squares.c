/* Sums of squares of products of integers wider than a word, of matrices of low rank. Scalar: 128-bit integers. */
#include "runtime.h"
#include "api/wide_squares.h"

#define BLOCK 256 /* columns at a time: two rows of 128-bit integers in an L1 cache */

typedef __int128 int128;
typedef unsigned __int128 uint128;

struct squares_job {
    const int64_t *start;
    size_t rows, columns;
    int shift;
    const struct zkds_outer *moved, *gradient;
    uint64_t *sums; /* ZKDS_SQUARES_WORDS for each worker */
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

static void squares_row(void *context, size_t row, int worker) {
    const struct squares_job *job = context;
    uint64_t *sum = job->sums + (size_t)worker * ZKDS_SQUARES_WORDS;
    for (size_t first = 0; first < job->columns; first += BLOCK) {
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

int zkds_sum_of_squared_products(const int64_t *start, size_t rows, size_t columns, int shift, const struct zkds_outer *moved,
                                 const struct zkds_outer *gradient, uint64_t *sum) {
    if (shift < 0 || shift > ZKDS_SQUARES_MAX_START_BITS - ZKDS_SQUARES_FACTOR_BITS ||
        !fits(start, rows * columns, ZKDS_SQUARES_FACTOR_BITS) || !outer_fits(moved, rows, columns) ||
        !outer_fits(gradient, rows, columns))
        return ZKDS_BAD_ARGUMENT;
    struct squares_job job = {start, rows, columns, shift, moved, gradient, NULL};
    job.sums = calloc((size_t)zkds_threads() * ZKDS_SQUARES_WORDS, sizeof *job.sums);
    if (!job.sums) return ZKDS_OUT_OF_MEMORY;
    zkds_parallel(rows, squares_row, &job);
    memset(sum, 0, ZKDS_SQUARES_WORDS * sizeof *sum);
    for (int worker = 0; worker < zkds_threads(); worker++)
        add_words(sum, job.sums + worker * ZKDS_SQUARES_WORDS, ZKDS_SQUARES_WORDS);
    free(job.sums);
    return ZKDS_OK;
}
