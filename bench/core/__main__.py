"""The proof system's figures, kernels first and whole proofs last, beside the machine's ceilings.

    python -m bench.core --log-size 22 --repeat 5 --ceilings DIR --output bench/results/core.json
    python -m bench.core --log-size 28 --only memory --output large.json

Ceilings are single-threaded programs of the same size, run in the same call; a ratio is ours / ceiling on one thread.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path

from bench.core import batching, ceilings, commitment, dataset, end_to_end, exact, field, lookup, memory, squares, sumcheck
from zkds import native

Figures = dict[str, float]

BENCHES: dict[str, Callable[[int, int], Figures]] = {
    "field": field.measure,
    "exact products": exact.measure,
    "squares": squares.measure,
    "sumcheck": sumcheck.measure,
    "lookup": lookup.measure,
    "commitment": commitment.measure,
    "batching": batching.measure,
    "end to end": end_to_end.measure,
    "data set": dataset.measure,
    "memory": memory.measure,
}

# our figure in ns per element on one thread: the ceiling that it is measured against
RATIOS: dict[tuple[str, str], str] = {
    ("field", "k_mul"): "k_mul",
    ("sumcheck", "product_sumcheck"): "product_sumcheck",
    ("lookup", "layer"): "lookup_layer",
    ("commitment", "encode_and_hash"): "encode_and_hash",
}


def machine() -> dict[str, str | int]:
    """What the figures were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": native.threads(),
        "kernels": native.instruction_set(),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def ratios(results: dict[str, Figures], limits: Figures) -> Figures:
    """Ours / ceiling, for the figures that have a ceiling that was measured."""
    return {
        f"{bench}: {figure}": results[bench][figure] / limits[limit]
        for (bench, figure), limit in RATIOS.items()
        if limit in limits and figure in results.get(bench, {})
    }


def print_figures(title: str, figures: Figures) -> None:
    print(f"\n{title}")
    for name, value in figures.items():
        print(f"  {name:48} {value:>18,.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.core", description=__doc__.splitlines()[0])
    parser.add_argument("--log-size", type=int, default=22, help="log2 of the number of elements (default: 22)")
    parser.add_argument("--repeat", type=int, default=5, help="runs of which the median is taken (default: 5)")
    parser.add_argument("--only", choices=list(BENCHES), action="append", help="run this bench only; may be repeated")
    parser.add_argument("--ceilings", type=Path, help="folder of the ceiling programs; without it there are no ratios")
    parser.add_argument("--output", type=Path, default=Path("bench/results/core.json"), help="where the figures go")
    options = parser.parse_args()
    results: dict[str, Figures] = {}
    for name in options.only or BENCHES:
        results[name] = BENCHES[name](options.log_size, options.repeat)
        print_figures(name, results[name])
    limits = ceilings.measure(options.ceilings, options.log_size) if options.ceilings else {}
    print_figures("ceilings, ns per element, one thread", limits)
    compared = ratios(results, limits)
    print_figures("ratio to the ceiling", compared)
    report = {
        "machine": machine(),
        "log_size": options.log_size,
        "repeat": options.repeat,
        "lookups_per_s": results.get("lookup", {}).get("lookups_per_s"),
        "commit_elements_per_s": results.get("commitment", {}).get("commit_elements_per_s"),
        "figures": results,
        "ceilings": limits,
        "ratios": compared,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nwritten to {options.output}")


if __name__ == "__main__":
    main()
