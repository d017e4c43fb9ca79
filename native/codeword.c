/* Encode rows and hash or open columns, a few rows at a time: no whole codeword is ever in memory. */
#include "codeword_ops.h"
#include "api/codeword.h"
#include "api/ntt.h"
#include "field61.h"
#include "ntt.h"
#include "sha256_ops.h"

#define BATCH 4 /* rows encoded at once: two blocks of each fit the second-level cache */

static K1 load(const uint64_t *pairs, size_t index) { return (K1){pairs[2 * index], pairs[2 * index + 1]}; }
static void store(uint64_t *pairs, size_t index, K1 x) {
    pairs[2 * index] = x.re;
    pairs[2 * index + 1] = x.im;
}

/* ---- one batch of rows ------------------------------------------------------------------------------------------- */

struct encoder {
    const struct zkds_matrix *matrix;
    struct ntt_tables tables;
    int log_block;        /* columns are finished in blocks of 2^log_block points and their mirror images */
    size_t first, count;  /* rows of this batch */
    size_t stride;        /* words a row in `rows` */
    uint64_t *rows;
    /* committing */
    uint32_t *states;
    uint32_t seed[8];
    int salted;
    uint8_t *digests;
    /* opening */
    const uint32_t *positions;
    size_t position_count;
    uint64_t *columns;
};

static size_t row_count(const struct zkds_matrix *m) { return m->packed_rows + m->element_rows; }

/* Coefficients of one row, data part. */
static void fill_data(const struct zkds_matrix *m, size_t row, uint64_t *x) {
    size_t data = (size_t)1 << m->log_data;
    if (row >= m->packed_rows) {
        memcpy(x, m->elements + 2 * data * (row - m->packed_rows), 16 * data);
        return;
    }
    size_t start = 2 * row * data, available = m->cell_count > start ? m->cell_count - start : 0;
    size_t re = available < data ? available : data, im = available - re < data ? available - re : data;
    size_t whole = im / 8; /* vectors that both rows fill */
    OPS(codeword)->pack(x, m->cells + start, m->cells + start + data, whole);
    for (size_t j = 8 * whole; j < data; j++) {
        x[16 * (j / 8) + j % 8] = j < re ? m->cells[start + j] : 0;
        x[16 * (j / 8) + 8 + j % 8] = j < im ? m->cells[start + data + j] : 0;
    }
}

/* Modulo x^part - c, part = data / 2^levels: the tail's coefficient of x^(data + part m + j) counts c^(2^levels + m) at j. */
static void fold_tail(const struct encoder *job, size_t row, int levels, size_t node, uint64_t *x) {
    const struct zkds_matrix *m = job->matrix;
    size_t part = (size_t)1 << (m->log_data - levels);
    K1 s = load(job->tables.roots, node), c = k_mul(s, s), power = c;
    for (int level = 0; level < levels; level++) power = k_mul(power, power);
    for (size_t t = 0; t < m->tail; t++) {
        size_t j = t % part;
        if (t && !j) power = k_mul(power, c);
        uint64_t *at = x + 16 * (j / 8) + j % 8;
        K1 sum = k_add((K1){f_canonical(at[0]), f_canonical(at[8])}, k_mul(power, load(m->tails, row * m->tail + t)));
        at[0] = sum.re;
        at[8] = sum.im;
    }
}

/* How many levels of the transform are done while a row is read: rows of cells that are too long for the first-level cache,
 * and whole, save a pass over memory and half of the multiplications. An even number of levels is left down to the blocks. */
static int levels_from_cells(const struct encoder *job, size_t row) {
    const struct zkds_matrix *m = job->matrix;
    int above = m->log_data - job->log_block;
    if (above < 2 || row >= m->packed_rows || (row + 1) << (m->log_data + 1) > m->cell_count) return 0;
    return above & 1 ? 3 : 2;
}

static void spread_task(void *context, size_t task, int worker) { /* one row, one node of 2^log_data points */
    (void)worker;
    const struct encoder *job = context;
    const struct zkds_matrix *m = job->matrix;
    int depth = m->log_size - m->log_data;
    size_t node = task & (((size_t)1 << depth) - 1), row = task >> depth;
    uint64_t *x = job->rows + row * job->stride + (node << (m->log_data + 1));
    node += (size_t)1 << depth;
    row += job->first;
    int levels = levels_from_cells(job, row), log_part = m->log_data - levels;
    if (levels) {
        const uint32_t *re = m->cells + (row << (m->log_data + 1));
        OPS(ntt)->cells(x, re, re + ((size_t)1 << m->log_data), m->log_data, levels, node, &job->tables);
    } else
        fill_data(m, row, x);
    node <<= levels;
    for (size_t part = 0; part < (size_t)1 << levels; part++, node++, x += (size_t)2 << log_part) {
        fold_tail(job, row, levels, node, x);
        OPS(ntt)->descend(x, log_part, job->log_block, node, &job->tables);
    }
}

/* Finish block `block` and its mirror image in all rows of the batch. */
static void finish_blocks(const struct encoder *job, size_t block) {
    size_t blocks = (size_t)1 << (job->matrix->log_size - job->log_block);
    for (size_t row = 0; row < job->count; row++)
        for (int side = 0; side < 2; side++) {
            size_t node = side ? blocks - 1 - block : block;
            OPS(ntt)->finish(job->rows + row * job->stride + (node << (job->log_block + 1)), job->log_block, blocks + node, &job->tables);
        }
}

static void absorb_task(void *context, size_t block, int worker) {
    (void)worker;
    const struct encoder *job = context;
    const struct zkds_matrix *m = job->matrix;
    size_t vectors = (size_t)1 << (job->log_block - 3), blocks = (size_t)1 << (m->log_size - job->log_block);
    size_t low = block * vectors, high = (blocks - block) * vectors - 1;
    int last = job->first + job->count == row_count(m);
    finish_blocks(job, block);
    for (size_t v = 0; v < vectors; v += 4) {
        size_t leaf = 8 * (low + v);
        uint32_t *state = job->states + SHA_STATE_WORDS / SHA_LANES * leaf;
        if (!job->first) OPS(sha256)->leaf_begin(state, job->salted ? job->seed : NULL, leaf);
        for (size_t row = 0; row + 1 < job->count; row += 2) {
            const uint64_t *rows[2] = {job->rows + row * job->stride, job->rows + (row + 1) * job->stride};
            OPS(sha256)->leaf_absorb(state, rows, low + v, rows, high - v);
        }
        if (last) {
            const uint64_t *odd = job->count & 1 ? job->rows + (job->count - 1) * job->stride : NULL;
            OPS(sha256)->leaf_finish(state, odd, low + v, odd, high - v, 64 + 32 * (uint64_t)row_count(m), job->digests + 32 * leaf);
        }
    }
}

static size_t first_position_from(const struct encoder *job, size_t bound) {
    size_t low = 0, high = job->position_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (job->positions[middle] < bound)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void gather_task(void *context, size_t block, int worker) {
    (void)worker;
    const struct encoder *job = context;
    const struct zkds_matrix *m = job->matrix;
    size_t from = first_position_from(job, block << job->log_block), to = first_position_from(job, (block + 1) << job->log_block);
    if (from == to) return;
    finish_blocks(job, block);
    for (size_t q = from; q < to; q++)
        for (size_t row = 0; row < job->count; row++) {
            const uint64_t *x = job->rows + row * job->stride;
            size_t s = job->positions[q], mirror = ((size_t)1 << m->log_size) - 1 - s, at = 2 * (q * row_count(m) + job->first + row);
            store(job->columns, at, (K1){x[16 * (s / 8) + s % 8], x[16 * (s / 8) + 8 + s % 8]});
            store(job->columns, at + 1, (K1){x[16 * (mirror / 8) + mirror % 8], x[16 * (mirror / 8) + 8 + mirror % 8]});
        }
}

static int prepare(struct encoder *job, const uint64_t *tables, int tables_log_size) {
    const struct zkds_matrix *m = job->matrix;
    if (!zkds_ntt_tables_words(tables_log_size) || m->log_size > tables_log_size || m->log_data < NTT_MIN_LOG ||
        m->log_data >= m->log_size || !row_count(m) || (m->tail && !m->tails) || (m->packed_rows && !m->cells) ||
        (m->element_rows && !m->elements))
        return ZKDS_BAD_ARGUMENT;
    job->tables = zkds_ntt_view(tables, tables_log_size);
    job->log_block = m->log_data < NTT_BLOCK_LOG ? m->log_data : NTT_BLOCK_LOG;
    job->stride = ((size_t)2 << m->log_size) + 128; /* rows apart by no power of two */
    job->rows = zkds_alloc(8 * BATCH * job->stride);
    return job->rows ? ZKDS_OK : ZKDS_OUT_OF_MEMORY;
}

static void run(struct encoder *job, void (*column_task)(void *, size_t, int)) {
    const struct zkds_matrix *m = job->matrix;
    size_t block_pairs = (size_t)1 << (m->log_size - job->log_block - 1);
    for (job->first = 0; job->first < row_count(m); job->first += job->count) {
        size_t left = row_count(m) - job->first;
        job->count = left < BATCH ? left : BATCH;
        zkds_parallel(job->count << (m->log_size - m->log_data), spread_task, job);
        zkds_parallel(block_pairs, column_task, job);
    }
}

int zkds_commit_columns(const uint64_t *tables, int tables_log_size, const struct zkds_matrix *matrix, const uint8_t *salt_seed,
                        uint8_t *digests) {
    struct encoder job = {.matrix = matrix, .digests = digests, .salted = salt_seed != NULL};
    int code = prepare(&job, tables, tables_log_size);
    if (code != ZKDS_OK) return code;
    for (int j = 0; salt_seed && j < 8; j++) {
        uint32_t word;
        memcpy(&word, salt_seed + 4 * j, 4);
        job.seed[j] = __builtin_bswap32(word);
    }
    job.states = zkds_alloc((size_t)16 << matrix->log_size);
    if (job.states)
        run(&job, absorb_task);
    else
        code = ZKDS_OUT_OF_MEMORY;
    free(job.states);
    free(job.rows);
    return code;
}

int zkds_open_columns(const uint64_t *tables, int tables_log_size, const struct zkds_matrix *matrix, const uint32_t *positions,
                      size_t count, uint64_t *columns) {
    struct encoder job = {.matrix = matrix, .positions = positions, .position_count = count, .columns = columns};
    for (size_t q = 0; q < count; q++)
        if (positions[q] >= (size_t)1 << (matrix->log_size - 1) || (q && positions[q] <= positions[q - 1])) return ZKDS_BAD_ARGUMENT;
    int code = prepare(&job, tables, tables_log_size);
    if (code != ZKDS_OK) return code;
    run(&job, gather_task);
    free(job.rows);
    return ZKDS_OK;
}
