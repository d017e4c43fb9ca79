/* Batching on the committed vector: pieces are cut into segments of at most 2^15 cells, the unit of work.
 *
 * A piece smaller than a chunk (8 * 2^streamed cells) is treated as a piece of one chunk whose further coordinates are the bits
 * of its offset: eq with a boolean coordinate is the indicator of that bit. So there is one path for all sizes. */
#include "cells_ops.h"
#include "api/cells.h"
#include "field61.h"

#define MAX_LOG_CELLS 40
#define LANE_BITS 3
#define TASK_COST 2048 /* chunks, and a constant for each segment */
#define SEGMENT_COST 16
#define FOLD_GRAIN 256 /* vectors a task writes */

struct segment {
    uint32_t piece;
    uint32_t number; /* among the segments of its piece */
};

struct plan {
    const struct zkds_pieces *pieces;
    int streamed;
    size_t segments, blocks;
    struct segment *segment; /* by block, then by piece */
    size_t *block_first;     /* (blocks + 1); block b is the cells from b 2^15 on */
};

/* ---- pieces ------------------------------------------------------------------------------------------------------ */

static int piece_bits(const struct zkds_pieces *pieces, size_t j) { return (int)(pieces->firsts[j + 1] - pieces->firsts[j]); }

/* The coordinate of piece j that goes with index bit b of the vector; beyond its own bits, the bit of its offset. */
static K1 piece_coordinate(const struct zkds_pieces *pieces, size_t j, int b) {
    if (b >= piece_bits(pieces, j)) return (K1){pieces->offsets[j] >> b & 1, 0};
    const uint64_t *z = pieces->coordinates + 2 * (pieces->firsts[j] + (uint64_t)b);
    return (K1){z[0], z[1]};
}
static K1 piece_scale(const struct zkds_pieces *pieces, size_t j) {
    const uint64_t *scale = pieces->scales + 2 * j, *weight = pieces->claim_weights + 2 * (size_t)pieces->claims[j];
    return k_mul((K1){scale[0], scale[1]}, (K1){weight[0], weight[1]});
}
static K1 one_minus(K1 z) { return k_sub((K1){1, 0}, z); }
/* scale (1 - z - r + 2 z r) */
static K1 times_eq(K1 scale, K1 z, K1 r) {
    K1 both = k_mul(z, r);
    return k_mul(scale, k_add(one_minus(k_add(z, r)), k_add(both, both)));
}
static K1 times_indicator(K1 scale, K1 z, int bit) { return k_mul(scale, bit ? z : one_minus(z)); }

/* Every piece is aligned, at most 2^40 cells, and ends at or before `end`. */
static int pieces_fit(const struct zkds_pieces *pieces, uint64_t end) {
    for (size_t j = 0; j < pieces->count; j++) {
        if (pieces->firsts[j + 1] < pieces->firsts[j] || pieces->firsts[j + 1] - pieces->firsts[j] > MAX_LOG_CELLS) return 0;
        uint64_t size = 1ULL << piece_bits(pieces, j);
        if (pieces->offsets[j] % size || pieces->offsets[j] > end || size > end - pieces->offsets[j]) return 0;
    }
    return 1;
}

/* ---- segments ---------------------------------------------------------------------------------------------------- */

static size_t piece_segments(const struct zkds_pieces *pieces, size_t j) {
    int bits = piece_bits(pieces, j);
    return bits > CELLS_SEGMENT_BITS ? (size_t)1 << (bits - CELLS_SEGMENT_BITS) : 1;
}
static void plan_free(struct plan *plan) {
    free(plan->segment);
    free(plan->block_first);
}
static int plan_make(struct plan *plan, const struct zkds_pieces *pieces, int streamed) {
    memset(plan, 0, sizeof *plan);
    plan->pieces = pieces;
    plan->streamed = streamed;
    if (pieces->count > UINT32_MAX || !pieces_fit(pieces, 1ULL << MAX_LOG_CELLS)) return ZKDS_BAD_ARGUMENT;
    for (size_t j = 0; j < pieces->count; j++) {
        size_t count = piece_segments(pieces, j), end = (size_t)(pieces->offsets[j] >> CELLS_SEGMENT_BITS) + count;
        plan->segments += count;
        if (end > plan->blocks) plan->blocks = end;
    }
    plan->segment = malloc((plan->segments + 1) * sizeof *plan->segment);
    plan->block_first = calloc(plan->blocks + 2, sizeof *plan->block_first);
    if (!plan->segment || !plan->block_first) {
        plan_free(plan);
        return ZKDS_OUT_OF_MEMORY;
    }
    /* Counting sort by block. Entry b + 2 counts block b; summed up, entry b + 1 is where its next segment goes; at last, where
     * block b + 1 begins. */
    size_t *first = plan->block_first;
    for (size_t j = 0; j < pieces->count; j++)
        for (size_t k = 0; k < piece_segments(pieces, j); k++) {
            size_t block = (size_t)(pieces->offsets[j] >> CELLS_SEGMENT_BITS) + k;
            first[block + 2]++;
        }
    for (size_t b = 2; b < plan->blocks + 2; b++) first[b] += first[b - 1];
    for (size_t j = 0; j < pieces->count; j++)
        for (size_t k = 0; k < piece_segments(pieces, j); k++) {
            size_t block = (size_t)(pieces->offsets[j] >> CELLS_SEGMENT_BITS) + k;
            plan->segment[first[block + 1]++] = (struct segment){(uint32_t)j, (uint32_t)k};
        }
    return ZKDS_OK;
}

/* What a kernel needs to know of one segment. */
struct segment_view {
    size_t first_chunk, chunks;
    K1 scale;     /* piece scale, times eq of the segment's number at the coordinates above the segment */
    int bits;     /* log2 chunks */
    uint64_t point[2 * CELLS_SEGMENT_BITS]; /* the coordinates of the chunk number within the segment */
};

static void segment_open(const struct plan *plan, size_t index, struct segment_view *view) {
    const struct zkds_pieces *pieces = plan->pieces;
    const struct segment s = plan->segment[index];
    const int chunk_bits = LANE_BITS + plan->streamed, bits = piece_bits(pieces, s.piece);
    int top = bits < CELLS_SEGMENT_BITS ? bits : CELLS_SEGMENT_BITS;
    if (top < chunk_bits) top = chunk_bits;
    view->bits = top - chunk_bits;
    view->chunks = (size_t)1 << view->bits;
    view->first_chunk = (size_t)(pieces->offsets[s.piece] >> chunk_bits) + ((size_t)s.number << view->bits);
    view->scale = piece_scale(pieces, s.piece);
    for (int b = CELLS_SEGMENT_BITS; b < bits; b++)
        view->scale = times_indicator(view->scale, piece_coordinate(pieces, s.piece, b), s.number >> (b - CELLS_SEGMENT_BITS) & 1);
    for (int b = 0; b < view->bits; b++) {
        K1 z = piece_coordinate(pieces, s.piece, chunk_bits + b);
        view->point[2 * b] = z.re, view->point[2 * b + 1] = z.im;
    }
}

/* Blocked table of eq(coordinates from bit `from` on, x), x < 2^bits, zero-filled to whole vectors; bits <= 6. */
static void eq_of_piece(const struct plan *plan, size_t piece, int from, int bits, uint64_t *blocked) {
    uint64_t point[2 * CELLS_MAX_STREAMED], re[1 << CELLS_MAX_STREAMED], im[1 << CELLS_MAX_STREAMED];
    const uint64_t one[2] = {1, 0};
    const size_t count = (size_t)1 << bits;
    for (int b = 0; b < bits; b++) {
        K1 z = piece_coordinate(plan->pieces, piece, from + b);
        point[2 * b] = z.re, point[2 * b + 1] = z.im;
    }
    OPS(cells)->expand(point, bits, one, re, im);
    for (size_t x = 0; x < (count < 8 ? 8 : count); x += 8) {
        memcpy(blocked + 2 * x, re + x, 64);
        memcpy(blocked + 2 * x + 8, im + x, 64);
    }
}

/* ---- the vector, whole chunks and the last one --------------------------------------------------------------------- */

struct chunks {
    const uint32_t *vector;
    size_t size, whole; /* cells of a chunk; number of complete chunks */
    int partial;        /* one more, in `tail`, zero-filled */
    uint32_t tail[8 << CELLS_MAX_STREAMED];
};

static void chunks_open(struct chunks *chunks, const uint32_t *vector, size_t cells, int streamed) {
    chunks->vector = vector;
    chunks->size = (size_t)8 << streamed;
    chunks->whole = cells / chunks->size;
    chunks->partial = cells % chunks->size != 0;
    memset(chunks->tail, 0, sizeof chunks->tail);
    if (chunks->partial)
        memcpy(chunks->tail, vector + chunks->whole * chunks->size, (cells % chunks->size) * sizeof *vector);
}

/* ---- correlate --------------------------------------------------------------------------------------------------- */

struct correlate_job {
    struct plan plan;
    struct chunks chunks;
    size_t *task_first;
    size_t form_words;
    uint64_t *forms; /* one for each worker */
};

static void correlate_segment(const struct correlate_job *job, size_t index, uint64_t *form) {
    const struct plan *plan = &job->plan;
    const struct chunks *chunks = &job->chunks;
    const size_t piece = plan->segment[index].piece;
    struct segment_view view;
    uint64_t re[CELLS_MAX_CHUNKS], im[CELLS_MAX_CHUNKS], lanes[16], low[2 << CELLS_MAX_STREAMED];
    segment_open(plan, index, &view);
    if (view.first_chunk >= chunks->whole + (size_t)chunks->partial) return; /* all zero */
    const uint64_t scale[2] = {view.scale.re, view.scale.im};
    OPS(cells)->expand(view.point, view.bits, scale, re, im);
    eq_of_piece(plan, piece, 0, LANE_BITS, lanes);
    eq_of_piece(plan, piece, LANE_BITS, plan->streamed, low);
    size_t count = view.chunks, available = chunks->whole > view.first_chunk ? chunks->whole - view.first_chunk : 0;
    if (count > available) {
        if (chunks->partial) { /* the chunk after the whole ones; its weights go to a place of their own, zero-filled */
            uint64_t tail_re[8] = {re[available]}, tail_im[8] = {im[available]};
            OPS(cells)->correlate(chunks->tail, 1, plan->streamed, tail_re, tail_im, lanes, low, form);
        }
        count = available;
    }
    const uint32_t *from = chunks->vector + view.first_chunk * chunks->size;
    if (count) OPS(cells)->correlate(from, count, plan->streamed, re, im, lanes, low, form);
}
static void correlate_task(void *context, size_t task, int worker) {
    const struct correlate_job *job = context;
    for (size_t s = job->task_first[task]; s < job->task_first[task + 1]; s++)
        correlate_segment(job, s, job->forms + (size_t)worker * job->form_words);
}

/* Cuts the segments into tasks of about equal work; task_first needs segments + 1 entries. */
static size_t make_tasks(const struct plan *plan, size_t *task_first) {
    size_t tasks = 0, cost = 0;
    task_first[0] = 0;
    for (size_t s = 0; s < plan->segments; s++) {
        int bits = piece_bits(plan->pieces, plan->segment[s].piece), chunk_bits = LANE_BITS + plan->streamed;
        bits = bits > CELLS_SEGMENT_BITS ? CELLS_SEGMENT_BITS : bits < chunk_bits ? chunk_bits : bits;
        cost += SEGMENT_COST + ((size_t)1 << (bits - chunk_bits));
        if (cost >= TASK_COST || s + 1 == plan->segments) {
            task_first[++tasks] = s + 1;
            cost = 0;
        }
    }
    return tasks;
}

/* The workers' forms, added up; a field sum does not depend on its order. */
static void sum_forms(const struct correlate_job *job, int workers, int streamed, uint64_t *form) {
    const size_t side = (size_t)1 << streamed, row_words = 16 * (side < 8 ? 1 : side / 8);
    for (size_t i = 0; i < side; i++)
        for (size_t j = 0; j < side; j++) {
            K1 sum = {0, 0};
            for (int w = 0; w < workers; w++) {
                const uint64_t *x = job->forms + (size_t)w * job->form_words + i * row_words + 16 * (j / 8) + j % 8;
                sum = k_add(sum, (K1){f_canonical(x[0]), f_canonical(x[8])});
            }
            form[2 * (i * side + j)] = sum.re;
            form[2 * (i * side + j) + 1] = sum.im;
        }
}

int zkds_cells_correlate(const uint32_t *vector, size_t cells, int streamed, const struct zkds_pieces *pieces, uint64_t *form) {
    struct correlate_job job;
    const int workers = zkds_threads();
    if (streamed < 1 || streamed > CELLS_MAX_STREAMED) return ZKDS_BAD_ARGUMENT;
    int code = plan_make(&job.plan, pieces, streamed);
    if (code != ZKDS_OK) return code;
    chunks_open(&job.chunks, vector, cells, streamed);
    const size_t side = (size_t)1 << streamed;
    job.form_words = side * 16 * (side < 8 ? 1 : side / 8);
    job.forms = zkds_alloc((size_t)workers * job.form_words * sizeof *job.forms);
    job.task_first = malloc((job.plan.segments + 1) * sizeof *job.task_first);
    if (job.forms && job.task_first) {
        memset(job.forms, 0, (size_t)workers * job.form_words * sizeof *job.forms);
        zkds_parallel(make_tasks(&job.plan, job.task_first), correlate_task, &job);
        sum_forms(&job, workers, streamed, form);
    } else {
        code = ZKDS_OUT_OF_MEMORY;
    }
    free(job.forms);
    free(job.task_first);
    plan_free(&job.plan);
    return code;
}

/* ---- fold and weights -------------------------------------------------------------------------------------------- */

struct fold_job {
    struct chunks chunks;
    int streamed;
    uint64_t re[1 << CELLS_MAX_STREAMED], im[1 << CELLS_MAX_STREAMED];
    uint64_t *table;
    size_t vectors;
};

static void fold_task(void *context, size_t task, int worker) {
    (void)worker;
    const struct fold_job *job = context;
    const struct chunks *chunks = &job->chunks;
    size_t from = task * FOLD_GRAIN, to = from + FOLD_GRAIN < job->vectors ? from + FOLD_GRAIN : job->vectors;
    size_t whole = to < chunks->whole ? to : chunks->whole;
    if (whole > from) {
        const uint32_t *first = chunks->vector + from * chunks->size;
        OPS(cells)->fold(first, whole - from, job->streamed, job->re, job->im, job->table + 16 * from);
        from = whole;
    }
    if (from < to && from == chunks->whole && chunks->partial) {
        OPS(cells)->fold(chunks->tail, 1, job->streamed, job->re, job->im, job->table + 16 * from);
        from++;
    }
    memset(job->table + 16 * from, 0, (to - from) * 16 * sizeof *job->table);
}

int zkds_cells_fold(const uint32_t *vector, size_t cells, int streamed, const uint64_t *point, uint64_t *table, size_t vectors) {
    struct fold_job job;
    const uint64_t one[2] = {1, 0};
    if (streamed < 0 || streamed > CELLS_MAX_STREAMED) return ZKDS_BAD_ARGUMENT;
    chunks_open(&job.chunks, vector, cells, streamed);
    if (vectors < job.chunks.whole + (size_t)job.chunks.partial) return ZKDS_BAD_ARGUMENT;
    job.streamed = streamed;
    job.table = table;
    job.vectors = vectors;
    OPS(cells)->expand(point, streamed, one, job.re, job.im);
    zkds_parallel((vectors + FOLD_GRAIN - 1) / FOLD_GRAIN, fold_task, &job);
    return ZKDS_OK;
}

struct weights_job {
    struct plan plan;
    const uint64_t *point;
    uint64_t *table;
    size_t vectors;
};

static void weights_task(void *context, size_t block, int worker) {
    (void)worker;
    const struct weights_job *job = context;
    const struct plan *plan = &job->plan;
    uint64_t re[CELLS_MAX_CHUNKS], im[CELLS_MAX_CHUNKS], lanes[16];
    const size_t block_vectors = (size_t)1 << (CELLS_SEGMENT_BITS - LANE_BITS - plan->streamed), from = block * block_vectors;
    const size_t count = from + block_vectors < job->vectors ? block_vectors : job->vectors - from;
    memset(job->table + 16 * from, 0, count * 16 * sizeof *job->table);
    if (block >= plan->blocks) return;
    for (size_t s = plan->block_first[block]; s < plan->block_first[block + 1]; s++) {
        const size_t piece = plan->segment[s].piece;
        struct segment_view view;
        segment_open(plan, s, &view);
        for (int b = 0; b < plan->streamed; b++)
            view.scale = times_eq(view.scale, piece_coordinate(plan->pieces, piece, LANE_BITS + b),
                                  (K1){job->point[2 * b], job->point[2 * b + 1]});
        const uint64_t scale[2] = {view.scale.re, view.scale.im};
        OPS(cells)->expand(view.point, view.bits, scale, re, im);
        eq_of_piece(plan, piece, 0, LANE_BITS, lanes);
        OPS(cells)->add_weights(job->table + 16 * view.first_chunk, view.chunks, re, im, lanes);
    }
}

int zkds_cells_weights(const struct zkds_pieces *pieces, int streamed, const uint64_t *point, uint64_t *table, size_t vectors) {
    struct weights_job job;
    if (streamed < 0 || streamed > CELLS_MAX_STREAMED) return ZKDS_BAD_ARGUMENT;
    if (vectors > 1ULL << MAX_LOG_CELLS || !pieces_fit(pieces, vectors << (LANE_BITS + streamed))) return ZKDS_BAD_ARGUMENT;
    int code = plan_make(&job.plan, pieces, streamed);
    if (code != ZKDS_OK) return code;
    job.point = point;
    job.table = table;
    job.vectors = vectors;
    const size_t block_vectors = (size_t)1 << (CELLS_SEGMENT_BITS - LANE_BITS - streamed);
    zkds_parallel((vectors + block_vectors - 1) / block_vectors, weights_task, &job);
    plan_free(&job.plan);
    return ZKDS_OK;
}

/* ---- evaluation at a point --------------------------------------------------------------------------------------- */

#define EVALUATE_GRAIN 256 /* pieces a task */

struct evaluate_job {
    const struct zkds_pieces *pieces;
    const uint64_t *point;
    int variables;
    K1 *sums; /* one for each task */
};

static void evaluate_task(void *context, size_t task, int worker) {
    (void)worker;
    const struct evaluate_job *job = context;
    const size_t from = task * EVALUATE_GRAIN, count = job->pieces->count;
    K1 sum = {0, 0};
    for (size_t j = from; j < count && j < from + EVALUATE_GRAIN; j++) {
        K1 weight = piece_scale(job->pieces, j);
        const int bits = piece_bits(job->pieces, j);
        for (int b = 0; b < job->variables; b++) {
            const K1 r = {job->point[2 * b], job->point[2 * b + 1]};
            weight = b < bits ? times_eq(weight, piece_coordinate(job->pieces, j, b), r)
                              : times_indicator(weight, r, job->pieces->offsets[j] >> b & 1);
        }
        sum = k_add(sum, weight);
    }
    job->sums[task] = sum;
}

int zkds_cells_evaluate(const struct zkds_pieces *pieces, const uint64_t *point, int variables, uint64_t *value) {
    if (variables < 0 || variables > MAX_LOG_CELLS || !pieces_fit(pieces, 1ULL << variables)) return ZKDS_BAD_ARGUMENT;
    const size_t tasks = (pieces->count + EVALUATE_GRAIN - 1) / EVALUATE_GRAIN;
    struct evaluate_job job = {pieces, point, variables, malloc((tasks + 1) * sizeof *job.sums)};
    if (!job.sums) return ZKDS_OUT_OF_MEMORY;
    zkds_parallel(tasks, evaluate_task, &job);
    K1 sum = {0, 0};
    for (size_t t = 0; t < tasks; t++) sum = k_add(sum, job.sums[t]);
    value[0] = sum.re;
    value[1] = sum.im;
    free(job.sums);
    return ZKDS_OK;
}

/* ---- boxes ------------------------------------------------------------------------------------------------------- */

#define MAX_LENGTH_BITS 40

/* eq(point, start) over the bits from `side` on. */
static K1 start_weight(const uint64_t *point, int bits, uint64_t start, int side) {
    K1 weight = {1, 0};
    for (int b = side; b < bits; b++) weight = times_indicator(weight, (K1){point[2 * b], point[2 * b + 1]}, start >> b & 1);
    return weight;
}
/* The weights of the parts of [0, length), largest first, and their number. */
static size_t part_weights(uint64_t length, const uint64_t *point, int bits, K1 *parts) {
    size_t count = 0;
    for (uint64_t start = 0, left = length; left; count++) {
        int side = 63 - __builtin_clzll(left);
        parts[count] = start_weight(point, bits, start, side);
        start += 1ULL << side;
        left -= 1ULL << side;
    }
    return count;
}

int zkds_box_weights(
    const uint64_t *lengths, size_t dimensions, const uint64_t *point, const uint64_t *scales, size_t count, uint64_t *result) {
    K1 parts[MAX_LENGTH_BITS + 1], *weights = (K1 *)result;
    for (size_t d = 0; d < dimensions; d++)
        if (!lengths[d] || lengths[d] >> MAX_LENGTH_BITS) return ZKDS_BAD_ARGUMENT;
    if (!count) return ZKDS_OK;
    size_t boxes = 1;
    weights[0] = (K1){1, 0};
    for (size_t d = 0; d < dimensions; d++) {
        int bits = lengths[d] > 1 ? 64 - __builtin_clzll(lengths[d] - 1) : 0;
        size_t own = part_weights(lengths[d], point, bits, parts);
        for (size_t j = boxes; j-- > 0;) { /* in place, from the end */
            K1 above = weights[j];
            for (size_t k = own; k-- > 0;) weights[j * own + k] = k_mul(above, parts[k]);
        }
        boxes *= own;
        point += 2 * bits;
    }
    for (size_t j = count; j-- > 0;) {
        K1 scale = {scales[2 * j], scales[2 * j + 1]};
        for (size_t k = 0; k < boxes; k++) weights[j * boxes + k] = k_mul(scale, weights[k]);
    }
    return ZKDS_OK;
}
