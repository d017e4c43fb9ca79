"""Opening the committed vector at one point (protocol.md, section 8), in two parts with the Ligero proof between them.

Split rho: rho_lo, its first log_data coordinates, selects inside a row; rho_hi, the rest, selects the row. M_i: the polynomial
of row i of cells, its padding included; s: the blinding row.

    reduction   mu = <eq(rho_lo), s> is sent hidden; theta is drawn; the masked row
                    y = s + theta sum_i eq(rho_hi, i) M_i
                is committed (or sent, if it is short), its tail and u = <eq(rho_lo), y> are sent in the clear: s is uniform, so
                y says nothing about the vector. The constraint mu + theta v = u ties u to the hidden claim v.
    queries     columns are opened at random positions. From the two points w, 1/w of a column follow y(w) and y(1/w),
                and both must be the values of the masked row: directly, or through the recursive opening.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zkds import multilinear
from zkds.channel import ProverChannel, VerifierChannel, VerifierEnd
from zkds.commit import recursive
from zkds.commit.commitment import ROOT_BYTES, Commitment, CommittedMatrix, receive_columns
from zkds.commit.parameters import Parameters
from zkds.commit.reed_solomon import pair_weights, points
from zkds.errors import CommitmentRejected
from zkds.field import ONE, ZERO, K, block, from_pairs, to_pairs, unblock
from zkds.hidden import Hidden
from zkds.native import U64, field
from zkds.native.codeword import combine_columns, evaluate_powers


@dataclass(frozen=True)
class Reduction:
    """What both sides know after the first part.

    rho, theta  the point and the challenge
    root        of the masked row's commitment, or None
    row         the masked row's first 2^log_data coefficients, if they were sent
    tail        its other coefficients
    value       u
    """

    rho: tuple[K, ...]
    theta: K
    root: bytes | None
    row: tuple[K, ...] | None
    tail: tuple[K, ...]
    value: K


@dataclass(frozen=True)
class ProverReduction:
    """The prover's state between the two parts."""

    public: Reduction
    row: U64  # (k_data / 8, 2, 8) blocked
    committed: CommittedMatrix | None


def prove_reduction(channel: ProverChannel, commitment: Commitment, rho: Sequence[K]) -> ProverReduction:
    """First part. rho: `parameters.variables` coordinates; v = V~(rho) was sent before. Marks the commitment as opened."""
    parameters = commitment.parameters
    rho_lo, _ = _split(parameters, rho)
    commitment.use()
    channel.send("opening: mu", [multilinear.evaluate(commitment.blinding, rho_lo)])
    theta = channel.challenge(parameters.code.combination_term("opening: theta", degree=1))
    weights = [*_row_weights(parameters, rho, theta), ONE]
    row, tail = commitment.matrix.combine(to_pairs(weights))
    committed = None
    if parameters.recursion:
        committed = recursive.commit(row, parameters.recursion[0])
        channel.send_bytes("opening: root of the masked row", committed.root)
    else:
        channel.send_elements("opening: masked row", from_pairs(unblock(row)))
    value = multilinear.evaluate(row, rho_lo)
    channel.send_elements("opening: tail of the masked row", from_pairs(tail))
    channel.send_elements("opening: value of the masked row", [value])
    root = committed.root if committed else None
    public = Reduction(tuple(rho), theta, root, None, tuple(from_pairs(tail)), value)
    return ProverReduction(public, row, committed)


def verify_reduction(channel: VerifierEnd, parameters: Parameters, rho: Sequence[K], value: Hidden) -> Reduction:
    """First part: states the constraint that ties the hidden value v = V~(rho) to u."""
    _split(parameters, rho)
    (mu,) = channel.receive("opening: mu", 1)
    theta = channel.challenge(parameters.code.combination_term("opening: theta", degree=1))
    root, row = None, None
    if parameters.recursion:
        root = channel.receive_bytes("opening: root of the masked row", ROOT_BYTES)
    else:
        row = tuple(channel.receive_elements("opening: masked row", 1 << parameters.code.log_data))
    tail = tuple(channel.receive_elements("opening: tail of the masked row", parameters.code.tail))
    (masked_value,) = channel.receive_elements("opening: value of the masked row", 1)
    channel.assert_zero(mu + value * theta - masked_value, "opening: value of the masked row")
    return Reduction(tuple(rho), theta, root, row, tail, masked_value)


def prove_queries(channel: ProverChannel, commitment: Commitment, reduction: ProverReduction, salted: bool) -> None:
    """Second part. salted: false in plain mode, where the salts are zero and are not sent."""
    parameters = commitment.parameters
    code = parameters.code
    positions = channel.positions(code.query_term("opening: query positions"), code.queries, code.columns)
    columns = commitment.committed.send_columns(channel, "opening", positions, salted)
    if reduction.committed is not None:
        claims = _claims(parameters, reduction.public, positions, columns)
        recursive.prove(channel, parameters.recursion, reduction.committed, reduction.row, claims)


def verify_queries(channel: VerifierChannel, parameters: Parameters, root: bytes, reduction: Reduction, salted: bool) -> None:
    """Second part. Raises MalformedProof or CommitmentRejected with the check that failed."""
    code = parameters.code
    positions = channel.positions(code.query_term("opening: query positions"), code.queries, code.columns)
    columns = receive_columns(channel, "opening", root, code, positions, salted)
    claims = _claims(parameters, reduction, positions, columns)
    if reduction.row is None:
        assert reduction.root is not None
        recursive.verify(channel, parameters.recursion, reduction.root, claims)
    else:
        _check_row(reduction.row, claims)


def _check_row(row: Sequence[K], claims: recursive.Claims) -> None:
    """All claims on a row that was sent."""
    recursive.check_points("proximity: masked row", row, claims)
    eq_table = from_pairs(unblock(multilinear.eq_table(claims.point)))
    value = sum((a * b for a, b in zip(eq_table, row, strict=True)), ZERO)
    if value != claims.value:
        raise CommitmentRejected("opening: value of the masked row", claims.value, value)


def _split(parameters: Parameters, rho: Sequence[K]) -> tuple[Sequence[K], Sequence[K]]:
    if len(rho) != parameters.variables:
        raise ValueError(f"rho: expected {parameters.variables} coordinates, got {len(rho)}")
    return rho[: parameters.code.log_data], rho[parameters.code.log_data :]


def _row_weights(parameters: Parameters, rho: Sequence[K], theta: K) -> list[K]:
    """theta * eq(rho_hi, i) for the rows i of cells that are committed."""
    _, rho_hi = _split(parameters, rho)
    weights = from_pairs(unblock(multilinear.eq_table(rho_hi, theta)))
    return weights[: 2 * parameters.packed_rows]


def _claims(parameters: Parameters, reduction: Reduction, positions: Sequence[int], columns: U64) -> recursive.Claims:
    """The masked row's value at eq(rho_lo), and at both points of every opened column, without its tail's part."""
    code = parameters.code
    weights = _row_weights(parameters, reduction.rho, reduction.theta)
    direct, conjugate = pair_weights(weights[::2], weights[1::2])
    values = combine_columns(columns, to_pairs([*direct, ONE]), to_pairs([*conjugate, ZERO])).reshape(-1, 2)
    first = points(positions, code.log_size)
    both = [point for w in first for point in (w, w.conjugate())]
    tails = evaluate_powers(to_pairs(reduction.tail), to_pairs(both))
    shifts = block(to_pairs(both))
    for _ in range(code.log_data):
        shifts = field.k_mul(shifts, shifts)
    without_tails = field.sub(block(values), field.k_mul(shifts, block(tails)))
    rho_lo, _ = _split(parameters, reduction.rho)
    return recursive.Claims(
        tuple(rho_lo), reduction.value, tuple(positions), code.log_size, both, from_pairs(unblock(without_tails, len(both)))
    )
