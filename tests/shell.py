"""What tests that start processes share."""

import os

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ENVIRONMENT = os.environ | {"PYTHONPATH": ROOT, "OMP_NUM_THREADS": "1"}  # wherever it starts, a command is the one tested here
HANGS = 1800  # seconds after which a process is taken to hang; a busy machine may need many, and no test is about time
