"""`zkds inspect`: everything public about a proof."""

from __future__ import annotations

import argparse
import json

from zkds.circuits.certificate.statement import probe_prefix
from zkds.circuits.certificate.verifying import Pins, verify_certificate
from zkds.commands import DONE, REJECTED, Commands, add_parser
from zkds.commands.probe_options import add_max_work
from zkds.commands.verdict import print_rejection, print_verdict, public_content
from zkds.commands.verify import proof_of
from zkds.errors import NotAProof, ProofRejected

EVERYTHING = Pins(allow_saturated=True, allow_surplus_classes=True)  # may be looked at; the verdict warns of it

EXAMPLES = """examples:
  zkds inspect proof.bin
  zkds inspect proof.bin --json | jq .batches           the record numbers of every batch

The proof is checked first; of one that does not hold only the reason is printed, with exit code 1. But nothing is
pinned: `zkds verify` is what tells whether a proof is about your model, your data and your seed."""


def add(commands: Commands) -> None:
    parser = add_parser(
        commands,
        "inspect",
        summary="print all that is public about a proof",
        description="Print all that is public about a proof: statement, batches, soundness terms, bytes by part.",
        examples=EXAMPLES,
    )
    parser.add_argument("proof", metavar="PROOF", help="the proof, such as proof.bin; - for standard input")
    add_max_work(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    data = proof_of(options.proof)
    try:
        verdict = verify_certificate(data, EVERYTHING, allow_plain=True, max_work=options.max_work)
    except NotAProof:
        raise
    except ProofRejected as rejection:
        print_rejection(rejection, as_json=options.json)
        return REJECTED
    if options.json:
        print(json.dumps(public_content(verdict)))
        return DONE
    print_verdict(verdict)
    print("\nbatches")
    for number, batches in enumerate(verdict.statement.probe_indices, 1):
        for step, batch in enumerate(batches):
            print(f"  {probe_prefix(number)}step {step}: {' '.join(map(str, batch))}")
    for number, indices in enumerate(verdict.statement.evaluated_indices, 1):
        print(f"  evaluation {number}: {' '.join(map(str, indices[0]))}")
    print("\nsoundness terms, weakest first (bits with grinding)")
    for line in verdict.budget[:12]:
        print(f"  {line.total_bits:7.1f}  {line.count:5} x {line.name}: {line.weakest.formula}")
    if len(verdict.budget) > 12:
        print(f"  ... and {len(verdict.budget) - 12} more; --json prints all")
    print("\nbytes by part")
    for name, size in sorted(verdict.sizes.items(), key=lambda item: -item[1])[:12]:
        print(f"  {size:9,}  {name}")
    return DONE
