"""Zero knowledge of the opening, exactly: another vector explains the same bytes under other randomness.

With the like for Ligero (tests/zk/test_simulator.py) these are all messages of a proof that depend on the witness, but for the
salted hashes of columns that are not opened.
"""

from __future__ import annotations

import numpy as np

from tests.reference import polynomials as slow
from zkds import multilinear
from zkds.channel import ProverChannel
from zkds.commit import opening
from zkds.commit.commitment import SALT_BYTES, Commitment
from zkds.commit.parameters import choose
from zkds.commit.reed_solomon import points
from zkds.field import ONE, ZERO, K, block, from_pairs, to_pairs, unblock
from zkds.wire import ProofWriter
from zkds.zk.pads import SecretStream
from zkds.zk.simulator import ProgrammedTranscript

PROGRAM = b"program of an opening"
PARAMETERS = choose(1000)  # two packed rows of 256 elements; the masked row is sent as it is
CODE = PARAMETERS.code
HASHES = {"root", "opening: Merkle proof"}


class Chosen:
    """The randomness of a commitment, chosen: blinding row and tails, lists of K."""

    def __init__(self, blinding, tails, salt_seed):
        self._pairs = [block(to_pairs(blinding)).reshape(-1, 2), np.stack([to_pairs(tail) for tail in tails])]
        self._salt_seed = salt_seed

    def pairs(self, *_shape):
        return self._pairs.pop(0)

    def bytes(self, _count):
        return self._salt_seed


class Labelled(ProofWriter):
    """Keeps the fields by label."""

    def __init__(self):
        super().__init__()
        self.fields: dict[str, bytes] = {}

    def write(self, label, data):
        super().write(label, data)
        self.fields[label] = self.fields.get(label, b"") + data


def opened(vector, randomness, pads):
    """The fields of a conversation that commits to the vector and opens it at a random point."""
    commitment, writer = Commitment(vector, PARAMETERS, randomness), Labelled()
    channel = ProverChannel(ProgrammedTranscript(PROGRAM), writer, pads)
    channel.send_bytes("root", commitment.root)
    channel.send("v", [multilinear.evaluate(vector, rho())])
    reduction = opening.prove_reduction(channel, commitment, rho())
    opening.prove_queries(channel, commitment, reduction, salted=True)
    return writer.fields


def rho():
    transcript = ProgrammedTranscript(PROGRAM)
    return [transcript.challenge("rho") for _ in range(PARAMETERS.variables)]


def opened_points():
    """Both points of every column that will be opened."""
    positions = ProgrammedTranscript(PROGRAM).positions("opening: query positions", CODE.queries, CODE.columns)
    return [x for w in points(positions, CODE.log_size) for x in (w, w.conjugate())]


def packed_rows(vector):
    """The rows of K that the cells are, without padding."""
    size = 1 << CODE.log_data
    cells = np.zeros(2 * PARAMETERS.packed_rows * size, dtype=np.uint64)
    cells[: len(vector)] = vector
    return [[K(int(a), int(b)) for a, b in zip(*row, strict=True)] for row in cells.reshape(-1, 2, size)]


class Interpolation:
    """Polynomials by their values at the given points (Lagrange), in Python integers."""

    def __init__(self, at):
        master = [ONE]
        for x in at:
            master = [low - x * high for low, high in zip([ZERO, *master], [*master, ZERO], strict=True)]
        self._bases = []
        for x in at:
            quotient = [ONE]
            for coefficient in master[-2:0:-1]:
                quotient.append(coefficient + x * quotient[-1])
            quotient.reverse()
            scale = slow.evaluate(quotient, x).inverse()
            self._bases.append([scale * coefficient for coefficient in quotient])

    def coefficients(self, values):
        columns = zip(*self._bases, strict=True)
        return [sum((value * base for value, base in zip(values, column, strict=True)), ZERO) for column in columns]


def explaining_tails(vector, other, tails):
    """Tails with which the rows of the other vector have the same symbols at all opened points: a bijection of tails."""
    at = opened_points()
    inverse_shifts = [x.inverse() for x in at]
    for _ in range(CODE.log_data):
        inverse_shifts = [x * x for x in inverse_shifts]
    interpolation, found = Interpolation(at), []
    for row, other_row, tail in zip(packed_rows(vector), packed_rows(other), tails, strict=False):
        change = [a - b for a, b in zip(row, other_row, strict=True)]
        values = [slow.evaluate(change, x) * shift for x, shift in zip(at, inverse_shifts, strict=True)]
        found.append([a + b for a, b in zip(tail, interpolation.coefficients(values), strict=True)])
    return found


def masked_row(vector, blinding, tails):
    """(coefficients that stand for cells, the others) of the row that an opening shows."""
    theta = ProgrammedTranscript(PROGRAM).challenge("opening: theta")
    weights = to_pairs([*opening._row_weights(PARAMETERS, rho(), theta), ONE])
    row, tail = Commitment(vector, PARAMETERS, Chosen(blinding, tails, bytes(SALT_BYTES))).matrix.combine(weights)
    return from_pairs(unblock(row)), from_pairs(tail)


def test_every_vector_explains_an_opening():
    """Take the opening of one vector and any other vector. There are paddings, a blinding row and pads with which the prover
    makes the same messages and columns from it: all bytes but hashes. The map between the two choices of randomness is a
    translation, so what is shown has the same distribution for every vector. Exact."""
    stream = SecretStream(bytes(32))
    vector, other = (np.random.default_rng(seed).integers(0, 1 << 32, PARAMETERS.cells, dtype=np.uint32) for seed in (1, 2))
    blinding, salt_seed, pads = stream.elements(1 << CODE.log_data), stream.bytes(SALT_BYTES), stream.elements(2)
    tails = [stream.elements(CODE.tail) for _ in range(CODE.rows)]
    shown = opened(vector, Chosen(blinding, tails, salt_seed), pads)

    rows = explaining_tails(vector, other, tails)
    nothing = [ZERO] * CODE.tail
    wanted, found = masked_row(vector, blinding, tails), masked_row(other, [ZERO] * len(blinding), [*rows, nothing])
    other_blinding, last = ([a - b for a, b in zip(*pair, strict=True)] for pair in zip(wanted, found, strict=True))
    low = rho()[: CODE.log_data]
    changes = (
        multilinear.evaluate(vector, rho()) - multilinear.evaluate(other, rho()),
        evaluate(blinding, low) - evaluate(other_blinding, low),
    )
    other_pads = [pad + change for pad, change in zip(pads, changes, strict=True)]

    explained = opened(other, Chosen(other_blinding, [*rows, last], salt_seed), other_pads)
    assert {label for label in shown if shown[label] != explained[label]} == HASHES
    assert {"v", "opening: mu", "opening: masked row", "opening: tail of the masked row", "opening: columns"} <= shown.keys()


def evaluate(row, point):
    return multilinear.evaluate(block(to_pairs(row)), point)
