"""What tests that start processes share."""

HANGS = 1800  # seconds after which a process is taken to hang; a busy machine may need many, and no test is about time
