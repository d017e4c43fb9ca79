"""`zkds.circuits` in a checkout: its modules are those of the folder circuits beside zkds.

An installed package has circuits/__init__.py in this file's place (package-dir in pyproject.toml), and its modules beside it.
"""

from pathlib import Path

__path__ = [str(Path(__file__).parents[2] / "circuits")]
