"""What tests that start processes share."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(ROOT),
    "OMP_NUM_THREADS": "1",
}  # a command is the one tested here
HANGS = 1800  # seconds after which a process is taken to hang; a busy machine may need many, and no test is about time
