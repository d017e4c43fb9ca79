"""Writes sizes.json, how large the circuits of networks of the zoo are: python -m tests.vectors.sizes

Written again when a change of the statement makes circuits smaller or larger; the commit that makes it says why.
"""

import json
import pathlib

from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.certificate.summary import summarise
from zkds.circuits.networks import zoo

NETWORKS = (
    *("digits-mlp", "digits-cnn", "mlp", "lenet5", "lenet-k", "alexnet:1/8", "vgg11-k:1/8", "vgg11-bn:1/8"),
    *("vgg16:1/8", "resnet18:1/8", "resnet20:1/4", "wide-resnet-28-10:1/16"),
)
CASES = [(name, sharpness) for name in NETWORKS for sharpness in ("ASAM", "SAM")]
SMALL = [case for case in CASES if case[0] in NETWORKS[:5]]


def sizes(name: str, sharpness: str) -> dict[str, int]:
    """Of a certificate with default settings: committed cells, lookups, messages, bytes of the proof."""
    found = summarise(zoo.network(name), Configuration.of(sharpness=sharpness))
    return {"cells": found.cells, "lookups": found.lookups, "messages": found.messages, "proof_bytes": found.proof_bytes}


if __name__ == "__main__":
    content = {f"{name} {sharpness}": sizes(name, sharpness) for name, sharpness in CASES}
    pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")
