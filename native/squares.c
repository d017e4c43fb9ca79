/* Chunks of a matrix, or whole rows where chunks are shorter, are tasks; each goes through its entries block by block. */
#include "squares_ops.h"
#include "api/squares.h"

#define MAX_TERMS ZKDS_SQUARES_MAX_TERMS
#define EXACT 9007199254740992.0 /* 2^53 */

/* A worker's place: one block of entries, and the sums of the chunk that it is in. */
struct block {
    double p[SQUARES_LANES * SQUARES_PRODUCT] __attribute__((aligned(64)));
    squares_sums sums __attribute__((aligned(64)));
    int16_t w[MAX_TERMS][SQUARES_LANES] __attribute__((aligned(64))), g[MAX_TERMS][SQUARES_LANES] __attribute__((aligned(64)));
    int16_t inputs[MAX_TERMS][SQUARES_LANES] __attribute__((aligned(64))); /* what of them is in the block, zero-filled */
    uint64_t totals[SQUARES_PARTS][2 * SQUARES_ROWS];                      /* modulo 2^64 */
    double bound;                                                          /* of the sums: what they may have reached */
};

struct squares_job {
    const struct zkds_product_squares *what;
    int64_t *out;
    size_t unit;  /* entries of a task */
    size_t lanes; /* entries of a block: SQUARES_LANES, or as many as a row or a chunk has */
    int16_t *updates, *gradients; /* packed */
    struct block *blocks; /* one for each worker */
};

static size_t low_rank_terms(const struct zkds_low_rank *a) { return a->rank ? a->outer_digits + a->inner_digits - 1 : 0; }
static size_t w_terms(const struct zkds_product_squares *what) {
    size_t own = what->stride * (what->weight_digits - 1) + what->scale_terms, update = low_rank_terms(&what->update);
    return own > update ? own : update;
}

/* Rows of `lanes` entries as SQUARES_LANES each, zero-filled. At their pitch, a power of two, they would evict each other. */
static const int16_t *gather(const int16_t *from, size_t rows, size_t pitch, size_t lanes, struct block *block) {
    if (lanes < SQUARES_LANES) memset(block->inputs, 0, rows * sizeof *block->inputs);
    for (size_t j = 0; j < rows; j++) memcpy(block->inputs[j], from + j * pitch, lanes * sizeof *from);
    return block->inputs[0];
}

/* The inner polynomials by blocks of columns, (blocks, rank, inner_digits, SQUARES_LANES): every row of the matrix uses them. */
static void pack(const struct zkds_low_rank *a, size_t columns, size_t lanes, int16_t *to) {
    for (size_t column = 0; column < columns; column += lanes)
        for (size_t j = 0; j < a->rank * a->inner_digits; j++, to += SQUARES_LANES)
            memcpy(to, a->inner + j * columns + column, lanes * sizeof *to);
}

static void add_low_rank(const struct zkds_low_rank *a, size_t row, const int16_t *packed, int16_t (*out)[SQUARES_LANES]) {
    const int16_t *outer = a->outer + row * a->outer_row;
    for (size_t r = 0; r < a->rank; r++, outer += a->outer_digits, packed += a->inner_digits * SQUARES_LANES)
        OPS(squares)->multiply_add(outer, a->outer_digits, packed, a->inner_digits, out);
}

/* ---- sums of squares ---------------------------------------------------------------------------------------------- */

static size_t part_of(size_t count) { return (count + 3) / 4; }

/* Moves the sums of lanes to the totals. */
static void flush(struct block *block, size_t count) {
    const int width = *OPS(squares)->width;
    for (size_t k = 0; k < SQUARES_PARTS; k++)
        for (size_t m = 0; m < 2 * part_of(count); m++)
            for (int x = 0; x < width; x++) {
                block->totals[k][m] += (uint64_t)(int64_t)block->sums[k][m][x];
                block->sums[k][m][x] = 0;
            }
    block->bound = 0;
}

/* to += sign X^at (a + X^part b)^2, as far as there are coefficients, from the squares of a, b and a + b. */
static void add_pair(const uint64_t (*squares)[2 * SQUARES_ROWS], size_t part, size_t at, uint64_t sign, int64_t *to,
                     size_t terms) {
    const uint64_t *a = squares[0], *b = squares[1], *both = squares[2];
    for (size_t m = 0; m < 4 * part && at + m < terms; m++) {
        uint64_t value = m < 2 * part ? a[m] : 0;
        if (m >= part && m < 3 * part) value += both[m - part] - a[m - part] - b[m - part];
        if (m >= 2 * part) value += b[m - 2 * part];
        to[at + m] += (int64_t)(sign * value);
    }
}

/* p = low + X^h high, h = 2 part, has the square low^2 + X^h ((low + high)^2 - low^2 - high^2) + X^2h high^2. */
static void finish_chunk(struct block *block, size_t count, int64_t *to, size_t terms) {
    const size_t part = part_of(count);
    const uint64_t minus = UINT64_MAX;
    flush(block, count);
    const uint64_t(*low)[2 * SQUARES_ROWS] = block->totals, (*high)[2 * SQUARES_ROWS] = low + 3;
    const uint64_t(*both)[2 * SQUARES_ROWS] = low + 6;
    add_pair(low, part, 0, 1, to, terms);
    add_pair(low, part, 2 * part, minus, to, terms);
    add_pair(both, part, 2 * part, 1, to, terms);
    add_pair(high, part, 2 * part, minus, to, terms);
    add_pair(high, part, 4 * part, 1, to, terms);
    memset(block->totals, 0, sizeof block->totals);
}

/* Straight, in 64 bits, where doubles do not hold it. */
static void add_wide(const struct block *block, size_t count, int64_t *to) {
    const int width = *OPS(squares)->width;
    for (int v = 0; v < SQUARES_LANES / width; v++) {
        const double *rows = block->p + (size_t)v * SQUARES_PRODUCT * (size_t)width;
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < count; j++)
                for (size_t x = 0; x < (size_t)width; x++)
                    to[i + j] += (int64_t)rows[i * (size_t)width + x] * (int64_t)rows[j * (size_t)width + x];
    }
}

/* largest: a bound of all coefficients; of sums of four parts it is four times as much. */
static void add_squares(struct block *block, size_t count, double largest, int64_t *to) {
    const double lanes = SQUARES_LANES / *OPS(squares)->width, more = 16 * largest * largest * (double)part_of(count) * lanes;
    if (more >= EXACT) {
        add_wide(block, count, to);
        return;
    }
    if (block->bound + more >= EXACT) flush(block, count);
    block->bound += more;
    OPS(squares)->squares(block->p, count, part_of(count), block->sums);
}

/* ---- blocks of entries -------------------------------------------------------------------------------------------- */

static size_t packed_size(const struct zkds_low_rank *a) { return a->rank * a->inner_digits * SQUARES_LANES; }

static void add_block(const struct squares_job *job, size_t row, size_t column, struct block *block, int64_t *to) {
    const struct zkds_product_squares *what = job->what;
    const size_t w_count = w_terms(what), g_count = low_rank_terms(&what->gradient), number = column / job->lanes;
    memset(block->w, 0, w_count * sizeof *block->w);
    memset(block->g, 0, g_count * sizeof *block->g);
    add_low_rank(&what->update, row, job->updates + number * packed_size(&what->update), block->w);
    for (size_t j = 0; j < w_count; j++)
        for (size_t x = 0; x < SQUARES_LANES; x++) block->w[j][x] = (int16_t)-block->w[j][x];
    const int16_t *own = what->weights + row * what->weight_digits * what->columns + column;
    own = gather(own, what->weight_digits, what->columns, job->lanes, block);
    for (size_t j = 0; j < what->weight_digits; j++)
        OPS(squares)->multiply_add(what->scale, what->scale_terms, own + j * SQUARES_LANES, 1, block->w + what->stride * j);
    add_low_rank(&what->gradient, row, job->gradients + number * packed_size(&what->gradient), block->g);
    const double largest = OPS(squares)->product((const int16_t(*)[SQUARES_LANES])block->w, w_count,
                                                 (const int16_t(*)[SQUARES_LANES])block->g, g_count, block->p);
    add_squares(block, w_count + g_count - 1, largest, to);
}

static void squares_task(void *context, size_t task, int worker) {
    const struct squares_job *job = context;
    const struct zkds_product_squares *what = job->what;
    struct block *block = job->blocks + worker;
    const size_t chunk = (size_t)1 << what->chunk_log, count = w_terms(what) + low_rank_terms(&what->gradient) - 1;
    const size_t first = task * job->unit, all = what->rows * what->columns;
    const size_t last = first + job->unit < all ? first + job->unit : all;
    for (size_t at = first; at < last; at += job->lanes) {
        int64_t *to = job->out + (at >> what->chunk_log) * what->terms;
        add_block(job, at / what->columns, at % what->columns, block, to);
        if ((at + job->lanes) % chunk == 0 || at + job->lanes == last) finish_chunk(block, count, to, what->terms);
    }
}

int zkds_product_squares(const struct zkds_product_squares *what, int64_t *out) {
    if (!what->rows || !what->columns || what->columns & (what->columns - 1) || what->chunk_log < 0 || what->chunk_log > 40 ||
        !what->weight_digits || !what->scale_terms || !what->gradient.rank)
        return ZKDS_BAD_ARGUMENT;
    size_t w_count = w_terms(what), g_count = low_rank_terms(&what->gradient);
    if (w_count > MAX_TERMS || g_count > MAX_TERMS || 2 * (w_count + g_count - 1) - 1 > what->terms) return ZKDS_BAD_ARGUMENT;
    size_t chunk = (size_t)1 << what->chunk_log, unit = chunk > what->columns ? chunk : what->columns;
    size_t lanes = what->columns < SQUARES_LANES ? what->columns : SQUARES_LANES;
    if (chunk < lanes) lanes = chunk;
    const size_t all = what->rows * what->columns, blocks = what->columns / lanes, workers = (size_t)zkds_threads();
    const size_t updates = blocks * packed_size(&what->update), gradients = blocks * packed_size(&what->gradient);
    struct squares_job job = {what, out, unit, lanes, NULL, NULL, zkds_alloc(workers * sizeof(struct block))};
    job.updates = zkds_alloc((updates + gradients) * sizeof *job.updates);
    if (job.blocks && job.updates) {
        job.gradients = job.updates + updates;
        memset(job.updates, 0, (updates + gradients) * sizeof *job.updates);
        pack(&what->update, what->columns, lanes, job.updates);
        pack(&what->gradient, what->columns, lanes, job.gradients);
        memset(job.blocks, 0, workers * sizeof(struct block));
        memset(out, 0, ((all + chunk - 1) >> what->chunk_log) * what->terms * sizeof *out);
        zkds_parallel((all + unit - 1) / unit, squares_task, &job);
    }
    const int code = job.blocks && job.updates ? ZKDS_OK : ZKDS_OUT_OF_MEMORY;
    free(job.updates);
    free(job.blocks);
    return code;
}
