"""Committed data sets: data.root, schemas, which records a seed draws. docs/specification/data-sets.md, section 10."""

from collections import namedtuple
from fractions import Fraction
from hashlib import sha256, shake_256
from math import prod

from zkds_verify.encoding import Bytes, check
from zkds_verify.integers import nearest
from zkds_verify.transcript import number, sized

ROWS = 128
MATRIX_SEED = sha256(b"zkds ajtai matrix v1").digest()
WIDEST_INPUT = 2**42

Schema = namedtuple("Schema", "element fraction shape classes means deviations")
# records: their number; columns: the bytes of a record and its randomness; digest: of the data root; data: the file
Root = namedtuple("Root", "records schema columns tree digest data")


def randomness(count):
    """Bytes beside each of so many records, or chunks of a model."""
    return -(-(61 * ROWS + 256 + (count**2 - 1).bit_length()) // 8)


def parse_root(data):
    """`data.root`, whose bytes are the only ones that stand for it."""
    check(len(data) <= 2**22, "data root: length")
    check(data.isascii(), "data root: text")
    lines = data.decode().splitlines()
    names = ["zkds data root v1", "digest ", "tree ", "records ", "schema ", "matrix "]
    check(len(lines) == 6 and lines[0] == names[0], "data root: lines")
    check(all(line.startswith(name) for line, name in zip(lines, names, strict=True)), "data root: lines")
    digest, tree, records, schema, matrix = (line[len(name) :] for line, name in zip(lines[1:], names[1:], strict=True))
    check(records.isdecimal() and len(records) <= 10 and 1 <= int(records) <= 2**32, "data root: records")
    digest, tree, schema = (from_hex(text) for text in (digest, tree, schema))
    check(len(digest) == len(tree) == 32, "data root: digest")
    parsed, count = parse_schema(schema), int(records)
    columns = record_bytes(parsed) + randomness(count)
    check(matrix == f"{ROWS} {columns} {MATRIX_SEED.hex()}", "data root: matrix")
    hashed = b"zkds data root v1" + number(count) + sized(schema) + number(ROWS) + number(columns) + MATRIX_SEED + tree
    check(digest == sha256(hashed).digest(), "data root: digest")
    texts = [names[0], f"digest {digest.hex()}", f"tree {tree.hex()}", f"records {count}", f"schema {schema.hex()}"]
    again = "\n".join([*texts, f"matrix {matrix}", ""])
    check(again.encode() == data, "data root: canonical")
    return Root(count, parsed, columns, tree, digest, data)


def from_hex(text):
    check(all(c in "0123456789abcdef" for c in text) and len(text) % 2 == 0, "data root: hex")
    return bytes.fromhex(text)


def parse_schema(data):
    source = Bytes(data, b"zkds schema v1", "schema")
    kind, element, fraction, dimensions = source.numbers(4)
    check(kind <= 1 and element <= 1, "schema: kind")
    check(dimensions == (1 if kind else 3), "schema: dimensions")
    check(element == 0 or kind == 1, "schema: element")
    check(fraction <= 15 and (element or not fraction), "schema: fraction bits")
    shape = source.numbers(dimensions)
    classes, pairs = source.numbers(2)
    check(all(shape) and prod(shape) <= 2**18, "schema: shape")
    check(2 <= classes <= 65536, "schema: classes")
    check(pairs in {0, 1, shape[0]}, "schema: normalization")
    means = [mean - 2**63 for mean in source.numbers(pairs)]
    deviations = source.numbers(pairs)
    check(all(abs(mean) < 2**48 for mean in means) and all(0 < d < 2**48 for d in deviations), "schema: normalization")
    source.end()
    schema = Schema(element, fraction, shape, classes, means, deviations)
    check(record_bytes(schema) <= 2**18, "schema: record")
    return schema


def record_bytes(schema):
    return prod(schema.shape) * (1 + schema.element) + 1 + (schema.classes > 256)


def affine(schema, c):
    """(m, n): the network sees m u + n of a stored element u of index c of the first dimension."""
    slope = Fraction(2**32, 255 if schema.element == 0 else 2**schema.fraction)
    constant = Fraction(0) if schema.element == 0 else -(2**15) * slope
    if schema.means:
        j = c if len(schema.means) > 1 else 0
        deviation = Fraction(schema.deviations[j], 2**32)
        slope, constant = slope / deviation, (constant - schema.means[j]) / deviation
    return nearest(slope), nearest(constant)


def check_inputs(schema):
    largest = 65535 if schema.element else 255
    for c in range(schema.shape[0] if len(schema.means) > 1 else 1):
        slope, constant = affine(schema, c)
        check(all(-WIDEST_INPUT <= slope * u + constant < WIDEST_INPUT for u in (0, largest)), "statement: width of inputs")


def drawn(seed, records, count):
    """The first entries of the permutation."""
    sponge = shake_256(b"zkds batches: fisher-yates shake256 v1" + seed + number(records))
    output, place, moved, found = sponge.digest(4096), 0, {}, []
    for i in range(count):
        mask, step = (1 << (records - i - 1).bit_length()) - 1, records
        while step >= records - i:
            if place == len(output):
                output = sponge.digest(2 * len(output))
            step, place = int.from_bytes(output[place : place + 8], "little") & mask, place + 8
        found.append(moved.get(i + step, i + step))
        moved[i + step] = moved.get(i, i)
    return found
