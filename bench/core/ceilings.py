"""The machine's measured ceilings: small C programs, compiled and run beside the benches, so that a ratio means something.

The programs are not part of this repository (`--ceilings DIR`); without them the benches print figures and no ratios. All
ceilings are single-threaded.
"""

import re
import subprocess
import tempfile
from pathlib import Path

# program: (extra compiler flags, {figure: pattern with one number}); {lg} is the log2 size, the last size printed wins
PROGRAMS: dict[str, tuple[list[str], dict[str, str]]] = {
    "t12": ([], {"k_mul": r"Fp2 mul 31-bit schoolbook vpmuludq\s+([\d.]+)"}),
    "s5": (
        ["-DOFF=4224"],
        {
            "product_sumcheck": r"full product sumcheck.*?: ([\d.]+) ns",
            "lookup_layer": r"full LogUp layer sumcheck.*?: ([\d.]+) ns",
            "tree_build": r"tree build ([\d.]+) ns",
        },
    ),
    "ntt": (
        [],
        {"ntt_2^14": r"NTT 2\^14: [\d.]+ ns/butterfly\s+([\d.]+)", "ntt_2^18": r"NTT 2\^18: [\d.]+ ns/butterfly\s+([\d.]+)"},
    ),
    "commit3": (["-lcrypto"], {"encode_and_hash": r"total ([\d.]+) ns per input"}),
}


def measure(folder: Path, log_size: int) -> dict[str, float]:
    """Nanoseconds per element of each ceiling program that compiles and runs here; empty without the programs."""
    figures: dict[str, float] = {}
    if not folder.is_dir():
        return figures
    with tempfile.TemporaryDirectory() as scratch:
        for program, (flags, patterns) in PROGRAMS.items():
            binary = Path(scratch) / program
            compiler = [
                "gcc",
                "-O3",
                "-march=native",
                "-w",
                "-o",
                str(binary),
                str(folder / f"{program}.c"),
                *flags,
                "-lpthread",
            ]
            if subprocess.run(compiler, capture_output=True, check=False).returncode != 0:
                continue
            output = subprocess.run([str(binary), str(log_size)], capture_output=True, text=True, check=False).stdout
            for figure, pattern in patterns.items():
                found = re.findall(pattern, output)
                if found:
                    figures[figure] = float(found[-1])
    return figures
