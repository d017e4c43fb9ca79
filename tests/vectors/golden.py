"""Writes tests/vectors/golden/: proofs of every kind of statement with the files that they are about.

    python -m tests.vectors.golden

Proofs are never the same twice, so this is done again only when proofs of these statements are no longer what they were: the
statement's version (STATEMENT_VERSION, or the proof's) goes up in the same commit, and the changelog says so. An old proof is
worth keeping in a history: `git log -- tests/vectors/golden`.
"""

import contextlib
import io
import json
import os
import random
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.harness.commands import save
from tests.harness.second_verifier import ACCEPTED, first
from zkds.cli import main

FOLDER = Path(__file__).with_suffix("")
SEED = "0f1e2d3c4b5a69788796a5b4c3d2e1f0" * 2
PROBE = "--steps 2 --batch-size 2 --lr 0.01"
PINS = f"--commit data.root --seed {SEED} {PROBE}"
PROOFS = {  # name: options that prove and verify share, options of the prover alone
    "public": (f"--model model.pt {PINS} --sharpness sam", ""),
    "private": (f"--model model.root {PINS}", "--private-model --hide-value --tau 5"),
    "evaluated": (f"--model model.pt {PINS} --probes 2 --evaluate data.root:5 --evaluate test.root:3 --perturbation asam", ""),
}
KEPT = ("value_integers", "threshold_integer", "total_loss_integer", "correct", "labels", "margin", "soundness_bits")
PUBLIC_FILES = ("data.root", "test.root", "model.pt", "model.root")
MUTATIONS = 12  # of each proof


def write(folder: Path) -> None:
    """Make everything anew in a folder of its own, and keep what is public."""
    generator = np.random.default_rng(6)
    save("model.pt", 6)
    for name, count in (("data", 24), ("test", 12)):
        images = generator.integers(0, 256, (count, 8, 8), dtype=np.uint8)
        np.savez(f"{name}.npz", x=images, y=np.arange(count) % 10)
        run(f"commit --data {name}.npz -o {name}.root")
    run("commit-model --model model.pt -o model.root")
    for name in PUBLIC_FILES:
        shutil.copy(name, folder / name)
    for name, (shared, alone) in PROOFS.items():
        run(f"prove {shared} {alone} -o {name}.bin")
        shutil.copy(f"{name}.bin", folder / f"{name}.bin")
        proof = Path(f"{name}.bin").read_bytes()
        (folder / f"{name}.json").write_text(json.dumps(verdict(name) | {"mutations": mutations(name, proof)}, indent=1) + "\n")


def verdict(name: str) -> dict[str, object]:
    """What zkds says of a proof that was just made, of KEPT."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        run(f"verify {name}.bin {PROOFS[name][0]} --json")
    content = json.loads(out.getvalue())
    return {key: content[key] for key in KEPT}


def mutations(name: str, proof: bytes) -> list[dict[str, object]]:
    """Bytes to alter, one at a time, and the reason of the rejection: half of them among the first, which say most."""
    generator = random.Random(name)
    found = []
    for number in range(MUTATIONS):
        place = generator.randrange(3000 if number % 2 == 0 else len(proof))
        changed = altered(proof, place, mask := 1 << generator.randrange(8))
        reason = first(changed)
        assert reason != ACCEPTED
        found.append({"place": place, "mask": mask, "reason": reason})
    return found


def altered(proof: bytes, place: int, mask: int) -> bytes:
    return proof[:place] + bytes([proof[place] ^ mask]) + proof[place + 1 :]


def run(command: str) -> None:
    assert main(shlex.split(command)) == 0, command


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        write(FOLDER)
    sys.exit(0)
