"""What networks a parser refuses: docs/specification/certificate.md, section 14 and the sections of the operators."""

from math import prod
from struct import pack, unpack

from zkds_verify.encoding import check

MOST_NODES, MOST_INPUTS, MOST_NUMBERS, MOST_NAME = 2048, 256, 4096, 200
MOST_SIDE, MOST_ELEMENTS, POOL_SIDE, POOL_FACTORS = 2**20, 2**26, 2**13, 2**16
SMOOTH = ("gelu", "gelu tanh", "sigmoid", "silu", "tanh")
COUNTS = {  # of numbers; None: as many as the operator needs
    "convolution": 14,
    "relu": 0,
    "clamp": 3,
    "leaky relu": 1,
    **dict.fromkeys(SMOOTH, 0),
    "max pool": 10,
    "adaptive max pool": 3,
    "average pool": 11,
    "adaptive average pool": 4,
    "batch norm": 2,
    "add": 0,
    "concatenate": 0,
    "permute": 3,
    "pad": 12,
    "affine": None,
}
MANY = ("add", "concatenate")


def check_name(name, kind):
    check(len(name) <= MOST_NAME, "network: name")
    if name:
        words = name.split(".")
        check(all(word and word.replace("_", "a").isalnum() for word in words), "network: name")
    check(bool(name) == (kind in ("convolution", "batch norm")), "network: name")


def check_numbers(kind, numbers):
    """Before anything is made of them."""
    check(kind in COUNTS, "network: kind")
    count = COUNTS[kind]
    check(len(numbers) % 2 == 0 and numbers if count is None else len(numbers) == count, f"network: {kind}: numbers")
    if kind in CHECKS:
        CHECKS[kind](numbers)


def within(numbers, low, high, what):
    check(all(low <= number <= high for number in numbers), f"network: {what}")


def convolution(numbers):
    outputs, inputs, *pairs, bias, groups = numbers
    kernel, size, stride, before, dilation = (pairs[i : i + 2] for i in range(0, 10, 2))
    within([outputs, inputs, groups, *kernel, *size, *stride, *dilation], 1, MOST_SIDE, "convolution")
    within(before, 0, MOST_SIDE, "convolution")
    within([bias], 0, 1, "convolution")
    within([k * d for k, d in zip(kernel, dilation, strict=True)], 1, MOST_SIDE, "convolution")
    check(outputs % groups == 0 and inputs % groups == 0, "network: convolution: groups")
    check(outputs * inputs // groups * prod(kernel) <= MOST_ELEMENTS, "network: convolution: weights")
    check(outputs * prod(size) <= MOST_ELEMENTS, "network: convolution: outputs")


def clamp(numbers):
    low, high = (number - 2**63 for number in numbers[:2])
    check(-(2**42) <= low <= high < 2**42, "network: clamp")
    within(numbers[2:], 0, 1, "clamp")


def leaky_relu(numbers):
    within(numbers, 0, 2**32, "leaky relu")


def max_pool(numbers):
    *pairs, ceil_mode, relu = numbers
    window, stride, padding, dilation = (pairs[i : i + 2] for i in range(0, 8, 2))
    within([*window, *stride, *dilation], 1, MOST_SIDE, "max pool")
    within([ceil_mode, relu], 0, 1, "max pool")
    check(all(2 * p <= k for k, p in zip(window, padding, strict=True)), "network: max pool: padding")


def adaptive_max_pool(numbers):
    within(numbers[:2], 1, MOST_SIDE, "adaptive max pool")
    within(numbers[2:], 0, 1, "adaptive max pool")


def average_pool(numbers):
    *pairs, ceil_mode, include, divisor = numbers
    size, kernel, stride, padding = (pairs[i : i + 2] for i in range(0, 8, 2))
    within([*size, *kernel, *stride], 1, POOL_SIDE, "average pool")
    within([ceil_mode, include], 0, 1, "average pool")
    check(divisor <= POOL_FACTORS, "network: average pool: divisor")
    for n, k, p in zip(size, kernel, padding, strict=True):
        check(2 * p <= k <= n + 2 * p, "network: average pool: windows")


def adaptive_average_pool(numbers):
    within(numbers, 1, POOL_SIDE, "adaptive average pool")


def batch_norm(numbers):
    within(numbers[:1], 1, MOST_SIDE, "batch norm")
    (eps,) = unpack("<d", pack("<Q", numbers[1]))
    check(0 < eps <= 1, "network: batch norm: eps")


def permute(numbers):
    check(sorted(numbers) == [0, 1, 2] and numbers != [0, 1, 2], "network: permute")


def pad(numbers):
    outputs, before, first, step = (numbers[i : i + 3] for i in range(0, 12, 3))
    within([*outputs, *step], 1, MOST_SIDE, "pad")
    within([*before, *first], 0, MOST_SIDE, "pad")
    check(all(b < n for b, n in zip(before, outputs, strict=True)), "network: pad")


def affine(numbers):
    signed = [number - 2**64 if number >= 2**63 else number for number in numbers]
    check(all(abs(number) < 2**50 for number in signed), "network: affine")


CHECKS = {
    "convolution": convolution,
    "clamp": clamp,
    "leaky relu": leaky_relu,
    "max pool": max_pool,
    "adaptive max pool": adaptive_max_pool,
    "average pool": average_pool,
    "adaptive average pool": adaptive_average_pool,
    "batch norm": batch_norm,
    "permute": permute,
    "pad": pad,
    "affine": affine,
}


def check_inputs(kind, operator, shapes):
    """That these shapes fit the operator, before its output is computed from them."""
    check(len(shapes) >= 2 if kind in MANY else len(shapes) == 1, f"network: {kind}: inputs")
    channels, *sides = shapes[0]
    if kind == "convolution":
        check(channels == operator.ci, "network: convolution: channels")
        framed = [channels]
        axes = zip(operator.kernel, sides, operator.outputs, operator.stride, operator.before, operator.dilation, strict=True)
        for k, n, y, s, before, d in axes:
            framed.append(max(before + n, (y - 1) * s + (k - 1) * d + 1))
        check(prod(framed) <= MOST_ELEMENTS, "network: convolution: padded input")
    elif kind == "max pool":
        window, stride, padding, dilation = (operator.numbers[i : i + 2] for i in range(0, 8, 2))
        for n, k, s, p, d in zip(sides, window, stride, padding, dilation, strict=True):
            check(n + 2 * p - d * (k - 1) - 1 >= 0, "network: max pool: windows")
            check(k * ((n + 2 * p) // s + 1) <= MOST_SIDE, "network: max pool: windows")
    elif kind.endswith("average pool"):
        check(list(operator.size) == sides, f"network: {kind}: size")
        check_factors(kind, operator)
    elif kind == "batch norm":
        check(channels == operator.channels, "network: batch norm: channels")
    elif kind == "affine":
        check(channels == len(operator.scale), "network: affine: channels")
    elif kind == "add":
        check(all(shape == shapes[0] for shape in shapes), "network: add: shapes")
    elif kind == "concatenate":
        check(all(list(shape[1:]) == sides for shape in shapes), "network: concatenate: shapes")
        check(sum(map(prod, shapes)) <= MOST_ELEMENTS, "network: concatenate: elements")
    elif kind == "pad":
        check(all(f < n for f, n in zip(operator.first, shapes[0], strict=True)), "network: pad: first")


def check_factors(kind, operator):
    check(operator.divisor <= POOL_FACTORS and all(operator.axes), f"network: {kind}: divisor")
    sums = [operator.largest_factors(axis) for axis in range(2)]
    check(all(sums[0][end] * sums[1][end] <= POOL_FACTORS for end in range(2)), f"network: {kind}: factors")


def check_output(shape):
    check(all(1 <= side <= MOST_SIDE for side in shape), "network: shape")
