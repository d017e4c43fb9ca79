"""Ranges of indices as aligned subcubes, and sums of eq weights over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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


def weights_below(point: Sequence[K], ends: Sequence[int]) -> Iterator[K]:
    """For each of the ends, which rise: the sum of eq(point, x) over 0 <= x < end, for end <= 2^len(point).

    A sum is the total over the one bits of its end, and what the bits above the first one that changed contribute is kept.
    """
    variables = len(point)
    totals, prefixes = [ZERO] * (variables + 1), [ONE] * (variables + 1)  # [b]: of the bits b and above
    previous, known = 0, variables  # totals and prefixes are those of `previous`, from bit `known` on
    for end in ends:
        if end >> variables:
            yield ONE
            continue
        lowest = (end & -end).bit_length() - 1 if end else variables
        for b in reversed(range(lowest, max(known, (end ^ previous).bit_length()))):
            total, prefix = totals[b + 1], prefixes[b + 1]
            high = prefix * point[b]
            if end >> b & 1:
                totals[b], prefixes[b] = total + prefix - high, high
            else:
                totals[b], prefixes[b] = total, prefix - high
        yield totals[lowest]
        previous, known = end, lowest
