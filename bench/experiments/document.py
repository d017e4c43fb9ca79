"""Puts the tables of bench/results/experiments/ into docs/experiments.md: python -m bench.experiments.document.

In the document a table stands between <!-- table NAME --> and <!-- end -->.
"""

import json
import re
from pathlib import Path

from bench.experiments.harness import RESULTS, markdown

DOCUMENT = Path("docs/experiments.md")
PLACE = re.compile(r"<!-- table (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def with_tables(text: str, results: Path) -> str:
    """The document with every table as the results have it."""

    def table(place: re.Match[str]) -> str:
        report = json.loads((results / f"{place[1]}.json").read_text(encoding="utf-8"))
        return f"<!-- table {place[1]} -->\n{markdown(report['table'])}<!-- end -->"

    return PLACE.sub(table, text)


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text(encoding="utf-8"), RESULTS), encoding="utf-8")
