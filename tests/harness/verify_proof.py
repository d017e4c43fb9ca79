"""A verifier in a process of its own: python verify_proof.py PROOF ROWS INNER COLUMNS WIDTH SHIFT [--allow-plain]

Exit status 0: accepted; 1: rejected, with the reason on standard output. Loads nothing of the prover.
"""

import sys
from pathlib import Path

from zkds.errors import ProofRejected
from zkds.identities.matrix_product import MatrixProduct
from zkds.verifier import verify


def main(arguments: list[str]) -> int:
    allow_plain = arguments[-1] == "--allow-plain"
    path, *numbers = arguments[: len(arguments) - allow_plain]
    rows, inner, columns, width, shift = map(int, numbers)
    relation = MatrixProduct(rows, inner, columns, width=width, shift=shift)
    try:
        result = verify(Path(path).read_bytes(), relation, allow_plain=allow_plain)
    except ProofRejected as rejection:
        print(f"rejected: {type(rejection).__name__}: {rejection.reason}")
        return 1
    print(f"accepted: {result.mode.name}, {result.bits:.1f} bits")
    assert "zkds.prover" not in sys.modules
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
