"""The command line. Results go to stdout, progress and errors to stderr.

Exit codes: 0 done, 2 bad usage or input that cannot be used, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from zkds.dataset.files import commit_dataset, opening_path
from zkds.dataset.records import Records, from_folder, from_npz
from zkds.dataset.root import DataRoot
from zkds.dataset.schema import Normalization
from zkds.errors import ZkdsError

BAD_INPUT = 2
INTERRUPTED = 130
TERMINATED = 143

COMMIT_EXAMPLES = """examples:
  zkds commit --data train.npz                          arrays x and y; writes data.root and data.open
  zkds commit --data mnist.npz --arrays x_train y_train --normalize 0.1307 0.3081
  zkds commit --data photos/ -o photos.root             photos/CLASS/IMAGE.png; needs Pillow
  zkds commit --data table.npz --fraction-bits 8        features (N, d) in steps of 1/256

data.root is public: publish it before the seed of a proof is drawn. data.open, beside it, is private: keep it, nobody
can make a proof about data.root without it. Commit again, with new randomness, rather than copy records from one
data.open to another."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    options = _parser().parse_args(arguments)
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        print("\nzkds: interrupted, nothing was written", file=sys.stderr)
        return INTERRUPTED
    except MemoryError:
        print("zkds: not enough memory", file=sys.stderr)
    except (ZkdsError, ValueError, OSError) as error:
        print(f"zkds: {error}", file=sys.stderr)
    finally:
        signal.signal(signal.SIGTERM, previous)
    return BAD_INPUT


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """An orderly exit, so that half-made files are removed."""
    del number, frame
    sys.exit(TERMINATED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="zkds", description="Zero-knowledge proofs of directional sharpness.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    commit = commands.add_parser(
        "commit",
        help="commit to a data set",
        description="Commit to a data set: a small public file, and a private one that opens it.",
        epilog=COMMIT_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commit.add_argument(
        "--data", metavar="PATH", required=True, help="a .npz file, or a folder with a folder of images for each class"
    )
    commit.add_argument("-o", "--output", metavar="FILE", default="data.root", help="the public file (default: data.root)")
    commit.add_argument(
        "--arrays", nargs=2, metavar=("X", "Y"), default=("x", "y"), help="names in the .npz file (default: x y)"
    )
    commit.add_argument("--classes", type=int, metavar="N", help="number of classes (default: the largest label plus one)")
    commit.add_argument(
        "--normalize",
        nargs=2,
        metavar=("MEAN", "STD"),
        help="the network sees (x/255 - MEAN) / STD; one number, or one for each channel with commas between",
    )
    commit.add_argument("--fraction-bits", type=int, metavar="BITS", help="of features that are not bytes (default: 12)")
    commit.add_argument("--overwrite", action="store_true", help="replace existing files; proofs about them are lost")
    commit.add_argument("--json", action="store_true", help="print the result as JSON")
    commit.set_defaults(run=_commit)
    return parser


# ---- commit ------------------------------------------------------------------------------------------------------------


def _commit(options: argparse.Namespace) -> int:
    records = _read_records(options)
    output = Path(options.output)
    root = commit_dataset(records, output, overwrite=options.overwrite, progress=ProgressLine("committing", "records"))
    _print_commitment(root, output, as_json=options.json)
    return 0


def _read_records(options: argparse.Namespace) -> Records:
    path = Path(options.data)
    normalization = None
    if options.normalize:
        mean, deviation = (text.split(",") for text in options.normalize)
        normalization = Normalization.from_decimals(mean, deviation)
    if not path.exists():
        raise ValueError(f"{path}: no such file or folder; --data takes a .npz file or a folder of images")
    if not path.is_dir():
        return from_npz(
            path,
            arrays=tuple(options.arrays),
            classes=options.classes,
            fraction_bits=options.fraction_bits,
            normalization=normalization,
        )
    if options.classes is not None or options.fraction_bits is not None:
        raise ValueError("--classes and --fraction-bits go with .npz files; a folder has one class for each of its folders")
    return from_folder(path, normalization=normalization)


def _print_commitment(root: DataRoot, output: Path, *, as_json: bool) -> None:
    schema, private = root.schema, opening_path(output)
    if as_json:
        result = {
            "root": root.digest().hex(),
            "records": root.count,
            "kind": schema.kind,
            "shape": list(schema.shape),
            "element": schema.element,
            "classes": schema.classes,
            "public_file": str(output),
            "private_file": str(private),
        }
        print(json.dumps(result))
        return
    print(f"data root  {root.digest().hex()}")
    shape = " x ".join(map(str, schema.shape))
    print(f"records    {root.count}, kind {schema.kind}, {shape} {schema.element}, {schema.classes} classes")
    print(f"public     {output}")
    print(f"private    {private} ({private.stat().st_size / 1e6:.1f} MB): keep it, and keep it secret")


class ProgressLine:
    """A line on stderr for work that takes more than a second: what is done, and the time left."""

    def __init__(self, what: str, unit: str) -> None:
        self._what = what
        self._unit = unit
        self._start = self._last = time.monotonic()
        self._interval = 0.2 if sys.stderr.isatty() else 5.0
        self._shown = False

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done == total:
            if self._shown and sys.stderr.isatty():
                print("\r\033[K", end="", file=sys.stderr)
            return
        if now - self._start < 1 or now - self._last < self._interval:
            return
        self._last, self._shown = now, True
        left = (now - self._start) * (total - done) / done
        text = f"{self._what}: {done} of {total} {self._unit}, about {left:.0f} s left"
        print(
            f"\r\033[K{text}" if sys.stderr.isatty() else text,
            end="" if sys.stderr.isatty() else "\n",
            file=sys.stderr,
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
