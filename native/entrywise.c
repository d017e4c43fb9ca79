/* Expressions in digits, entry by entry: tasks are runs of cells, which pass through the first-level cache a chunk at a time. */
#include "entrywise_ops.h"
#include "boxes.h"
#include "api/entrywise.h"

#define CHUNK 512 /* entries: those of a few operands fit a first-level cache */

struct job {
    const uint32_t *vector;
    const struct zkds_boxes *boxes;
    const struct zkds_operand *operands;
    const struct zkds_result *results;
    size_t operand_count, result_count;
    const size_t *tasks;
    uint32_t cut; /* atomic */
};

/* An array of the tensor's entries, from some cell of a box on. */
struct entries {
    struct grid grid;
    struct cursor cursor;
};

static struct entries entries_at(const struct job *job, const int64_t *strides, const struct part *part) {
    struct entries entries = {.grid = grid_of(job->boxes, strides, part->box)};
    entries.cursor = cursor_at(&entries.grid, part->first);
    return entries;
}

/* The next entries: where they lie, if that is side by side, else `chunk`, where they are copied to. */
static const int64_t *gather(struct entries *entries, const int64_t *values, size_t count, int64_t *chunk) {
    const int64_t stride = entries->grid.strides[entries->grid.dimensions - 1];
    for (size_t done = 0, run; done < count; done += run, advance(&entries->grid, &entries->cursor, run)) {
        const int64_t *from = values + entries->cursor.entry;
        run = run_length(&entries->grid, &entries->cursor, count - done);
        if (run == count && stride == 1) {
            advance(&entries->grid, &entries->cursor, run);
            return from;
        }
        for (size_t i = 0; i < run; i++) chunk[done + i] = from[(int64_t)i * stride];
    }
    return chunk;
}

static void scatter(struct entries *entries, int64_t *values, size_t count, const int64_t *chunk) {
    const int64_t stride = entries->grid.strides[entries->grid.dimensions - 1];
    for (size_t done = 0, run; done < count; done += run, advance(&entries->grid, &entries->cursor, run)) {
        int64_t *to = values + entries->cursor.entry;
        run = run_length(&entries->grid, &entries->cursor, count - done);
        for (size_t i = 0; i < run; i++) to[(int64_t)i * stride] = chunk[done + i];
    }
}

static void add_all(uint64_t *total, const int64_t *sums, size_t count) {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) sum += (uint64_t)sums[i];
    __atomic_fetch_add(total, sum, __ATOMIC_RELAXED);
}

struct scratch {
    int64_t operands[ZKDS_MAX_OPERANDS][CHUNK], sums[2][CHUNK];
    struct entries arrays[ZKDS_MAX_OPERANDS], results[ZKDS_MAX_RESULTS];
    const int64_t *at[ZKDS_MAX_OPERANDS]; /* the chunk of every operand */
};

static void load(const struct job *job, struct scratch *scratch, size_t box, size_t cell, size_t count) {
    for (size_t k = 0; k < job->operand_count; k++) {
        const struct zkds_operand *operand = &job->operands[k];
        int64_t *chunk = scratch->operands[k];
        if (operand->values) {
            scratch->at[k] = gather(&scratch->arrays[k], operand->values, count, chunk);
            continue;
        }
        for (size_t i = 0; i < count; i++) chunk[i] = operand->constant;
        for (size_t c = 0; c < operand->columns; c++) {
            const uint32_t *cells = job->vector + operand->places[c * job->boxes->count + box] + cell;
            OPS(entrywise)->add_cells(chunk, cells, operand->scales[c], count);
        }
        scratch->at[k] = chunk;
    }
}

static void run_task(void *context, size_t task, int worker) {
    struct job *job = context;
    const struct part part = part_of(job->boxes, job->tasks, task);
    struct scratch scratch;
    uint32_t cut = 0;
    (void)worker;
    for (size_t k = 0; k < job->operand_count; k++)
        if (job->operands[k].values) scratch.arrays[k] = entries_at(job, job->operands[k].strides, &part);
    for (size_t r = 0; r < job->result_count; r++)
        if (job->results[r].values) scratch.results[r] = entries_at(job, job->results[r].strides, &part);
    for (size_t cell = part.first, count; cell < part.end; cell += count) {
        count = part.end - cell < CHUNK ? part.end - cell : CHUNK;
        load(job, &scratch, part.box, cell, count);
        for (size_t r = 0; r < job->result_count; r++) {
            const struct zkds_result *result = &job->results[r];
            int64_t *sums = scratch.sums[r % 2];
            if (result->chained)
                memcpy(sums, scratch.sums[(r + 1) % 2], count * sizeof *sums);
            else
                memset(sums, 0, count * sizeof *sums);
            for (size_t k = 0; k < result->count; k++) {
                const struct zkds_product *product = &result->products[k];
                OPS(entrywise)->add_products(sums, product->factor, product->left < 0 ? NULL : scratch.at[product->left],
                                             product->right < 0 ? NULL : scratch.at[product->right], count);
            }
            if (result->bits) cut |= (uint32_t)OPS(entrywise)->shift(sums, result->bits, count) << r;
            if (result->values)
                scatter(&scratch.results[r], result->values, count, sums);
            else
                add_all(result->total, sums, count);
        }
    }
    if (cut) __atomic_fetch_or(&job->cut, cut, __ATOMIC_RELAXED);
}

static int is_valid(const struct job *job) {
    if (job->boxes->dimensions > ZKDS_MAX_DIMENSIONS || job->operand_count > ZKDS_MAX_OPERANDS ||
        job->result_count > ZKDS_MAX_RESULTS)
        return 0;
    for (size_t r = 0; r < job->result_count; r++) {
        const struct zkds_result *result = &job->results[r];
        if (result->bits < 0 || result->bits > 63 || (result->chained && !r) || !result->values == !result->total) return 0;
        for (size_t k = 0; k < result->count; k++)
            if (result->products[k].left >= (int)job->operand_count || result->products[k].right >= (int)job->operand_count)
                return 0;
    }
    return 1;
}

int zkds_entrywise(const uint32_t *vector, const struct zkds_boxes *boxes, const struct zkds_operand *operands,
                   size_t operand_count, const struct zkds_result *results, size_t result_count, uint32_t *cut) {
    struct job job = {.vector = vector, .boxes = boxes, .operands = operands, .results = results,
                      .operand_count = operand_count, .result_count = result_count};
    if (!is_valid(&job)) return ZKDS_BAD_ARGUMENT;
    size_t *tasks = tasks_of(boxes);
    if (!tasks) return ZKDS_OUT_OF_MEMORY;
    job.tasks = tasks;
    zkds_parallel(tasks[boxes->count], run_task, &job);
    free(tasks);
    *cut = job.cut;
    return ZKDS_OK;
}
