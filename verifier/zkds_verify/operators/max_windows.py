"""Windows of max pools: docs/specification/certificate.md, section 16.3, and the manual of torch."""

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
