/* Boxes of a tensor as runs of neighbouring entries, and tasks of neighbouring cells; for files that walk through boxes. */
#ifndef ZKDS_BOXES_H
#define ZKDS_BOXES_H
#include "vec.h"
#include "columns_ops.h"

#define TASK_CELLS ((size_t)1 << 15) /* of every digit */

/* A box of a tensor without dimensions of one entry, neighbouring dimensions that are one run taken together. */
struct grid {
    size_t dimensions;
    size_t sides[ZKDS_MAX_DIMENSIONS];
    int64_t strides[ZKDS_MAX_DIMENSIONS];
    int64_t first; /* the tensor's entry of the box's first cell */
};

INLINE struct grid grid_of(const struct zkds_boxes *boxes, const int64_t *strides, size_t box) {
    struct grid grid = {.dimensions = 0, .first = 0};
    const uint64_t *starts = boxes->starts + box * boxes->dimensions, *sides = boxes->sides + box * boxes->dimensions;
    for (size_t d = 0; d < boxes->dimensions; d++) {
        const int64_t stride = strides[d];
        const size_t last = grid.dimensions - 1;
        grid.first += (int64_t)starts[d] * stride;
        if (sides[d] == 1) continue;
        if (grid.dimensions && grid.strides[last] == stride * (int64_t)sides[d]) {
            grid.sides[last] *= sides[d];
            grid.strides[last] = stride;
        } else {
            grid.sides[grid.dimensions] = sides[d];
            grid.strides[grid.dimensions++] = stride;
        }
    }
    if (!grid.dimensions) {
        grid.sides[0] = 1;
        grid.strides[0] = 1;
        grid.dimensions = 1;
    }
    return grid;
}

INLINE size_t box_cells(const struct zkds_boxes *boxes, size_t box) {
    size_t cells = 1;
    for (size_t d = 0; d < boxes->dimensions; d++) cells *= boxes->sides[box * boxes->dimensions + d];
    return cells;
}

/* A cell of a box, and the entry that it belongs to. */
struct cursor {
    size_t index[ZKDS_MAX_DIMENSIONS];
    int64_t entry;
};

INLINE struct cursor cursor_at(const struct grid *grid, size_t cell) {
    struct cursor cursor = {.entry = grid->first};
    for (size_t d = grid->dimensions; d-- > 0; cell /= grid->sides[d]) {
        cursor.index[d] = cell % grid->sides[d];
        cursor.entry += (int64_t)cursor.index[d] * grid->strides[d];
    }
    return cursor;
}

/* How many of the next `most` cells have entries in one run, by the last of the grid's strides. */
INLINE size_t run_length(const struct grid *grid, const struct cursor *cursor, size_t most) {
    const size_t last = grid->dimensions - 1, run = grid->sides[last] - cursor->index[last];
    return run < most ? run : most;
}

/* On to the end of the cell's run or less, `count` cells later. */
INLINE void advance(const struct grid *grid, struct cursor *cursor, size_t count) {
    size_t d = grid->dimensions - 1;
    cursor->index[d] += count;
    cursor->entry += (int64_t)count * grid->strides[d];
    for (; d > 0 && cursor->index[d] == grid->sides[d]; d--) {
        cursor->entry += grid->strides[d - 1] - (int64_t)grid->sides[d] * grid->strides[d];
        cursor->index[d] = 0;
        cursor->index[d - 1]++;
    }
}

/* ---- tasks ---------------------------------------------------------------------------------------------------------- */

/* (boxes + 1): the first task of every box, and how many there are; free() it. NULL if there is no memory. */
INLINE size_t *tasks_of(const struct zkds_boxes *boxes) {
    size_t *tasks = malloc((boxes->count + 1) * sizeof *tasks);
    if (!tasks) return NULL;
    tasks[0] = 0;
    for (size_t box = 0; box < boxes->count; box++)
        tasks[box + 1] = tasks[box] + (box_cells(boxes, box) + TASK_CELLS - 1) / TASK_CELLS;
    return tasks;
}

/* Cells `first` to `end` of a box. */
struct part {
    size_t box, first, end;
};

INLINE struct part part_of(const struct zkds_boxes *boxes, const size_t *tasks, size_t task) {
    size_t low = 0, high = boxes->count; /* tasks[low] <= task < tasks[high] */
    while (high - low > 1) {
        const size_t middle = (low + high) / 2;
        if (tasks[middle] <= task)
            low = middle;
        else
            high = middle;
    }
    const size_t cells = box_cells(boxes, low), first = (task - tasks[low]) * TASK_CELLS;
    return (struct part){low, first, first + TASK_CELLS < cells ? first + TASK_CELLS : cells};
}
#endif
