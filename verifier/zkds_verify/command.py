"""The command: arguments, exit codes 0 accepted or valid, 1 rejected, 2 unusable, 3 valid with nothing pinned."""

import argparse
import json
import sys
from fractions import Fraction

from zkds_verify.certificate import Asked, verify
from zkds_verify.dataset import parse_root
from zkds_verify.encoding import Bytes, check
from zkds_verify.rejection import NotAProof, Rejected
from zkds_verify.verdict import as_json, as_text, limits_of_probe

CODES = {"accepted": 0, "valid": 0, "nothing pinned": 3}
REJECTED, UNUSABLE = 1, 2
MOST_PROOF = 2**27
KINDS = {"sam": False, "asam": True}
PROBE = {
    "steps": 5,
    "batch_size": 8,
    "rho": Fraction(1, 20),
    "lr": Fraction(1, 10**4),
    "sharpness": "asam",
    "perturbation": "sam",
}
EPS = Fraction(1, 10**12)


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise NotAProof(message)


def parser():
    found = Parser(
        prog="zkds_verify", description="Check a proof. What is not given here was chosen by the prover.", allow_abbrev=False
    )
    add = found.add_argument
    add("proof", metavar="PROOF", help="the proof; - for standard input")
    add("--json", action="store_true")
    add("--commit", metavar="FILE", help="data.root: the proof must be about this data set")
    add("--model", metavar="FILE", help="the weights (.pt of a state_dict, .safetensors), or a private model's model.root")
    add("--network", metavar="HEX", help="SHA-256 of the network's encoding; a file of weights doesn't say what the network is")
    add("--seed", metavar="HEX")
    add("--tau", type=rational, metavar="X", help="the largest value to accept")
    add("--max-loss", action="append", default=[], metavar="[ROOT:]X")
    add("--min-accuracy", action="append", default=[], metavar="[ROOT:]X", help="0.95 or 95%%")
    add("--max-gap", type=rational, metavar="X")
    add("--evaluate", action="append", metavar="ROOT:n", help="the proof must have these evaluations and no others; repeatable")
    add("--min-records", type=int, metavar="N")
    add("--min-labels", type=int, metavar="N", help="distinct ones, of the probe's records")
    add("--max-margin", type=rational, metavar="X", help="of the largest logit over the second largest, in nats")
    for allowance in ("saturated", "surplus-classes", "vanishing-weights", "plain"):
        add(f"--allow-{allowance}", action="store_true")
    add(
        "--strict",
        action="store_true",
        help="refuse to work unless everything is given; pins probe and evaluations in any case",
    )
    add("--max-work", type=float, default=1, metavar="X", help="the most work to do, as a multiple of about 20 seconds")
    add("--probes", type=int, metavar="R")
    add("--steps", type=int)
    add("--batch-size", type=int)
    add("--rho", type=rational)
    add("--lr", type=rational)
    add("--sharpness", choices=KINDS)
    add("--perturbation", choices=KINDS)
    return found


def rational(text):
    try:
        return Fraction(text[:-1]) / 100 if text.endswith("%") else Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}") from None


def main(arguments):
    sys.setrecursionlimit(100_000)  # chains of thousands of nodes
    try:
        options = parser().parse_args(arguments)
        asked, data = asked_of(options), read(options.proof, MOST_PROOF)
        found = as_json(verify(data, asked), asked, len(data))
    except Rejected as rejection:
        entry = {"reason": rejection.reason, "expected": rejection.expected, "actual": rejection.actual}
        if options.json:
            print(json.dumps({"verdict": "rejected", "accepted": False} | entry))
        else:
            print(f"REJECTED   {rejection.reason}" + ("" if rejection.expected is None else f": expected {rejection.expected}"))
        return REJECTED
    except NotAProof as error:
        if "--json" in arguments:
            print(json.dumps({"error": str(error)}))
        print(f"zkds_verify: {error}", file=sys.stderr)
        return UNUSABLE
    print(json.dumps(found) if options.json else "\n".join(as_text(found)))
    return CODES[found["verdict"]]


def read(path, most=2**24):
    try:
        if path == "-":
            data = sys.stdin.buffer.read(most + 1)
        else:
            with open(path, "rb") as file:
                data = file.read(most + 1)
    except OSError as error:
        raise NotAProof(f"{path}: {error.strerror}") from None
    if len(data) > most:
        raise NotAProof(f"{path}: more than {most} bytes")
    return data


def asked_of(options):
    model, model_root = options.model, None
    if model is not None and read(model, 2**31)[:18] == b"zkds model root v1":
        model, model_root = None, parse_model_root(read(model))
    given = {name: getattr(options, name) for name in PROBE if getattr(options, name) is not None}
    probe = None
    if given or options.strict:
        probe = PROBE | given
        probe = (*list(probe.values())[:4], EPS, KINDS[probe["sharpness"]], KINDS[probe["perturbation"]])
    evaluations = None
    if options.evaluate is not None or options.strict:
        evaluations = [evaluation(text) for text in options.evaluate or []]
    allowances = ("saturated", "surplus classes", "vanishing weights")
    limits = [(root, value, None) for root, value in map(limit, options.max_loss)]
    limits += [(root, None, value) for root, value in map(limit, options.min_accuracy)]
    asked = Asked(
        model=model,
        model_root=model_root,
        network=None if options.network is None else hexadecimal("--network", options.network),
        root=None if options.commit is None else root_of(options.commit),
        seed=None if options.seed is None else hexadecimal("--seed", options.seed),
        probe=probe,
        probes=options.probes or (1 if probe is not None else None),
        evaluations=evaluations,
        tau=options.tau,
        limits=tuple(limits),
        max_gap=options.max_gap,
        min_records=options.min_records,
        min_labels=options.min_labels,
        max_margin=options.max_margin,
        allowed=frozenset(name for name in allowances if getattr(options, "allow_" + name.replace(" ", "_"))),
        max_work=options.max_work,
        plain=options.allow_plain,
    )
    if options.strict:
        require_all(asked)
    if asked.max_gap is not None and asked.root is None:
        raise NotAProof("--max-gap needs --commit: the data root says which evaluations are of the training side of the gap")
    return asked


def require_all(asked):
    max_loss, min_accuracy = limits_of_probe(asked)
    needed = {
        "--model": asked.model or asked.model_root,
        "--network": asked.network or asked.model_root,
        "--commit": asked.root,
        "--seed": asked.seed,
        "--tau": asked.tau,
        "--max-loss": max_loss,
        "--min-accuracy": min_accuracy,
    }
    missing = [name for name, given in needed.items() if given is None]
    if missing:
        raise NotAProof(f"--strict accepts nothing that the prover chose: give {', '.join(missing)} as well")


def hexadecimal(name, text):
    if len(text) != 64 or any(c not in "0123456789abcdefABCDEF" for c in text):
        raise NotAProof(f"{name}: expected 64 hex digits")
    return bytes.fromhex(text)


def root_of(path):
    try:
        return parse_root(read(path)).digest
    except Rejected as rejection:
        raise NotAProof(f"{path}: {rejection.reason}") from None


def evaluation(text):
    path, _, count = text.rpartition(":")
    if not path or not count.isdecimal():
        raise NotAProof(f"--evaluate: expected ROOT:n, got {text}")
    return root_of(path), int(count)


def limit(text):
    """(digest of a data root or None, value)"""
    path, _, value = text.rpartition(":")
    try:
        return root_of(path) if path else None, rational(value)
    except argparse.ArgumentTypeError as error:
        raise NotAProof(str(error)) from None


def parse_model_root(data):
    """(root, encoding of the network)"""
    try:
        check(data.isascii(), "model root: text")
        lines = data.decode().split("\n")
        check(len(lines) == 4 and not lines[3], "model root: lines")
        check(lines[1].startswith("digest ") and lines[2].startswith("network "), "model root: lines")
        root, network = bytes.fromhex(lines[1][7:]), bytes.fromhex(lines[2][8:])
        check(len(root) == 32, "model root: digest")
        Bytes(network, b"zkds network v2", "model root: network")
        check(data == f"zkds model root v1\ndigest {root.hex()}\nnetwork {network.hex()}\n".encode(), "model root: canonical")
    except (Rejected, ValueError) as error:
        raise NotAProof(f"model root: {error}") from None
    return root, network
