"""`zkds`, and `python -m zkds`: a process around the command line.

Everything is imported inside `main`, so that Ctrl-C while numpy or torch is loaded ends as it does later. An exception that no
command expects is a bug: it ends with an exit code of its own, since 1 says that a proof was rejected.
"""

import gc
import sys

YOUNG_OBJECTS = 100_000  # before the collector looks for cycles: a proof makes many objects, and next to no cycles
INTERRUPTED = 130
INTERNAL_ERROR = 70


def main() -> int:
    """Run the command of sys.argv; returns its exit code."""
    gc.set_threshold(YOUNG_OBJECTS)
    try:
        from zkds.cli import main as run

        return run()
    except KeyboardInterrupt:
        _complain("zkds: interrupted")
        return INTERRUPTED
    except Exception:
        import traceback

        _complain(f"{traceback.format_exc()}zkds: this is a bug in zkds, please report it")
        return INTERNAL_ERROR


def _complain(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        pass


if __name__ == "__main__":
    sys.exit(main())
