"""A page of HTML that stands alone: no scripts, no files beside it, nothing fetched, and a policy in it that forbids all three.

Every text is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from zkds import __version__

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1c1c1c; background: #fff; max-width: 52rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; } h1, .names td + td { overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
.verdict { padding: .8rem 1.1rem; border-left: .5rem solid; margin: 1rem 0; } .verdict strong { font-size: 1.2rem; }
.accepted { border-color: #2b8a3e; background: #ebf7ee; } .rejected { border-color: #c92a2a; background: #fdeeee; }
.none { border-color: #666; background: #f3f3f3; }
.warning { border-left: .5rem solid #d9640a; background: #fff4e8; padding: .5rem 1.1rem; margin: .5rem 0; }
table { border-collapse: collapse; margin: .8rem 0; }
th, td { text-align: left; padding: .2rem 1.2rem .2rem 0; vertical-align: top; }
th + th, td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
tr + tr { border-top: 1px solid #eee; }
pre { background: #f3f3f3; padding: .8rem; white-space: pre-wrap; overflow-wrap: anywhere; }
figure { margin: 1rem 0; } svg { width: 100%; height: auto; } footer { margin-top: 2.5rem; color: #666; font-size: .85rem; }
"""


def document(title: str, sections: Iterable[str], source: str) -> str:
    """A document of sections of HTML under a heading; empty ones are left out. source: what is said of it at its foot."""
    footer = f"<footer>zkds {text(__version__)}. {text(source)}</footer>"
    body = "\n".join(section for section in (f"<h1>{text(title)}</h1>", *sections, footer) if section)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{text(POLICY)}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def heading(words: str, reason: str, kind: str) -> str:
    """The verdict. kind: "accepted", "rejected" or "none"."""
    return f'<div class="verdict {kind}"><strong>{text(words)}</strong><br>{text(reason)}</div>'


def warning(words: str) -> str:
    return f'<p class="warning">Warning: {text(words)}.</p>'


def text(value: object) -> str:
    return html.escape(str(value), quote=True)


def number(value: float) -> str:
    return f"{value:.4g}"


def table(rows: Iterable[Sequence[object]], head: Sequence[str] = ()) -> str:
    """Numbers and percentages are right-aligned; everything is escaped."""
    lines = ["<tr>" + "".join(f"<th>{text(name)}</th>" for name in head) + "</tr>"] if head else []
    lines += ["<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in rows]
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f'<td class="number">{number(value)}</td>'
    return f'<td class="number">{text(value)}</td>' if str(value).endswith("%") else f"<td>{text(value)}</td>"
