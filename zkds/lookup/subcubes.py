"""Ranges of indices as aligned subcubes, and sums of eq weights over them."""

from __future__ import annotations

from collections.abc import Sequence

from zkds.field import ONE, ZERO, K


def covering_subcubes(start: int, end: int) -> list[tuple[int, int]]:
    """[start, end) cut into the fewest aligned subcubes, in order: (first index, log2 of the size)."""
    subcubes = []
    while start < end:
        log_size = (end - start).bit_length() - 1
        if start:
            log_size = min(log_size, (start & -start).bit_length() - 1)
        subcubes.append((start, log_size))
        start += 1 << log_size
    return subcubes


def weight_below(point: Sequence[K], end: int) -> K:
    """sum of eq(point, x) over 0 <= x < end, for end <= 2^len(point)."""
    if end >> len(point):
        return ONE
    total, prefix = ZERO, ONE
    for b in reversed(range(len(point))):
        high = prefix * point[b]
        if end >> b & 1:
            total = total + prefix - high
            prefix = high
        else:
            prefix = prefix - high
    return total
