"""Roots from some leaves and the digests that cannot be computed from them, level by level from the leaves."""

from hashlib import sha256


def node(left, right):
    return sha256(b"\x01" + left + right).digest()


def missing(positions, count):
    """How many digests are needed. A lone last node of a level goes up unchanged."""
    known, total = set(positions), 0
    while count > 1:
        total += sum(i ^ 1 not in known and i ^ 1 < count for i in known)
        known, count = {i // 2 for i in known}, (count + 1) // 2
    return total


def root(leaves, count, digests):
    """leaves: position -> digest; digests: `missing` ones, joined."""
    known, rest = dict(leaves), iter([digests[i : i + 32] for i in range(0, len(digests), 32)])
    while count > 1:
        above = {}
        for i in sorted(known):
            if i // 2 in above:
                continue
            if i ^ 1 >= count:
                above[i // 2] = known[i]
                continue
            other = known[i ^ 1] if i ^ 1 in known else next(rest)
            above[i // 2] = node(known[i], other) if i % 2 == 0 else node(other, known[i])
        known, count = above, (count + 1) // 2
    return known[0]
