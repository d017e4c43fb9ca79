"""Max pools entry by entry, on Python ints, written from docs/fixed-point.md and the manual of torch."""

from collections import defaultdict
from fractions import Fraction
from math import ceil, floor


def sliding_windows(length, taps, stride, padding, dilation, ceil_mode):
    """For every window the entry that each tap meets, None in the padding: window by window, on the padded axis."""
    reach = dilation * (taps - 1) + 1
    windows = []
    while True:
        start = len(windows) * stride - padding
        fits = start + reach <= length + padding
        cut = ceil_mode and start < length and (start - stride + reach < length + padding)
        if not fits and not cut:
            return windows
        places = [start + i * dilation for i in range(taps)]
        windows.append([place if 0 <= place < length else None for place in places])


def adaptive_windows(length, outputs):
    """The same for windows of different size, of which none is padded."""
    starts = [floor(Fraction(k * length, outputs)) for k in range(outputs)]
    ends = [ceil(Fraction((k + 1) * length, outputs)) for k in range(outputs)]
    return [list(range(start, end)) for start, end in zip(starts, ends, strict=True)]


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
