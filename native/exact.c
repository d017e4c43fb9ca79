/* Exact matrix products: blocks of the result are tasks; each packs its rows and columns, a chunk of the sums at a time. */
#include "exact_ops.h"
#include "exact_tiles.h"
#include <limits.h>

#define BLOCK_ROWS 48         /* a multiple of every tile's rows */
#define WIDE_COLUMNS 128      /* of a block: what is packed of it fits an L2 cache */
#define DIGIT_COLUMNS 96
#define MAX_SUM_BITS 113      /* of a wide sum: its quotient by 2^51 is an int64 */
#define WIDE_LIMIT_BITS 43    /* 2^94 = 2^43 2^51 */
#define SERIAL_PRODUCTS 65536 /* so few are done before a thread is awake */

struct job {
    const struct zkds_factor *left, *right;
    size_t left_count, right_count, digits; /* arrays; digits: 0 in a wide product */
    const struct zkds_view *out;
    int64_t *hi, *lo;
    int64_t *const *sums;
    size_t tile_rows;
    size_t block_rows, block_columns, block_terms; /* no more than there are, rounded up to whole tiles and panels */
    size_t row_blocks, column_blocks;
    size_t scratch_words; /* of a worker */
    uint64_t *scratch;
    unsigned char *failed; /* one for each worker: an entry was wider than declared */
};

/* The part of a worker's scratch that each array takes; entries are 8 bytes. */
struct scratch {
    uint64_t *left[ZKDS_EXACT_MAX_DIGITS], *right[ZKDS_EXACT_MAX_DIGITS]; /* packed tiles of rows and panels of columns */
    uint64_t *left_sums, *right_sums;                                     /* of the lanes of a chunk */
    uint64_t *total[2 * ZKDS_EXACT_MAX_DIGITS];                              /* wide: quotients and remainders */
};

static size_t totals(const struct job *job) { return job->digits ? job->digits : 2; }

static size_t scratch_words(const struct job *job) {
    const size_t lanes = job->left_count * job->block_rows + job->right_count * job->block_columns;
    return lanes * job->block_terms + totals(job) * job->block_rows * job->block_columns + job->block_rows + job->block_columns;
}

static struct scratch scratch_of(const struct job *job, int worker) {
    struct scratch scratch;
    uint64_t *at = job->scratch + (size_t)worker * job->scratch_words;
    for (size_t j = 0; j < job->right_count; j++, at += job->block_columns * job->block_terms) scratch.right[j] = at;
    for (size_t d = 0; d < totals(job); d++, at += job->block_rows * job->block_columns) scratch.total[d] = at;
    scratch.right_sums = at;
    at += job->block_columns;
    for (size_t i = 0; i < job->left_count; i++, at += job->block_rows * job->block_terms) scratch.left[i] = at;
    scratch.left_sums = at;
    return scratch;
}

/* ---- packing ------------------------------------------------------------------------------------------------------ */

/* The runs of the lanes with these offsets, none longer than a vector or across two. */
static size_t find_runs(const int64_t *offsets, size_t count, struct exact_run *runs) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (i % 8 && offsets[i] == offsets[i - 1] + 1)
            runs[found - 1].length++;
        else
            runs[found++] = (struct exact_run){i, 1, offsets[i]};
    }
    return found;
}

/* Packs lanes in groups of `width` (the last one, of columns, may be a single vector); 1 if an entry is too wide. */
static int pack(const struct job *job, const struct zkds_factor *factor, const int64_t *values, const int64_t *lanes, size_t count,
                size_t width, const int64_t *terms_offsets, size_t terms, uint64_t *out, uint64_t *sums) {
    struct exact_run runs[EXACT_PANEL];
    const uint64_t bias = job->digits ? 0 : EXACT_QUOTIENT, limit = factor->is_unsigned ? 0 : 1ULL << factor->bits;
    uint64_t seen = 0;
    for (size_t from = 0; from < count; from += width) {
        const size_t left = count - from, lane_count = left < width ? left : width;
        const size_t pitch = width == EXACT_PANEL && left <= 8 ? 8 : width;
        const size_t run_count = find_runs(lanes + from, lane_count, runs);
        uint64_t *to = out + from * job->block_terms;
        seen |= OPS(exact)->pack(values, terms_offsets, terms, runs, run_count, pitch, bias, limit, to, sums + from);
    }
    return seen >> (factor->bits + !factor->is_unsigned) != 0;
}

/* ---- one block ---------------------------------------------------------------------------------------------------- */

struct block {
    size_t batch, row, rows, column, columns;
};

static struct block block_of(const struct job *job, size_t task) {
    struct block block;
    block.column = task % job->column_blocks * job->block_columns;
    task /= job->column_blocks;
    block.row = task % job->row_blocks * job->block_rows;
    block.batch = task / job->row_blocks;
    const size_t rows = job->out->rows - block.row, columns = job->out->columns - block.column;
    block.rows = rows < job->block_rows ? rows : job->block_rows;
    block.columns = columns < job->block_columns ? columns : job->block_columns;
    return block;
}

static int pack_chunk(const struct job *job, const struct block *block, size_t from, size_t terms, struct scratch *scratch) {
    int wide = 0;
    for (size_t i = 0; i < job->left_count; i++) {
        const struct zkds_view *view = &job->left[i].view;
        wide |= pack(job, &job->left[i], job->left[i].values + block->batch * view->batch, view->row + block->row, block->rows,
                     job->tile_rows, view->column + from, terms, scratch->left[i], scratch->left_sums);
    }
    for (size_t j = 0; j < job->right_count; j++) {
        const struct zkds_view *view = &job->right[j].view;
        wide |= pack(job, &job->right[j], job->right[j].values + block->batch * view->batch, view->column + block->column,
                     block->columns, EXACT_PANEL, view->row + from, terms, scratch->right[j], scratch->right_sums);
    }
    return wide;
}

static void add_chunk(const struct job *job, const struct block *block, size_t terms, struct scratch *scratch) {
    const size_t pitch = job->block_columns;
    for (size_t c = 0; c < block->columns; c += EXACT_PANEL) {
        const int vectors = block->columns - c <= 8 ? 1 : 2;
        for (size_t r = 0; r < block->rows; r += job->tile_rows) {
            const int rows = (int)(block->rows - r < job->tile_rows ? block->rows - r : job->tile_rows);
            const size_t left = r * job->block_terms, right = c * job->block_terms, at = r * pitch + c;
            if (!job->digits)
                OPS(exact)->wide(scratch->left[0] + left, scratch->left_sums + r, rows, scratch->right[0] + right,
                                 scratch->right_sums + c, vectors, terms, (int64_t *)scratch->total[0] + at,
                                 scratch->total[1] + at, pitch);
            for (size_t i = 0; i < job->left_count; i++)
                for (size_t j = 0; j < job->right_count && i + j < job->digits; j++)
                    OPS(exact)->digits(scratch->left[i] + left, rows, scratch->right[j] + right, vectors, terms,
                                       scratch->total[i + j] + at, pitch);
        }
    }
}

/* quotient 2^51 + remainder as hi 2^32 + lo, at most 2^94 in absolute value. */
static void store_wide(int64_t quotient, uint64_t remainder, int64_t *hi, int64_t *lo) {
    const int64_t limit = (int64_t)1 << WIDE_LIMIT_BITS;
    quotient += (int64_t)(remainder >> EXACT_WIDE_BITS);
    remainder &= EXACT_QUOTIENT - 1;
    if (quotient >= limit || quotient < -limit) {
        quotient = quotient < 0 ? -limit : limit;
        remainder = 0;
    }
    *hi = quotient * (1 << (EXACT_WIDE_BITS - 32)) + (int64_t)(remainder >> 32);
    *lo = (int64_t)(remainder & 0xffffffff);
}

static void store_block(const struct job *job, const struct block *block, const struct scratch *scratch) {
    const struct zkds_view *out = job->out;
    for (size_t r = 0; r < block->rows; r++) {
        const size_t row = block->batch * out->batch + (size_t)out->row[block->row + r];
        for (size_t c = 0; c < block->columns; c++) {
            const size_t to = row + (size_t)out->column[block->column + c], from = r * job->block_columns + c;
            if (!job->digits)
                store_wide((int64_t)scratch->total[0][from], scratch->total[1][from], job->hi + to, job->lo + to);
            for (size_t d = 0; d < job->digits; d++) job->sums[d][to] = (int64_t)scratch->total[d][from];
        }
    }
}

static void multiply_task(void *context, size_t task, int worker) {
    const struct job *job = context;
    const struct block block = block_of(job, task);
    const size_t terms = job->left->view.columns;
    struct scratch scratch = scratch_of(job, worker);
    for (size_t d = 0; d < totals(job); d++) memset(scratch.total[d], 0, block.rows * job->block_columns * sizeof(uint64_t));
    for (size_t from = 0; from < terms; from += job->block_terms) {
        const size_t count = terms - from < job->block_terms ? terms - from : job->block_terms;
        if (pack_chunk(job, &block, from, count, &scratch)) {
            job->failed[worker] = 1;
            return;
        }
        add_chunk(job, &block, count, &scratch);
    }
    store_block(job, &block, &scratch);
}

/* ---- whole products ----------------------------------------------------------------------------------------------- */

static int log2_ceil(size_t count) {
    int bits = 0;
    while (bits < 63 && (size_t)1 << bits < count) bits++;
    return bits;
}

static int views_fit(const struct job *job) {
    const struct zkds_view *left = &job->left->view, *right = &job->right->view;
    return left->columns == right->rows && job->out->rows == left->rows && job->out->columns == right->columns;
}

static size_t at_most(size_t most, size_t count, size_t unit) {
    size_t whole = (count + unit - 1) / unit * unit;
    return whole < most ? whole : most;
}

static void plan_blocks(struct job *job) {
    const struct exact_shape *shape = OPS(exact)->shape;
    job->tile_rows = (size_t)(job->digits ? shape->digit_rows : shape->wide_rows);
    job->block_rows = at_most(BLOCK_ROWS, job->out->rows, job->tile_rows);
    job->block_columns = at_most(job->digits ? DIGIT_COLUMNS : WIDE_COLUMNS, job->out->columns, 8);
    job->block_terms = at_most(EXACT_TERMS, job->left->view.columns, 1);
    job->row_blocks = (job->out->rows + job->block_rows - 1) / job->block_rows;
    job->column_blocks = (job->out->columns + job->block_columns - 1) / job->block_columns;
    job->scratch_words = (scratch_words(job) + 7) / 8 * 8;
}

static size_t product_count(const struct zkds_factor *left, size_t batches, const struct zkds_view *out) {
    return left->view.columns * out->rows * out->columns * batches;
}

static int run(struct job *job, size_t batches) {
    if (!batches || !job->out->rows || !job->out->columns) return ZKDS_OK;
    plan_blocks(job);
    const size_t tasks = batches * job->row_blocks * job->column_blocks;
    const size_t workers = product_count(job->left, batches, job->out) <= SERIAL_PRODUCTS ? 1 : (size_t)zkds_threads();
    const size_t bytes = workers * job->scratch_words * sizeof *job->scratch;
    int code = ZKDS_OK;
    job->scratch = zkds_alloc(bytes);
    job->failed = calloc(workers, 1);
    if (job->scratch && job->failed) {
        memset(job->scratch, 0, bytes); /* lanes of no column are read, and their sums dropped */
        if (workers == 1)
            for (size_t task = 0; task < tasks; task++) multiply_task(job, task, 0);
        else
            zkds_parallel(tasks, multiply_task, job);
        for (size_t worker = 0; worker < workers; worker++)
            if (job->failed[worker]) code = ZKDS_BAD_ARGUMENT;
    } else {
        code = ZKDS_OUT_OF_MEMORY;
    }
    free(job->scratch);
    free(job->failed);
    return code;
}

/* The product by tiles of bytes, or by the kernels of all processors. */
static int multiply(const struct exact_product *product) {
    struct job job = {.left = product->left, .right = product->right, .left_count = product->left_count,
                      .right_count = product->right_count, .digits = product->digits, .out = product->out, .hi = product->hi,
                      .lo = product->lo, .sums = product->sums};
    if (!views_fit(&job)) return ZKDS_BAD_ARGUMENT;
    if (product_count(product->left, product->batches, product->out) > SERIAL_PRODUCTS && exact_tiles_fit(product))
        return exact_tiles_multiply(product);
    return run(&job, product->batches);
}

int zkds_exact_wide(const struct zkds_factor *left, const struct zkds_factor *right, size_t batches,
                    const struct zkds_view *out, int64_t *hi, int64_t *lo) {
    const struct exact_product product = {.left = left, .right = right, .left_count = 1, .right_count = 1, .batches = batches,
                                          .out = out, .hi = hi, .lo = lo};
    if (left->bits < 0 || right->bits < 0 || left->bits > ZKDS_EXACT_WIDE_BITS || right->bits > ZKDS_EXACT_WIDE_BITS ||
        left->bits + right->bits + log2_ceil(left->view.columns) > MAX_SUM_BITS)
        return ZKDS_BAD_ARGUMENT;
    return multiply(&product);
}

static int widest(const struct zkds_factor *factors, size_t count) {
    int bits = 0;
    for (size_t i = 0; i < count; i++) {
        if (factors[i].bits < 0) return INT_MAX;
        if (factors[i].bits > bits) bits = factors[i].bits;
    }
    return bits;
}

int zkds_exact_digits(const struct zkds_factor *left, size_t left_digits, const struct zkds_factor *right, size_t right_digits,
                      size_t batches, const struct zkds_view *out, int64_t *const *sums, size_t digits) {
    const struct exact_product product = {.left = left, .right = right, .left_count = left_digits, .right_count = right_digits,
                                          .digits = digits, .batches = batches, .out = out, .sums = sums};
    if (left_digits < 1 || right_digits < 1 || digits < 1 || left_digits > ZKDS_EXACT_MAX_DIGITS ||
        right_digits > ZKDS_EXACT_MAX_DIGITS || digits > 2 * ZKDS_EXACT_MAX_DIGITS)
        return ZKDS_BAD_ARGUMENT;
    const size_t pairs = left_digits < right_digits ? left_digits : right_digits;
    const int left_bits = widest(left, left_digits), right_bits = widest(right, right_digits);
    if (left_bits > ZKDS_EXACT_DIGIT_BITS || right_bits > ZKDS_EXACT_DIGIT_BITS ||
        left_bits + right_bits + log2_ceil(left->view.columns * pairs) > 62)
        return ZKDS_BAD_ARGUMENT;
    return multiply(&product);
}
