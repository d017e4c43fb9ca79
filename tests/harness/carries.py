"""Digit sums and carries of identities, array by array: the obvious twin of what zkds/tensors/entrywise.py does in one pass."""

import numpy as np

from zkds.tensors.linear import base_digits


def low_sums(identity, reader, count):
    """The digit sums e_0, ..., e_(count - 1) of an identity (zkds/identities/expressions.py) at every index, modulo 2^64."""
    sums = [np.zeros(identity.shape, dtype=np.int64) for _ in range(count)]
    for term in identity.expression.terms:
        shape = (*identity.shape, *term.inner)
        parts = [operand.digits(reader, shape)[:count] for operand in term.factors]
        for s, digit in base_digits(term.coefficient):
            for d in range(count - s):
                sums[s + d] += np.int64(digit) * coefficient(parts, d, len(identity.shape), len(term.inner))
    return sums


def coefficient(parts, d, outer, inner):
    """Coefficient d of a product of 0 to 2 polynomials, summed over the last `inner` axes."""
    zero = np.zeros((1,) * outer, dtype=np.int64)
    if not parts:
        return zero + (1 if d == 0 else 0)
    if len(parts) == 1:
        return parts[0][d] if d < len(parts[0]) else zero
    total = zero
    last = tuple(range(outer, outer + inner))
    for i in range(max(0, d + 1 - len(parts[1])), min(d + 1, len(parts[0]))):
        product = parts[0][i] * parts[1][d - i]
        total = total + (product.sum(axis=last) if last else product)
    return total


def sums_of_products(part, reader, count):
    """The digit sums below `count` of what a rounded sum (zkds/identities/rounded_sum.py) rounds."""
    sums = [np.zeros(part.output.shape, dtype=np.int64) for _ in range(count)]
    for own in part.products:
        whole, bits = divmod(own.exponent, 16)
        for d, digit in enumerate(own.products.digit_sums(reader, count - whole) if whole < count else []):
            sums[whole + d] += digit * np.int64(own.sign << bits)
    if part.linear is not None:
        whole, bits = divmod(part.linear.exponent, 16)
        for d, digit in enumerate(reader.tables(part.linear.tensor)[: max(0, count - whole)]):
            sums[whole + d] += part.linear.sums(digit) << np.int64(bits)
    return sums


def rounding_sums(part, reader, count):
    """The digit sums below `count` of its identity: exact + half - remainder - 2^shift out."""
    sums = sums_of_products(part, reader, count)

    def add(digits, exponent, sign):
        for d, digit in enumerate(digits):
            if exponent // 16 + d < count:
                sums[exponent // 16 + d] += sign * (digit << np.int64(exponent % 16))

    add([np.ones(part.output.shape, dtype=np.int64)], part.shift - 1, 1)
    add(part.committed[0].tables(reader), 0, -1)
    add(reader.tables(part.output), part.shift, -1)
    return sums


def carry_values(plan, sums):
    """The carries of an identity with these low digit sums, rounded down where it does not hold."""
    carries, rest = [], iter(sums)
    for size in plan.groups:
        total = carries[-1].copy() if carries else np.zeros_like(sums[0])
        for i in range(size):
            total += next(rest) << np.int64(16 * i)
        carries.append(total >> np.int64(16 * size))
    return carries


def is_exact(plan, sums):
    """Whether 2^(16 m) divides what these m low digit sums sum to, everywhere."""
    total = sum(digit.astype(object) << 16 * d for d, digit in enumerate(sums))
    return not (total & ((1 << 16 * plan.low_digits) - 1)).any()
