/* Chunks of a matrix, or whole rows where chunks are shorter, are tasks; each goes through its entries block by block. */
#include "squares_ops.h"
#include "squares_tiles.h"
#include "api/squares.h"

#define MAX_TERMS ZKDS_SQUARES_MAX_TERMS
#define EXACT 9007199254740992.0 /* 2^53 */

/* A worker's place: one row's digits, one block of entries, and the sums of the chunk that it is in. */
struct block {
    int32_t p[SQUARES_LANES * SQUARES_PRODUCT] __attribute__((aligned(64)));
    squares_sums sums __attribute__((aligned(64)));
    int16_t w[MAX_TERMS][SQUARES_LANES] __attribute__((aligned(64))), g[MAX_TERMS][SQUARES_LANES] __attribute__((aligned(64)));
    int16_t inputs[MAX_TERMS][SQUARES_LANES] __attribute__((aligned(64))); /* what of them is in the block, zero-filled */
    int8_t scratch[MAX_TERMS][SQUARES_LANES] __attribute__((aligned(64)));
    uint64_t totals[SQUARES_PARTS][2 * SQUARES_ROWS];                      /* modulo 2^64 */
    double bound;                                                          /* of the sums: what they may have reached */
    int summed;                                                            /* whether sums or totals hold anything */
    struct squares_signs update, gradient;                                 /* of the row */
    int8_t *rows[2];                                                       /* its digits of both, for tiles, within zeros */
    size_t counts[2][2][MAX_TERMS];                                        /* theirs */
    struct squares_tiles *tiles;                                           /* NULL without AMX */
};

/* Polynomials of low rank for all blocks of entries. Digits that are 0 everywhere at the upper end are none. */
struct operand {
    const struct zkds_low_rank *given;
    size_t outer_digits, inner_digits, terms;
    int small; /* all digits are -1, 0 or 1 */
    int8_t *bytes; /* the inner ones by blocks of columns, (blocks, rank, inner_digits, SQUARES_LANES): every row uses them */
    int16_t *shorts; /* the same, unless `small` */
    int tiled;       /* they are as tiles have them, (blocks, inner_digits, ..) */
};

struct squares_job {
    const struct zkds_product_squares *what;
    int64_t *out;
    size_t unit;  /* entries of a task */
    size_t lanes; /* entries of a block: SQUARES_LANES, or as many as a row or a chunk has */
    size_t weight_digits, w_terms;
    struct operand update, gradient;
    struct block *blocks; /* one for each worker */
};

/* ---- operands ----------------------------------------------------------------------------------------------------- */

static size_t low_rank_terms(const struct zkds_low_rank *a) { return a->rank ? a->outer_digits + a->inner_digits - 1 : 0; }
static size_t w_terms(const struct zkds_product_squares *what, size_t weight_digits, size_t update_terms) {
    size_t own = what->stride * (weight_digits - 1) + what->scale_terms;
    return own > update_terms ? own : update_terms;
}

static int any(const int16_t *values, size_t count) {
    int16_t bits = 0;
    for (size_t i = 0; i < count; i++) bits |= values[i];
    return bits != 0;
}
static int all_small(const int16_t *values, size_t count) {
    int large = 0;
    for (size_t i = 0; i < count; i++) large |= values[i] < -1 || values[i] > 1;
    return !large;
}

/* How many of (count, digits, columns) digits there are up to the last one that is not 0 everywhere; `least` at least. */
static size_t used_digits(const int16_t *values, size_t count, size_t digits, size_t columns, size_t least) {
    for (size_t i = 0; i < count; i++)
        for (size_t j = digits; j > least; j--)
            if (any(values + (i * digits + j - 1) * columns, columns)) least = j;
    return least;
}

static void pack_bytes(const int16_t *from, size_t count, int8_t *to) {
    for (size_t x = 0; x < count; x++) to[x] = (int8_t)from[x];
}

/* The bytes of a block, and how many rows of zeros and digits a row of `outer` takes. */
static size_t block_size(const struct operand *a) {
    return (a->tiled ? squares_tiles_pitch(a->given->rank) : a->given->rank) * a->inner_digits * SQUARES_LANES;
}
static size_t tiled_rows(const struct operand *a) { return a->outer_digits + 2 * TILES_ROWS(a->inner_digits); }

/* ZKDS_OK or ZKDS_OUT_OF_MEMORY. */
static int operand_init(struct operand *operand, const struct zkds_low_rank *a, size_t rows, size_t columns, size_t lanes) {
    *operand = (struct operand){a, 1, 1, 0, 1, NULL, NULL, 0};
    if (!a->rank) return ZKDS_OK;
    operand->inner_digits = used_digits(a->inner, a->rank, a->inner_digits, columns, 1);
    operand->small = all_small(a->inner, a->rank * a->inner_digits * columns);
    for (size_t row = 0; row < rows; row++) {
        const int16_t *outer = a->outer + row * a->outer_row;
        operand->outer_digits = used_digits(outer, a->rank, a->outer_digits, 1, operand->outer_digits);
        operand->small &= all_small(outer, a->rank * a->outer_digits);
    }
    operand->terms = operand->outer_digits + operand->inner_digits - 1;
    operand->tiled = zkds_isa() == ZKDS_AMX && operand->small && a->rank >= TILES_RANK;
    const size_t of_block = block_size(operand), size = columns / lanes * of_block;
    int8_t *bytes = operand->bytes = zkds_alloc(size * (operand->small ? sizeof(int8_t) : sizeof(int16_t)));
    if (!bytes) return ZKDS_OUT_OF_MEMORY;
    int16_t *shorts = operand->shorts = operand->small ? NULL : (int16_t *)(void *)bytes;
    memset(bytes, 0, size * (operand->small ? sizeof(int8_t) : sizeof(int16_t)));
    const size_t next = squares_tiles_next(a->rank);
    for (size_t column = 0; column < columns; column += lanes)
        for (size_t r = 0; r < a->rank; r++)
            for (size_t j = 0; j < operand->inner_digits; j++) {
                const int16_t *from = a->inner + (r * a->inner_digits + j) * columns + column;
                if (operand->tiled) {
                    int8_t *to = bytes + column / lanes * of_block + squares_tiles_place(a->rank, r, j);
                    for (size_t x = 0; x < lanes; x++) to[x / TILE_SIDE * next + x % TILE_SIDE * 4] = (int8_t)from[x];
                } else if (shorts) {
                    memcpy(shorts, from, lanes * sizeof *shorts);
                    shorts += SQUARES_LANES;
                } else {
                    pack_bytes(from, lanes, bytes);
                    bytes += SQUARES_LANES;
                }
            }
    return ZKDS_OK;
}

/* Sorts the digits of a row, each times `sign`. */
static void sort_signs(const struct operand *a, size_t row, int sign, struct squares_signs *signs) {
    const size_t digits = a->given->outer_digits;
    uint32_t *to = signs->which;
    for (size_t i = 0; i < a->outer_digits; i++) {
        const uint32_t *first = to;
        for (int wanted = sign, pass = 0; pass < 2; wanted = -sign, pass++) {
            const int16_t *outer = a->given->outer + row * a->given->outer_row + i;
            for (uint32_t r = 0; r < a->given->rank; r++)
                if (outer[r * digits] == wanted) *to++ = r;
            *(pass ? &signs->all[i] : &signs->plus[i]) = (size_t)(to - first);
        }
    }
}

/* The digits of a row, (outer_digits, pitch), within the zeros that tiles read. */
static void gather_row(const struct operand *a, size_t row, int8_t *to) {
    const size_t pitch = squares_tiles_pitch(a->given->rank), digits = a->given->outer_digits;
    const int16_t *outer = a->given->outer + row * a->given->outer_row;
    int8_t *first = to + TILES_ROWS(a->inner_digits) * pitch;
    for (size_t r = 0; r < a->given->rank; r++)
        for (size_t i = 0; i < a->outer_digits; i++) first[i * pitch + r] = (int8_t)outer[r * digits + i];
}

/* out += the low rank's polynomials times `sign`, 1 or -1; signs: of the row. */
static void add_low_rank(const struct operand *a, size_t row, int sign, size_t number, const struct squares_signs *signs,
                         const int8_t *digits, struct block *block, int16_t (*out)[SQUARES_LANES]) {
    const size_t rank = a->given->rank, size = a->inner_digits * SQUARES_LANES;
    if (!rank) return;
    if (a->tiled) {
        const int8_t *first = digits + TILES_ROWS(a->inner_digits) * squares_tiles_pitch(rank);
        const int8_t *inner = a->bytes + number * block_size(a);
        squares_tiles_multiply(first, a->outer_digits, inner, a->inner_digits, rank, sign, out);
        return;
    }
    if (a->small) {
        OPS(squares)->add_signed(signs, a->outer_digits, a->bytes + number * rank * size, a->inner_digits, block->scratch, out);
        return;
    }
    for (size_t r = 0; r < rank; r++) {
        const int16_t *outer = a->given->outer + row * a->given->outer_row + r * a->given->outer_digits;
        int16_t factors[MAX_TERMS];
        for (size_t i = 0; i < a->outer_digits; i++) factors[i] = (int16_t)(sign * outer[i]);
        OPS(squares)->multiply_add(factors, a->outer_digits, a->shorts + (number * rank + r) * size, a->inner_digits, out);
    }
}

/* Rows of `lanes` entries as SQUARES_LANES each, zero-filled. At their pitch, a power of two, they would evict each other. */
static const int16_t *gather(const int16_t *from, size_t rows, size_t pitch, size_t lanes, struct block *block) {
    if (lanes < SQUARES_LANES) memset(block->inputs, 0, rows * sizeof *block->inputs);
    for (size_t j = 0; j < rows; j++) memcpy(block->inputs[j], from + j * pitch, lanes * sizeof *from);
    return block->inputs[0];
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
    if (block->tiles) squares_tiles_sum(block->tiles, count, to);
    if (!block->summed) return;
    flush(block, count);
    const uint64_t(*low)[2 * SQUARES_ROWS] = block->totals, (*high)[2 * SQUARES_ROWS] = low + 3;
    const uint64_t(*both)[2 * SQUARES_ROWS] = low + 6;
    add_pair(low, part, 0, 1, to, terms);
    add_pair(low, part, 2 * part, minus, to, terms);
    add_pair(both, part, 2 * part, 1, to, terms);
    add_pair(high, part, 2 * part, minus, to, terms);
    add_pair(high, part, 4 * part, 1, to, terms);
    memset(block->totals, 0, sizeof block->totals);
    block->summed = 0;
}

/* Straight, in 64 bits, where doubles do not hold it. */
static void add_wide(const struct block *block, size_t count, int64_t *to) {
    const size_t width = 2 * (size_t)*OPS(squares)->width;
    for (size_t v = 0; v < SQUARES_LANES / width; v++) {
        const int32_t *rows = block->p + v * SQUARES_PRODUCT * width;
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < count; j++)
                for (size_t x = 0; x < width; x++) to[i + j] += (int64_t)rows[i * width + x] * rows[j * width + x];
    }
}

/* largest: a bound of all coefficients; of sums of four parts it is four times as much. */
static void add_squares(struct block *block, size_t count, double largest, int64_t *to) {
    if (block->tiles && largest <= TILES_LARGEST) {
        squares_tiles_add(block->tiles, block->p, count);
        if (block->tiles->blocks == TILES_BLOCKS) squares_tiles_sum(block->tiles, count, to);
        return;
    }
    const double lanes = SQUARES_LANES / *OPS(squares)->width, more = 16 * largest * largest * (double)part_of(count) * lanes;
    if (more >= EXACT) {
        add_wide(block, count, to);
        return;
    }
    if (block->bound + more >= EXACT) flush(block, count);
    block->bound += more;
    block->summed = 1;
    OPS(squares)->squares(block->p, count, part_of(count), block->sums);
}

/* ---- blocks of entries -------------------------------------------------------------------------------------------- */

static void begin_row(const struct squares_job *job, size_t row, struct block *block) {
    const struct operand *operands[] = {&job->update, &job->gradient};
    struct squares_signs *signs[] = {&block->update, &block->gradient};
    for (int k = 0; k < 2; k++) {
        if (operands[k]->tiled) gather_row(operands[k], row, block->rows[k]);
        else sort_signs(operands[k], row, k ? 1 : -1, signs[k]);
    }
}

static void add_block(const struct squares_job *job, size_t row, size_t column, struct block *block, int64_t *to) {
    const struct zkds_product_squares *what = job->what;
    const size_t w_count = job->w_terms, g_count = job->gradient.terms, number = column / job->lanes;
    memset(block->w, 0, w_count * sizeof *block->w);
    memset(block->g, 0, g_count * sizeof *block->g);
    add_low_rank(&job->update, row, -1, number, &block->update, block->rows[0], block, block->w);
    const int16_t *own = what->weights + row * what->weight_digits * what->columns + column;
    own = gather(own, job->weight_digits, what->columns, job->lanes, block);
    for (size_t j = 0; j < job->weight_digits; j++)
        OPS(squares)->multiply_add(what->scale, what->scale_terms, own + j * SQUARES_LANES, 1, block->w + what->stride * j);
    add_low_rank(&job->gradient, row, 1, number, &block->gradient, block->rows[1], block, block->g);
    const double largest = OPS(squares)->product((const int16_t(*)[SQUARES_LANES])block->w, w_count,
                                                 (const int16_t(*)[SQUARES_LANES])block->g, g_count, block->p);
    add_squares(block, w_count + g_count - 1, largest, to);
}

static void squares_task(void *context, size_t task, int worker) {
    const struct squares_job *job = context;
    const struct zkds_product_squares *what = job->what;
    struct block *block = job->blocks + worker;
    const size_t chunk = (size_t)1 << what->chunk_log, count = job->w_terms + job->gradient.terms - 1;
    const size_t first = task * job->unit, all = what->rows * what->columns;
    const size_t last = first + job->unit < all ? first + job->unit : all;
    for (size_t at = first; at < last; at += job->lanes) {
        int64_t *to = job->out + (at >> what->chunk_log) * what->terms;
        if (at % what->columns == 0) begin_row(job, at / what->columns, block);
        add_block(job, at / what->columns, at % what->columns, block, to);
        if ((at + job->lanes) % chunk == 0 || at + job->lanes == last) finish_chunk(block, count, to, what->terms);
    }
}

/* ZKDS_OK or ZKDS_OUT_OF_MEMORY. */
static int run(struct squares_job *job) {
    const struct zkds_product_squares *what = job->what;
    const size_t workers = (size_t)zkds_threads(), updates = what->update.rank * job->update.outer_digits;
    const size_t signs = updates + what->gradient.rank * job->gradient.outer_digits;
    uint32_t *which = zkds_alloc((workers * signs + 1) * sizeof *which);
    const int amx = zkds_isa() == ZKDS_AMX;
    struct squares_tiles *tiles = zkds_alloc(amx ? workers * sizeof *tiles : 1);
    size_t sizes[2];
    const struct operand *operands[] = {&job->update, &job->gradient};
    for (int k = 0; k < 2; k++)
        sizes[k] = operands[k]->tiled ? tiled_rows(operands[k]) * squares_tiles_pitch(operands[k]->given->rank) : 0;
    int8_t *digits = zkds_alloc(workers * (sizes[0] + sizes[1]) + 1);
    job->blocks = zkds_alloc(workers * sizeof *job->blocks);
    const int code = which && tiles && digits && job->blocks ? ZKDS_OK : ZKDS_OUT_OF_MEMORY;
    if (code == ZKDS_OK) {
        memset(digits, 0, workers * (sizes[0] + sizes[1]));
        memset(job->blocks, 0, workers * sizeof *job->blocks);
        for (size_t w = 0; w < workers; w++) {
            struct block *block = job->blocks + w;
            block->update = (struct squares_signs){which + w * signs, block->counts[0][0], block->counts[0][1]};
            block->gradient = (struct squares_signs){which + w * signs + updates, block->counts[1][0], block->counts[1][1]};
            block->rows[0] = digits + w * (sizes[0] + sizes[1]);
            block->rows[1] = block->rows[0] + sizes[0];
            if (amx) {
                block->tiles = tiles + w;
                block->tiles->blocks = 0;
            }
        }
        const size_t all = what->rows * what->columns, chunk = (size_t)1 << what->chunk_log;
        memset(job->out, 0, ((all + chunk - 1) >> what->chunk_log) * what->terms * sizeof *job->out);
        zkds_parallel((all + job->unit - 1) / job->unit, squares_task, job);
    }
    free(which);
    free(tiles);
    free(digits);
    free(job->blocks);
    return code;
}

int zkds_product_squares(const struct zkds_product_squares *what, int64_t *out) {
    if (!what->rows || !what->columns || what->columns & (what->columns - 1) || what->chunk_log < 0 || what->chunk_log > 40 ||
        !what->weight_digits || !what->scale_terms || !what->gradient.rank)
        return ZKDS_BAD_ARGUMENT;
    size_t w_count = w_terms(what, what->weight_digits, low_rank_terms(&what->update)), g_count = low_rank_terms(&what->gradient);
    if (w_count > MAX_TERMS || g_count > MAX_TERMS || 2 * (w_count + g_count - 1) - 1 > what->terms) return ZKDS_BAD_ARGUMENT;
    struct squares_job job = {.what = what, .out = out};
    const size_t chunk = (size_t)1 << what->chunk_log;
    job.unit = chunk > what->columns ? chunk : what->columns;
    job.lanes = what->columns < SQUARES_LANES ? what->columns : SQUARES_LANES;
    if (chunk < job.lanes) job.lanes = chunk;
    job.weight_digits = used_digits(what->weights, what->rows, what->weight_digits, what->columns, 1);
    int code = operand_init(&job.update, &what->update, what->rows, what->columns, job.lanes);
    if (code == ZKDS_OK) code = operand_init(&job.gradient, &what->gradient, what->rows, what->columns, job.lanes);
    job.w_terms = w_terms(what, job.weight_digits, job.update.terms);
    if (code == ZKDS_OK) code = run(&job);
    free(job.update.bytes);
    free(job.gradient.bytes);
    return code;
}
