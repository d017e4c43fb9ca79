"""All claims on the committed vector become one: the batching sumcheck (protocol.md, section 7).

Claim c is sum_x W_c(x) V(x) = value_c, with W_c a sum of pieces scale * eq on aligned subcubes. For a challenge chi, one
sumcheck of

    sum_x V(x) W(x) = sum_c chi^c value_c        W = sum_c chi^c W_c

over all index bits ends in a point rho and one message v, claimed to be V~(rho); the verifier evaluates W~(rho) itself.
The opening of the commitment then proves v.

The prover never stores W, nor V as field elements (16 bytes a cell instead of 4): it reads V twice. Bind first the
`streamed` bits 3, 4, ...: all their messages follow from the bilinear form

    G[i][j] = sum over the other bits of V(.., i, ..) W(.., j, ..)

and on a piece W(.., j, ..) = eq(low coordinates, j) * (a weight that does not depend on j), so a pass over V that
multiplies each cell once per piece that covers it, by an element of K, yields G. A second pass over V binds all these
bits at once, and the sumcheck goes on with tables that are smaller by 2^streamed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from zkds.channel import ProverChannel, VerifierEnd
from zkds.claims import Claim, Pieces
from zkds.field import ONE, ZERO, K, from_pairs, powers, to_pairs, unblock
from zkds.hidden import Hidden, combine
from zkds.multilinear import LANE_VARIABLES, binding_order
from zkds.native import U32, U64, array, cells
from zkds.native.cells import MAX_VARIABLES, PieceArrays
from zkds.native.sumcheck import VectorRounds
from zkds.soundness import LOG2_K, ErrorTerm, algebraic
from zkds.sumcheck import RoundValue, final_claim

STREAMED = 4  # index bits bound before a table is stored; more only where the tables would be too large
MAX_TABLE_BYTES = 1 << 27  # both tables together, as far as MAX_STREAMED allows
SUMCHECK = "sumcheck; Lund, Fortnow, Karloff, Nisan 1992"

# The term of what binding one index bit of the committed matrix's row number means for the opening; None for a column bit.
RowTerm = Callable[[int], ErrorTerm | None]


def prove(
    channel: ProverChannel, claims: Sequence[Claim[K]], vector: U32, variables: int, row_term: RowTerm | None = None
) -> tuple[tuple[K, ...], K]:
    """Reduce all claims to V~(rho) = v: (rho, v), `variables` coordinates with rho[b] for index bit b.

    vector     (cells,) uint32, cells <= 2^variables; zero beyond
    row_term   see `RowTerm`; must be the verifier's

    Values of claims are not used: a false claim leads to a proof that is rejected. Raises ValueError for a vector or a piece
    beyond 2^variables, or no claims.
    """
    array("vector", vector, np.uint32, (None,))
    _check(claims, variables)
    if len(vector) > 1 << variables:
        raise ValueError(f"vector: expected at most 2^{variables} cells, got {len(vector)}")
    pieces = _piece_arrays(claims, powers(channel.challenge(_chi_term(len(claims))), len(claims)), variables)
    rho = [ZERO] * variables

    def exchange(bit: int, message: Sequence[K]) -> K:
        channel.send("batching: round", message)
        rho[bit] = channel.challenge(_round_term(bit, row_term))
        return rho[bit]

    value = _prove_rounds(exchange, vector, pieces, variables)
    channel.send("batching: value", [value])
    channel.public(lambda: _weight_at(pieces, rho))
    return tuple(rho), value


def verify(
    channel: VerifierEnd, claims: Sequence[Claim[Hidden]], variables: int, row_term: RowTerm | None = None
) -> tuple[tuple[K, ...], Hidden]:
    """The verifier's side: (rho, hidden v). v is V~(rho) if all claims are true; the opening has to show that it is V~(rho)."""
    _check(claims, variables)
    chi_powers = powers(channel.challenge(_chi_term(len(claims))), len(claims))
    claim = combine([claim.value for claim in claims], chi_powers)
    rho = [ZERO] * variables
    rounds = []
    for bit in binding_order(variables):
        message = channel.receive("batching: round", 2)
        rho[bit] = r = channel.challenge(_round_term(bit, row_term))
        rounds.append(RoundValue.of(message, r, ONE, ONE))
    running = final_claim(claim, rounds)
    (value,) = channel.receive("batching: value", 1)
    weight = channel.public(lambda: _weight_at(_piece_arrays(claims, chi_powers, variables), rho))
    channel.assert_zero(running - value * weight, "batching: final claim")
    return tuple(rho), value


def _weight_at(pieces: PieceArrays, rho: Sequence[K]) -> K:
    """W~(rho)."""
    return K(*cells.evaluate(pieces, to_pairs(rho)).tolist())


# ---- what both sides share -------------------------------------------------------------------------------------------


def _chi_term(claims: int) -> ErrorTerm:
    return algebraic("batching: chi", claims, "claims/|K|", "random linear combination by powers; Schwartz-Zippel lemma")


def _round_term(bit: int, row_term: RowTerm | None) -> ErrorTerm:
    """A round polynomial has degree 2; a row coordinate also draws the combination of the committed rows."""
    row = row_term(bit) if row_term is not None else None
    if row is None:
        return algebraic("batching: sumcheck round", 2, "2/|K|", SUMCHECK)
    numerator = 2 + 2 ** (LOG2_K - row.bits)
    return algebraic(f"batching: sumcheck round, {row.name}", numerator, f"2/|K| + {row.formula}", f"{SUMCHECK}; {row.source}")


def _check(claims: Sequence[Claim[Any]], variables: int) -> None:
    if not 0 <= variables <= MAX_VARIABLES:
        raise ValueError(f"variables: expected 0 to {MAX_VARIABLES}, got {variables}")
    if not claims:
        raise ValueError("claims: expected at least one")


def _piece_arrays(claims: Sequence[Claim[Any]], claim_weights: Sequence[K], variables: int) -> PieceArrays:
    """All claims' pieces. Raises ValueError for one that is not an aligned subcube below 2^variables."""
    parts = [claim.pieces for claim in claims]
    pieces = Pieces.joined(parts)
    numbers = np.repeat(np.arange(len(claims), dtype=np.uint32), [len(part) for part in parts])
    sizes = np.int64(1) << np.minimum(pieces.log_sizes, MAX_VARIABLES + 1)
    outside = (pieces.offsets < 0) | (pieces.offsets % sizes != 0) | (pieces.offsets + sizes > 1 << variables)
    if outside.any():
        j = int(outside.argmax())
        place = f"piece at {pieces.offsets[j]} of {sizes[j]} cells"
        raise ValueError(f"claim {numbers[j]}: {place} is not aligned below 2^{variables}")
    return PieceArrays(
        offsets=pieces.offsets.astype(np.uint64),
        firsts=np.cumsum(np.append(0, pieces.log_sizes)).astype(np.uint64),
        coordinates=pieces.coordinates,
        scales=pieces.scales,
        claims=numbers,
        claim_weights=to_pairs(claim_weights),
    )


# ---- the prover's rounds ---------------------------------------------------------------------------------------------

Exchange = Callable[[int, Sequence[K]], K]
Form = list[list[K]]


def _prove_rounds(exchange: Exchange, vector: U32, pieces: PieceArrays, variables: int) -> K:
    """All rounds; returns V~(rho)."""
    streamed = _streamed_bits(len(vector), variables)
    challenges: list[K] = []
    if streamed:
        form = [from_pairs(row) for row in cells.correlate(vector, streamed, pieces)]
        for bit in range(LANE_VARIABLES, LANE_VARIABLES + streamed):
            challenges.append(exchange(bit, _form_message(form)))
            form = _bind_form(form, challenges[-1])
    bound = to_pairs(challenges)
    vectors = _vectors(len(vector), pieces, streamed)
    values, weights = cells.fold(vector, bound, vectors), cells.weights(pieces, bound, vectors)
    values, weights = _vector_rounds(exchange, values, weights, range(LANE_VARIABLES + streamed, variables))
    return _lane_rounds(exchange, from_pairs(unblock(values)), from_pairs(unblock(weights)), min(LANE_VARIABLES, variables))


def _streamed_bits(cell_count: int, variables: int) -> int:
    wanted = STREAMED
    while wanted < cells.MAX_STREAMED and 32 * cell_count >> wanted > MAX_TABLE_BYTES:
        wanted += 1
    return max(0, min(wanted, variables - LANE_VARIABLES))


def _vectors(cell_count: int, pieces: PieceArrays, streamed: int) -> int:
    """Vectors of the tables after the streamed rounds: everything that V or a piece covers."""
    sizes = np.left_shift(np.uint64(1), np.diff(pieces.firsts))
    end = int((pieces.offsets + sizes).max(initial=max(1, cell_count)))
    return -(-end >> (LANE_VARIABLES + streamed))


def _form_message(form: Form) -> list[K]:
    """h(0) and h(inf) of the lowest bit: the entries with equal other bits count."""
    at_zero = leading = ZERO
    for u in range(0, len(form), 2):
        (a, b), (c, d) = form[u][u : u + 2], form[u + 1][u : u + 2]
        at_zero = at_zero + a
        leading = leading + (a - b - c + d)
    return [at_zero, leading]


def _bind_form(form: Form, r: K) -> Form:
    def bind(low: Sequence[K], high: Sequence[K]) -> list[K]:
        return [a + r * (b - a) for a, b in zip(low, high, strict=True)]

    rows = [bind(low, high) for low, high in _pairs(form)]
    return [bind(row[::2], row[1::2]) for row in rows]


def _pairs(rows: Form) -> Iterator[tuple[list[K], list[K]]]:
    return zip(rows[::2], rows[1::2], strict=True)


def _vector_rounds(exchange: Exchange, values: U64, weights: U64, bits: Sequence[int]) -> Sequence[U64]:
    """The rounds of the remaining vector bits; returns the last vector of both tables, which are overwritten."""
    if not bits:
        return values, weights
    rounds = VectorRounds([values, weights], [((1, 0), (0, 1))], LANE_VARIABLES + len(bits))
    r = exchange(bits[0], from_pairs(rounds.first()))
    for bit in bits[1:]:
        r = exchange(bit, from_pairs(rounds.next((r.re, r.im))))
    return rounds.finish((r.re, r.im))


def _lane_rounds(exchange: Exchange, f: list[K], g: list[K], bits: int) -> K:
    """The rounds of the lowest bits, on eight elements; returns the value of f at the point."""
    for bit in range(bits):
        at_zero = leading = ZERO
        for f0, f1, g0, g1 in zip(f[::2], f[1::2], g[::2], g[1::2], strict=True):
            at_zero = at_zero + f0 * g0
            leading = leading + (f1 - f0) * (g1 - g0)
        r = exchange(bit, [at_zero, leading])
        f, g = ([low + r * (high - low) for low, high in zip(t[::2], t[1::2], strict=True)] for t in (f, g))
    return f[0]
