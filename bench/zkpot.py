"""Table 6 of the paper beside measurements: a certificate and one step of training of each network, proved and verified.

    python -m bench.zkpot --output bench/results/zkpot.json
    python -m bench.zkpot --only lenet-k alexnet-k
    python -m bench.zkpot --toy

Weights and records are random: what is proved takes the same time. Every network has a process of its own, which runs `zkds
zkpot`; seconds are processor time. A proof that needs more memory than there is is named, and not made.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.__main__ import machine
from bench.estimate import alone, save_model
from bench.main.commands import run
from zkds.circuits.networks import zoo
from zkds.dataset.files import commit_dataset
from zkds.dataset.records import from_arrays

NETWORKS = ("lenet5", "lenet-k", "alexnet-k", "vgg11-k", "vgg11")
RECORDS = 64  # committed; the table counts on the paper's 50,000
PAPER_RECORDS = 50_000
CAPTION = """Measured here: the certificate and one step (B = 16), proved and verified; seconds of processor time.
Estimated: training is 155 x 50,000 / 16 such steps, and the ratios are of it to the certificate.
Quoted: the paper's estimates (Table 6), of systems that were not built; and what the published artifact of its proof of
training took on a machine of this size for one iteration."""


def measure(architecture: str, folder: Path) -> dict[str, Any]:
    """What `zkds zkpot --json` says of a network with random weights, counted for as many records as the paper has."""
    network = zoo.network(architecture)
    model, root = folder / f"{architecture}.pt", folder / f"{architecture}.root"
    alone(save_model, architecture, str(model))
    images = np.random.default_rng(1).integers(0, 256, (RECORDS, *network.input_shape), dtype=np.uint8)
    commit_dataset(from_arrays(images, np.arange(RECORDS) % network.classes, classes=network.classes), root)
    output = run("zkds", "zkpot", "--model", str(model), "--commit", str(root), "--json").output
    found: dict[str, Any] = json.loads(output)
    scale = PAPER_RECORDS / found["records"]
    return found | {
        "records": PAPER_RECORDS,
        **{name: scale * found[name] if found[name] is not None else None for name in SCALED},
    }


SCALED = ("iterations", "training_hours", "training_bytes", "speed_up", "times_fewer_bytes")


def table(networks: dict[str, dict[str, Any]]) -> str:
    """In Markdown."""
    head = (
        "",
        "certificate",
        "paper",
        "one step",
        "artifact",
        "training",
        "paper",
        "times faster",
        "paper",
        "times fewer bytes",
    )
    lines = [head, ("---",) * len(head), *(_line(name, found) for name, found in networks.items())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{CAPTION}"


def _line(name: str, found: dict[str, Any]) -> tuple[str, ...]:
    paper = found["published"]
    hours, size = found["training_hours"], found["training_bytes"]
    return (
        name,
        _proof(found["certificate"]),
        f"{paper['certificate_minutes']} min, {paper['certificate_megabytes']} MB" if paper else "",
        _proof(found["step"]),
        paper["artifact"] if paper else "",
        f"{hours:,.0f} h, {size / 1e9:,.0f} GB" if hours is not None else "",
        f"{paper['training_hours']:,} h, {paper['training_gigabytes']} GB" if paper else "",
        f"{found['speed_up']:,.0f}" if found["speed_up"] is not None else "",
        f"{paper['speed_up']:,}" if paper else "",
        f"{found['times_fewer_bytes']:,.0f}" if found["times_fewer_bytes"] is not None else "",
    )


def _proof(found: dict[str, Any]) -> str:
    if "not_run" in found:
        return f"not run: {found['not_run'].partition(':')[0]}"
    return f"{found['prove_seconds']:.1f} s, {found['proof_bytes'] / 1e6:.2f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.zkpot", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=NETWORKS, help="of the networks")
    parser.add_argument("--toy", action="store_true", help="a small network: does the bench still run?")
    parser.add_argument("--output", type=Path, default=Path("bench/results/zkpot.json"))
    options = parser.parse_args()
    names = ("digits-mlp",) if options.toy else options.only or NETWORKS
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            found[name] = measure(name, Path(folder))
            print(f"{name}: {json.dumps(found[name])}", flush=True)
    print(table(found))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"machine": machine(), "networks": found, "caption": CAPTION}, indent=1) + "\n")


if __name__ == "__main__":
    main()
