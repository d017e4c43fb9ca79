"""Max pools entry by entry, on Python ints, written from docs/fixed-point.md and the manual of torch."""

from collections import defaultdict


def max_pool(image, rows, columns, relu):
    """Of one image, a list of rows of ints: {window: largest entry}, {window: (row, column) of the first one with it}.

    With ReLU, a window without an entry of at least 0 has the value 0 and no such place.
    """
    values, places = {}, {}
    for h, ys in enumerate(rows):
        for w, xs in enumerate(columns):
            best = None
            for y in ys:
                for x in xs:
                    if y is not None and x is not None and (best is None or image[y][x] > image[best[0]][best[1]]):
                        best = (y, x)
            assert best is not None
            value = image[best[0]][best[1]]
            if relu and value < 0:
                values[h, w] = 0
            else:
                values[h, w], places[h, w] = value, best
    return values, places


def max_pool_backward(deltas, places):
    """The deltas of the entries, {(row, column): int}, from those of the windows."""
    found = defaultdict(int)
    for window, place in places.items():
        found[place] += deltas[window]
    return found
