/* Chunks of a matrix, or whole rows where chunks are shorter, are tasks; each goes through its entries block by block. */
#include "squares_ops.h"
#include "api/squares.h"

#define MAX_TERMS ZKDS_SQUARES_MAX_TERMS
#define NARROW 9007199254740992.0 /* 2^53 */

struct squares_job {
    const struct zkds_product_squares *what;
    int64_t *out;
    size_t unit; /* entries of a task */
};

struct block {
    int16_t w[MAX_TERMS][SQUARES_LANES], g[MAX_TERMS][SQUARES_LANES];
    int16_t part[MAX_TERMS][SQUARES_LANES]; /* what of the inputs is in the block, zero-filled */
    double p[2 * MAX_TERMS][SQUARES_LANES];
};

static size_t low_rank_terms(const struct zkds_low_rank *a) { return a->rank ? a->outer_digits + a->inner_digits - 1 : 0; }
static size_t w_terms(const struct zkds_product_squares *what) {
    size_t own = what->stride * (what->weight_digits - 1) + what->scale_terms, update = low_rank_terms(&what->update);
    return own > update ? own : update;
}

/* Rows of `lanes` entries, as SQUARES_LANES each: in place where there are that many, else copied and zero-filled. */
static const int16_t *whole_lanes(const int16_t *from, size_t rows, size_t *pitch, size_t lanes, struct block *block) {
    if (lanes == SQUARES_LANES) return from;
    memset(block->part, 0, rows * sizeof *block->part);
    for (size_t j = 0; j < rows; j++) memcpy(block->part[j], from + j * *pitch, lanes * sizeof *from);
    *pitch = SQUARES_LANES;
    return block->part[0];
}

static void add_low_rank(const struct zkds_low_rank *a, size_t row, size_t columns, size_t column, size_t lanes,
                         struct block *block, int16_t (*out)[SQUARES_LANES]) {
    for (size_t r = 0; r < a->rank; r++) {
        size_t pitch = columns;
        const int16_t *in = whole_lanes(a->inner + r * a->inner_digits * columns + column, a->inner_digits, &pitch, lanes, block);
        OPS(squares)->multiply_add(a->outer + row * a->outer_row + r * a->outer_digits, a->outer_digits, in, a->inner_digits,
                                   pitch, out);
    }
}

static void add_block(const struct zkds_product_squares *what, size_t row, size_t column, size_t lanes, struct block *block,
                      int64_t *sums) {
    size_t w_count = w_terms(what), g_count = low_rank_terms(&what->gradient), pitch = what->columns;
    memset(block->w, 0, w_count * sizeof *block->w);
    memset(block->g, 0, g_count * sizeof *block->g);
    add_low_rank(&what->update, row, what->columns, column, lanes, block, block->w);
    for (size_t j = 0; j < w_count; j++)
        for (size_t x = 0; x < SQUARES_LANES; x++) block->w[j][x] = (int16_t)-block->w[j][x];
    const int16_t *own = what->weights + row * what->weight_digits * what->columns + column;
    own = whole_lanes(own, what->weight_digits, &pitch, lanes, block);
    for (size_t j = 0; j < what->weight_digits; j++)
        OPS(squares)->multiply_add(what->scale, what->scale_terms, own + j * pitch, 1, pitch, block->w + what->stride * j);
    add_low_rank(&what->gradient, row, what->columns, column, lanes, block, block->g);
    double largest = OPS(squares)->product((const int16_t(*)[SQUARES_LANES])block->w, w_count,
                                           (const int16_t(*)[SQUARES_LANES])block->g, g_count, block->p);
    size_t count = w_count + g_count - 1;
    int narrow = largest * largest * (double)(count * SQUARES_LANES / 8) < NARROW;
    OPS(squares)->squares((const double(*)[SQUARES_LANES])block->p, count, narrow, sums);
}

static void squares_task(void *context, size_t task, int worker) {
    (void)worker;
    const struct squares_job *job = context;
    const struct zkds_product_squares *what = job->what;
    struct block block;
    size_t first = task * job->unit, last = first + job->unit, all = what->rows * what->columns;
    size_t chunk = (size_t)1 << what->chunk_log, lanes = what->columns < SQUARES_LANES ? what->columns : SQUARES_LANES;
    if (chunk < lanes) lanes = chunk;
    for (size_t at = first; at < last && at < all; at += lanes)
        add_block(what, at / what->columns, at % what->columns, lanes, &block, job->out + (at >> what->chunk_log) * what->terms);
}

int zkds_product_squares(const struct zkds_product_squares *what, int64_t *out) {
    if (!what->rows || !what->columns || what->columns & (what->columns - 1) || what->chunk_log < 0 || what->chunk_log > 40 ||
        !what->weight_digits || !what->scale_terms || !what->gradient.rank)
        return ZKDS_BAD_ARGUMENT;
    size_t w_count = w_terms(what), g_count = low_rank_terms(&what->gradient);
    if (w_count > MAX_TERMS || g_count > MAX_TERMS || 2 * (w_count + g_count - 1) - 1 > what->terms) return ZKDS_BAD_ARGUMENT;
    size_t chunk = (size_t)1 << what->chunk_log, unit = chunk > what->columns ? chunk : what->columns;
    struct squares_job job = {what, out, unit};
    size_t all = what->rows * what->columns;
    memset(out, 0, ((all + chunk - 1) >> what->chunk_log) * what->terms * sizeof *out);
    zkds_parallel((all + unit - 1) / unit, squares_task, &job);
    return ZKDS_OK;
}
