"""How many bytes a proof has, before there is one: a public function of its statement, by the labels of `ProofReader.sizes`.

A dry run of the verifier counts what `converse` receives; the sizes of the Ligero proof and of the opening follow from their
parameters. All of it is exact but for the Merkle paths: which digests a proof of random positions lacks is chance, and their
expected number is counted instead, a few hundred bytes off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from zkds.channel import NONCE_BYTES, DryRun
from zkds.commit import merkle
from zkds.commit.commitment import ROOT_BYTES
from zkds.commit.parameters import Code, Parameters
from zkds.commit.recursive import batch_term, round_term
from zkds.conversation import converse
from zkds.field import ELEMENT_BYTES, K
from zkds.hidden import Constraints, Hidden
from zkds.native.codeword import SALT_BYTES
from zkds.soundness import ErrorTerm
from zkds.statement import Mode, Statement
from zkds.wire import ProofWriter
from zkds.zk import parameters as ligero
from zkds.zk.messages import Challenges


class _Counting(DryRun):
    """A dry run that counts bytes by label."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: Counter[str] = Counter()

    def receive(self, label: str, count: int) -> list[Hidden]:
        self.sizes[label] += ELEMENT_BYTES * count
        return super().receive(label, count)

    def receive_elements(self, label: str, count: int) -> list[K]:
        self.sizes[label] += ELEMENT_BYTES * count
        return super().receive_elements(label, count)

    def receive_bytes(self, label: str, count: int) -> bytes:
        self.sizes[label] += count
        return super().receive_bytes(label, count)

    def challenge(self, term: ErrorTerm) -> K:
        self.grind(term)
        return super().challenge(term)

    def grind(self, term: ErrorTerm) -> None:
        """The nonce before a challenge or positions."""
        if term.grinding:
            self.sizes["grinding nonce"] += NONCE_BYTES


def proof_sizes(statement: Statement) -> tuple[Mapping[str, int], Constraints]:
    """Bytes by label of a zero-knowledge proof, and its messages, products and equations, which mean nothing else."""
    channel = _Counting()
    writer = ProofWriter()
    statement.write_header(writer, Mode.ZERO_KNOWLEDGE)
    channel.sizes.update(writer.sizes)
    converse(channel, statement, Mode.ZERO_KNOWLEDGE)
    _count_ligero(channel)
    _count_opening(channel, statement.parameters)
    return channel.sizes, channel.constraints


def _count_ligero(channel: _Counting) -> None:
    constraints = channel.constraints
    p = ligero.choose_parameters(constraints.messages, len(constraints.products))
    Challenges.draw(channel, p, constraints)
    channel.grind(p.query_term())
    elements = {
        "Ligero low-degree response": p.row,
        "Ligero linear response": 2 * p.row,
        "Ligero quadratic response": p.quadratic_values,
        "Ligero columns": p.queries * p.rows,
    }
    channel.sizes.update({label: ELEMENT_BYTES * count for label, count in elements.items()})
    channel.sizes["Ligero salts"] += p.queries * ligero.SALT_BYTES
    channel.sizes["Ligero Merkle digests"] += merkle.expected_proof_bytes(p.queries, p.length)


def _count_opening(channel: _Counting, parameters: Parameters) -> None:
    """What `opening.verify_queries` receives."""
    code = parameters.code
    channel.grind(code.query_term("opening: query positions"))
    _count_columns(channel, "opening", code)
    channel.sizes["opening: salts"] += code.queries * SALT_BYTES
    above = code
    for level, code in enumerate(parameters.recursion):
        channel.challenge(batch_term(2 * above.queries))
        for _ in range(code.rows.bit_length() - 1):
            channel.receive_elements("recursion: round", 2)
            channel.challenge(round_term(code))
        if level + 1 == len(parameters.recursion):
            channel.receive_elements("recursion: last row", 1 << code.log_data)
        else:
            channel.receive_bytes("recursion: root", ROOT_BYTES)
        channel.grind(code.query_term("recursion: query positions"))
        _count_columns(channel, "recursion", code)
        above = code


def _count_columns(channel: _Counting, label: str, code: Code) -> None:
    channel.sizes[f"{label}: columns"] += 2 * ELEMENT_BYTES * code.queries * code.rows
    channel.sizes[f"{label}: Merkle proof"] += merkle.expected_proof_bytes(code.queries, code.columns)
