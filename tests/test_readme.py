"""The README's example runs as it stands there."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_example_runs(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    exec(compile(example, str(README), "exec"), {})
    size, bits = re.fullmatch(r"(\d+) bytes, ([\d.]+) bits of soundness\n", capsys.readouterr().out).groups()
    assert int(size) < 400_000 and float(bits) >= 100
