/* Exact matrix products with tiles of bytes: blocks of the result are tasks; each packs its rows and columns, a chunk of the sums
 * at a time. Tiles are a thread's own: each task configures and releases them. */
#include "exact_tiles.h"

#ifdef ZKDS_TILES
#define BLOCK 128 /* rows and columns of a block, at most: what is packed of them fits an L2 cache, as a rule */
#define LEAST_ROWS 8
#define LEAST_TERMS 16
#define LEAST_WIDE_TERMS 256 /* the words of fewer gain nothing */

_Static_assert(255LL * 255 * EXACT_TILE_PLANES * EXACT_TILE_TERMS < INT32_MAX, "32-bit sums of products of bytes");
_Static_assert(3LL * EXACT_WIDE_TILE_TERMS << 2 * EXACT_WORD_BITS < INT64_MAX, "64-bit sums of products of words");

/* One byte of the entries of an array: a byte of one of its words, which is a digit of the factor. */
struct plane {
    size_t array, digit;
    int shift, byte; /* of the word within the entry, bits; of the byte within the word */
    int is_signed;
};

/* A factor: its planes, array by array, and its offsets, padded to whole tiles by repeating the last ones. */
struct side {
    const struct zkds_factor *factors;
    struct plane planes[EXACT_TILE_PLANES];
    size_t arrays, count, digits;
    int64_t *lanes, *terms; /* offsets of the rows of the left factor or the columns of the right one, and of the sums' terms */
    int by_terms;           /* 16 terms of a lane are loaded at a time, instead of 16 lanes of a term */
    int is_left;
};

struct job {
    const struct exact_product *product;
    struct side left, right;
    size_t rows, columns, terms;
    size_t block_rows, row_blocks, column_blocks, digits;
    int powers; /* of 2^8 in products of planes */
    size_t scratch_bytes; /* of a worker */
    char *scratch;
    unsigned char *failed; /* one for each worker */
};

/* The part of a worker's scratch that each array takes. */
struct scratch {
    int8_t *left, *right; /* tiles (groups of 16 lanes, planes, 64 terms) */
    int64_t *totals;      /* (digits, BLOCK, BLOCK) */
};

static size_t whole(size_t count, size_t unit) { return (count + unit - 1) / unit * unit; }

/* ---- planes --------------------------------------------------------------------------------------------------------- */

/* Appends an array's planes; 0 if there are too many. */
static int add_planes(struct side *side, size_t array, int wide) {
    const struct zkds_factor *factor = &side->factors[array];
    const int bits = factor->bits + !factor->is_unsigned, bytes = bits > 8 ? (bits + 7) / 8 : 1;
    for (int byte = 0; byte < bytes; byte++) {
        if (side->count == EXACT_TILE_PLANES) return 0;
        const int word = wide ? byte / EXACT_WORD_BYTES : 0;
        const size_t digit = wide ? (size_t)word : array;
        side->planes[side->count++] = (struct plane){array, digit, word * EXACT_WORD_BITS, wide ? byte % EXACT_WORD_BYTES : byte,
                                                     !factor->is_unsigned && byte == bytes - 1};
        if (digit >= side->digits) side->digits = digit + 1;
    }
    return 1;
}

static int find_planes(const struct exact_product *product, struct side *left, struct side *right) {
    *left = (struct side){.factors = product->left, .arrays = product->left_count, .is_left = 1};
    *right = (struct side){.factors = product->right, .arrays = product->right_count};
    for (size_t i = 0; i < left->arrays; i++)
        if (!add_planes(left, i, !product->digits)) return 0;
    for (size_t j = 0; j < right->arrays; j++)
        if (!add_planes(right, j, !product->digits)) return 0;
    return 1;
}

/* Of a digit. */
static int most_bytes(const struct side *side) {
    int most = 1;
    for (size_t p = 0; p < side->count; p++)
        if (side->planes[p].byte >= most) most = side->planes[p].byte + 1;
    return most;
}

int exact_tiles_fit(const struct exact_product *product) {
    struct side left, right;
    const size_t terms = product->left->view.columns;
    const size_t least = product->digits ? LEAST_TERMS : LEAST_WIDE_TERMS;
    const size_t most = product->digits ? SIZE_MAX : EXACT_WIDE_TILE_TERMS;
    return zkds_isa() >= ZKDS_AMX && terms >= least && terms <= most && product->out->rows >= LEAST_ROWS &&
           find_planes(product, &left, &right);
}

/* ---- packing -------------------------------------------------------------------------------------------------------- */

/* 16 entries, from some base on; those that the mask leaves out are 0. */
struct entries {
    __m512i low, high;
};

TARGET static inline struct entries load(const int64_t *values, const int64_t *offsets, int is_run, __mmask16 mask) {
    if (is_run) {
        const int64_t *from = values + offsets[0];
        return (struct entries){_mm512_maskz_loadu_epi64((__mmask8)mask, from),
                                _mm512_maskz_loadu_epi64((__mmask8)(mask >> 8), from + 8)};
    }
    const __m512i zero = _mm512_setzero_si512();
    return (struct entries){
        _mm512_mask_i64gather_epi64(zero, (__mmask8)mask, _mm512_loadu_si512(offsets), values, 8),
        _mm512_mask_i64gather_epi64(zero, (__mmask8)(mask >> 8), _mm512_loadu_si512(offsets + 8), values, 8),
    };
}

static int is_run(const int64_t *offsets) {
    int found = 1;
    for (int i = 1; i < TILE_SIDE; i++) found &= offsets[i] == offsets[i - 1] + 1;
    return found;
}

/* The 32 bits of each entry from bit `shift` on. */
TARGET static inline __m512i words(struct entries entries, int shift) {
    const __m128i count = _mm_cvtsi32_si128(shift);
    const __m256i low = _mm512_cvtepi64_epi32(_mm512_sra_epi64(entries.low, count));
    const __m256i high = _mm512_cvtepi64_epi32(_mm512_sra_epi64(entries.high, count));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* Which of 16 positions from `first` on are below `end`. */
static __mmask16 below(size_t first, size_t end) {
    return first + TILE_SIDE <= end ? 0xffff : first < end ? (__mmask16)((1u << (end - first)) - 1) : 0;
}

/* Packs 16 lanes of one array: tiles (planes, 64 terms). A tile's line is a lane or, where 16 lanes are loaded at a time, four
 * terms of all lanes: byte j of word w belongs to term 16 j + w. Returns the OR of all entries plus `limit`. */
TARGET static uint64_t pack_array(const struct side *side, const struct plane *planes, size_t count, const int64_t *values,
                                  const int64_t *lanes, const int64_t *terms, size_t term_count, int8_t *out) {
    const struct zkds_factor *factor = &side->factors[planes->array];
    const size_t tiles = whole(term_count, TILE_TERMS) / TILE_TERMS, pitch = tiles * TILE_BYTES;
    const __m512i limit = _mm512_set1_epi64(factor->is_unsigned ? 0 : (int64_t)1 << factor->bits);
    const int lanes_run = is_run(lanes);
    int terms_run[EXACT_TILE_TERMS / TILE_SIDE];
    __m512i seen = _mm512_setzero_si512();
    for (size_t j = 0; j < 4 * tiles; j++) terms_run[j] = is_run(terms + TILE_SIDE * j);
    for (size_t line = 0; line < TILE_SIDE; line++)
        for (size_t k = 0; k < tiles; k++) {
            int8_t *to = out + k * TILE_BYTES + line * TILE_TERMS;
            struct entries loaded[4];
            for (size_t j = 0; j < 4; j++) {
                const size_t first = k * TILE_TERMS + TILE_SIDE * j;
                loaded[j] = side->by_terms
                                ? load(values + lanes[line], terms + first, terms_run[4 * k + j], below(first, term_count))
                                : load(values + terms[first + line], lanes, lanes_run, first + line < term_count ? 0xffff : 0);
                seen = _mm512_ternarylogic_epi64(seen, _mm512_add_epi64(loaded[j].low, limit),
                                                 _mm512_add_epi64(loaded[j].high, limit), 0xfe);
            }
            for (size_t p = 0; p < count;) {
                const int shift = planes[p].shift;
                __m512i x[4];
                for (size_t j = 0; j < 4; j++) x[j] = words(loaded[j], shift);
                for (; p < count && planes[p].shift == shift; p++) {
                    _mm512_store_si512(to + p * pitch, lowest_bytes(x[0], x[1], x[2], x[3]));
                    for (size_t j = 0; j < 4; j++) x[j] = _mm512_srli_epi32(x[j], 8);
                }
            }
        }
    if (side->by_terms != side->is_left)
        for (size_t at = 0; at < count * pitch; at += TILE_BYTES) tile_transpose(out + at, out + at);
    return (uint64_t)_mm512_reduce_or_epi64(seen);
}

/* Packs the lanes of a block, `term_count` terms from `term` on; 1 if an entry is wider than declared. */
static int pack(const struct side *side, size_t batch, size_t lane, size_t lane_count, size_t term, size_t term_count,
                int8_t *out) {
    const size_t pitch = whole(term_count, TILE_TERMS) * TILE_SIDE; /* of a plane */
    int wide = 0;
    for (size_t group = 0; group < lane_count; group += TILE_SIDE)
        for (size_t first = 0, count; first < side->count; first += count, out += count * pitch) {
            const struct plane *planes = side->planes + first;
            const struct zkds_factor *factor = &side->factors[planes->array];
            const int64_t *values = factor->values + batch * factor->view.batch;
            for (count = 1; first + count < side->count && planes[count].array == planes->array;) count++;
            const int64_t *lanes = side->lanes + lane + group;
            const uint64_t seen = pack_array(side, planes, count, values, lanes, side->terms + term, term_count, out);
            wide |= seen >> (factor->bits + !factor->is_unsigned) != 0;
        }
    return wide;
}

/* ---- one block ------------------------------------------------------------------------------------------------------ */

/* Adds the products of two planes' tiles to tiles 0 to 3. */
#define MULTIPLY(multiply)                                                                                             \
    for (size_t k = 0; k < bytes; k += TILE_BYTES) {                                                                   \
        _tile_loadd(4, left + k, TILE_TERMS);                                                                          \
        _tile_loadd(6, right + k, TILE_TERMS);                                                                         \
        multiply(0, 4, 6);                                                                                             \
        if (more_columns) {                                                                                            \
            _tile_loadd(7, right + next_right + k, TILE_TERMS);                                                        \
            multiply(1, 4, 7);                                                                                         \
        }                                                                                                              \
        if (more_rows) {                                                                                               \
            _tile_loadd(5, left + next_left + k, TILE_TERMS);                                                          \
            multiply(2, 5, 6);                                                                                         \
            if (more_columns) multiply(3, 5, 7);                                                                       \
        }                                                                                                              \
    }

TARGET static void multiply_planes(const int8_t *left, size_t next_left, int more_rows, int left_signed, const int8_t *right,
                                   size_t next_right, int more_columns, int right_signed, size_t bytes) {
    if (left_signed && right_signed) {
        MULTIPLY(_tile_dpbssd)
    } else if (left_signed) {
        MULTIPLY(_tile_dpbsud)
    } else if (right_signed) {
        MULTIPLY(_tile_dpbusd)
    } else {
        MULTIPLY(_tile_dpbuud)
    }
}
#undef MULTIPLY

/* totals += 2^shift sums, modulo 2^64 */
TARGET static void add_tile(const int32_t (*sums)[TILE_SIDE], int shift, int64_t *totals) {
    const __m128i count = _mm_cvtsi32_si128(shift);
    for (size_t r = 0; r < TILE_SIDE; r++)
        for (size_t c = 0; c < TILE_SIDE; c += 8) {
            int64_t *to = totals + r * BLOCK + c;
            const __m512i wide = _mm512_cvtepi32_epi64(_mm256_load_si256((const __m256i *)(const void *)(sums[r] + c)));
            _mm512_store_si512(to, _mm512_add_epi64(_mm512_load_si512(to), _mm512_sll_epi64(wide, count)));
        }
}

/* One or two groups of 16 rows times one or two of 16 columns, for one digit and one power of 2^8. */
struct corner {
    const int8_t *left, *right;
    int more_rows, more_columns;
    size_t tiles; /* of terms */
    int64_t *totals;
};

TARGET static void add_power(const struct job *job, const struct corner *corner, size_t digit, int power) {
    const size_t pitch = corner->tiles * TILE_BYTES;
    int32_t sums[4][TILE_SIDE][TILE_SIDE] __attribute__((aligned(64)));
    int any = 0;
    for (size_t a = 0; a < job->left.count; a++)
        for (size_t b = 0; b < job->right.count; b++) {
            const struct plane *left = &job->left.planes[a], *right = &job->right.planes[b];
            if (left->digit + right->digit != digit || left->byte + right->byte != power) continue;
            if (!any) {
                _tile_zero(0);
                _tile_zero(1);
                _tile_zero(2);
                _tile_zero(3);
            }
            any = 1;
            multiply_planes(corner->left + a * pitch, job->left.count * pitch, corner->more_rows, left->is_signed,
                            corner->right + b * pitch, job->right.count * pitch, corner->more_columns, right->is_signed, pitch);
        }
    if (!any) return;
    _tile_stored(0, sums[0], 64);
    _tile_stored(1, sums[1], 64);
    _tile_stored(2, sums[2], 64);
    _tile_stored(3, sums[3], 64);
    for (int k = 0; k < 4; k++)
        if ((k < 2 || corner->more_rows) && (k % 2 == 0 || corner->more_columns))
            add_tile((const int32_t(*)[TILE_SIDE])sums[k], 8 * power,
                     corner->totals + k / 2 * TILE_SIDE * BLOCK + k % 2 * TILE_SIDE);
}

static void add_chunk(const struct job *job, const struct scratch *scratch, size_t rows, size_t columns, size_t tiles) {
    const size_t row_pitch = job->left.count * tiles * TILE_BYTES, column_pitch = job->right.count * tiles * TILE_BYTES;
    for (size_t c = 0; c < columns; c += 2 * TILE_SIDE)
        for (size_t r = 0; r < rows; r += 2 * TILE_SIDE)
            for (size_t d = 0; d < job->digits; d++) {
                const struct corner corner = {scratch->left + r / TILE_SIDE * row_pitch,
                                              scratch->right + c / TILE_SIDE * column_pitch, r + TILE_SIDE < rows,
                                              c + TILE_SIDE < columns, tiles, scratch->totals + (d * BLOCK + r) * BLOCK + c};
                for (int power = 0; power < job->powers; power++) add_power(job, &corner, d, power);
            }
}

static void store_wide(__int128 value, int64_t *hi, int64_t *lo) {
    const __int128 limit = (__int128)1 << 94;
    value = value > limit ? limit : value < -limit ? -limit : value;
    *hi = (int64_t)(value >> 32);
    *lo = (int64_t)(value & 0xffffffff);
}

static void store(const struct job *job, const struct scratch *scratch, size_t batch, size_t row, size_t rows, size_t column,
                  size_t columns) {
    const struct exact_product *product = job->product;
    const struct zkds_view *out = product->out;
    for (size_t r = 0; r < rows; r++) {
        const size_t place = batch * out->batch + (size_t)out->row[row + r];
        const int64_t *places = out->column + column, *from = scratch->totals + r * BLOCK;
        for (size_t d = 0; d < product->digits; d++)
            for (size_t c = 0; c < columns; c++) product->sums[d][place + (size_t)places[c]] = from[d * BLOCK * BLOCK + c];
        if (product->digits) continue;
        for (size_t c = 0; c < columns; c++) {
            __int128 value = 0;
            for (size_t d = job->digits; d-- > 0;) value = value * (1 << EXACT_WORD_BITS) + from[d * BLOCK * BLOCK + c];
            store_wide(value, product->hi + place + places[c], product->lo + place + places[c]);
        }
    }
}

TARGET static void multiply_task(void *context, size_t task, int worker) {
    const struct job *job = context;
    const size_t column = task % job->column_blocks * BLOCK;
    const size_t row = task / job->column_blocks % job->row_blocks * job->block_rows;
    const size_t batch = task / job->column_blocks / job->row_blocks;
    const size_t rows = job->rows - row < job->block_rows ? job->rows - row : job->block_rows;
    const size_t columns = job->columns - column < BLOCK ? job->columns - column : BLOCK;
    char *at = job->scratch + (size_t)worker * job->scratch_bytes;
    struct scratch scratch = {.left = (int8_t *)at};
    scratch.right = scratch.left + BLOCK * job->left.count * EXACT_TILE_TERMS;
    scratch.totals = (int64_t *)(void *)(scratch.right + BLOCK * job->right.count * EXACT_TILE_TERMS);
    memset(scratch.totals, 0, job->digits * BLOCK * BLOCK * sizeof *scratch.totals);
    tiles_configure(TILE_TERMS);
    for (size_t term = 0; term < job->terms; term += EXACT_TILE_TERMS) {
        const size_t count = job->terms - term < EXACT_TILE_TERMS ? job->terms - term : EXACT_TILE_TERMS;
        if (pack(&job->left, batch, row, rows, term, count, scratch.left) ||
            pack(&job->right, batch, column, columns, term, count, scratch.right)) {
            job->failed[worker] = 1;
            break;
        }
        add_chunk(job, &scratch, rows, columns, whole(count, TILE_TERMS) / TILE_TERMS);
    }
    _tile_release();
    store(job, &scratch, batch, row, rows, column, columns);
}

/* ---- whole products ------------------------------------------------------------------------------------------------- */

/* The offsets, padded by the last one to a multiple of `unit`. */
static int64_t *padded(const int64_t *offsets, size_t count, size_t unit) {
    const size_t all = whole(count, unit);
    int64_t *copy = malloc(all * sizeof *copy);
    for (size_t i = 0; copy && i < all; i++) copy[i] = offsets[i < count ? i : count - 1];
    return copy;
}

static size_t steps_of_one(const int64_t *offsets, size_t count) {
    size_t found = 0;
    for (size_t i = 1; i < count; i++) found += offsets[i] == offsets[i - 1] + 1;
    return found;
}

static int find_offsets(struct side *side) {
    const struct zkds_view *view = &side->factors->view;
    const int64_t *lanes = side->is_left ? view->row : view->column, *terms = side->is_left ? view->column : view->row;
    const size_t lane_count = side->is_left ? view->rows : view->columns, term_count = side->is_left ? view->columns : view->rows;
    side->lanes = padded(lanes, lane_count, TILE_SIDE);
    side->terms = padded(terms, term_count, TILE_TERMS);
    side->by_terms = steps_of_one(terms, term_count) * lane_count >= steps_of_one(lanes, lane_count) * term_count;
    return side->lanes && side->terms;
}

static int run(struct job *job) {
    const size_t workers = (size_t)zkds_threads();
    const size_t tasks = job->product->batches * job->row_blocks * job->column_blocks;
    int code = ZKDS_OK;
    job->scratch = zkds_alloc(workers * job->scratch_bytes);
    job->failed = calloc(workers, 1);
    if (job->scratch && job->failed && find_offsets(&job->left) && find_offsets(&job->right)) {
        zkds_parallel(tasks, multiply_task, job);
        for (size_t worker = 0; worker < workers; worker++)
            if (job->failed[worker]) code = ZKDS_BAD_ARGUMENT;
    } else {
        code = ZKDS_OUT_OF_MEMORY;
    }
    free(job->scratch);
    free(job->failed);
    free(job->left.lanes);
    free(job->left.terms);
    free(job->right.lanes);
    free(job->right.terms);
    return code;
}

int exact_tiles_multiply(const struct exact_product *product) {
    struct job job = {.product = product, .rows = product->out->rows, .columns = product->out->columns,
                      .terms = product->left->view.columns, .block_rows = BLOCK};
    (void)find_planes(product, &job.left, &job.right);
    job.digits = product->digits ? product->digits : job.left.digits + job.right.digits - 1;
    job.powers = most_bytes(&job.left) + most_bytes(&job.right) - 1;
    job.column_blocks = whole(job.columns, BLOCK) / BLOCK;
    while (job.block_rows > 2 * TILE_SIDE && /* so many that all threads have work */
           product->batches * job.column_blocks * (whole(job.rows, job.block_rows) / job.block_rows) < 2 * (size_t)zkds_threads())
        job.block_rows /= 2;
    job.row_blocks = whole(job.rows, job.block_rows) / job.block_rows;
    job.scratch_bytes = BLOCK * (job.left.count + job.right.count) * EXACT_TILE_TERMS;
    job.scratch_bytes += job.digits * BLOCK * BLOCK * sizeof(int64_t);
    return run(&job);
}
#else
int exact_tiles_fit(const struct exact_product *product) { return (void)product, 0; }
int exact_tiles_multiply(const struct exact_product *product) { return (void)product, ZKDS_UNSUPPORTED; }
#endif
