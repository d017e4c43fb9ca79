"""What documents, code and tests refer to exists: sections of the specification, files, links; lines can be read."""

import re
from itertools import chain
from pathlib import Path

import pytest

from tests.harness.shell import ROOT

pytestmark = pytest.mark.any_kernels

FOLDERS = ("bench", "circuits", "docs", "native", "tests", "verifier", "zkds")
INDEX = ROOT / "docs/protocol.md"
PARTS = {path.name: path for path in (ROOT / "docs/specification").glob("*.md")}
DOCUMENTS = (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
SOURCES = [path for folder in FOLDERS for kind in ("py", "c", "h") for path in (ROOT / folder).rglob(f"*.{kind}")]
SPECIFICATION = (INDEX, *PARTS.values())
NARROW = (*SPECIFICATION, ROOT / "docs/fixed-point.md")
WIDTH = 120
NUMBERS = r"\d+(?:\.\d+)*"
LIST = rf"{NUMBERS}(?:(?:, |,? and |,? or | to ){NUMBERS})*"
NAMED = re.compile(rf"([\w/-]+\.md)`?(?:\]\([^)]*\))?,? sections? ({LIST})")
PLAIN = re.compile(rf"\bsections? ({LIST})")
LINK = re.compile(r"\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$", re.MULTILINE)
FILE = re.compile(rf"`((?:{'|'.join(FOLDERS)})/(?!results/)[\w./*{{}},-]*)`")


def prose(path):
    """The text without listings between fences and without the marks and breaks of comments and of lines."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"\s*\n(?:[ \t]*(?:#|//|\*|>))?[ \t]*", " ", text)


def headings(path):
    return re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL), re.MULTILINE)


def anchors(path):
    """As GitHub makes them from headings: lower case, no punctuation, hyphens for spaces; a number for repeated ones."""
    found = set()
    for heading in headings(path):
        words = re.sub(r"\]\([^)]*\)", "", heading)
        anchor = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        repeated = (f"{anchor}-{count}" for count in range(1, 100))
        found.add(next(name for name in chain((anchor,), repeated) if name not in found))
    return found


def sections(path):
    """The numbers of a document's headings: 16 of `## 16. Layers`, 16.3 of `### 16.3 Max pool`."""
    matches = (re.match(rf"({NUMBERS})\.? ", heading) for heading in headings(path))
    return [match[1] for match in matches if match]


def numbers(listed):
    """16 and 18, 20 of "16 and 18, 20"; 14, 15, 16 of "14 to 16"."""
    for run in re.split(r", |,? and |,? or ", listed):
        ends = run.split(" to ")
        yield from map(str, range(int(ends[0]), int(ends[-1]) + 1)) if all(map(str.isdigit, ends)) else ends


def unknown(listed, known):
    return [number for number in numbers(listed) if number not in known]


def test_every_section_stands_in_one_part():
    found = [number for path in PARTS.values() for number in sections(path)]
    assert len(found) == len(set(found))
    assert {str(number) for number in range(1, 22)} <= set(found)


def test_the_index_leads_to_every_section():
    text = INDEX.read_text(encoding="utf-8")
    leads = dict(re.findall(r"^\[(\d+)\]: specification/(\S+)$", text, re.MULTILINE))
    assert set(leads) == {number for path in PARTS.values() for number in sections(path) if "." not in number}
    for number, target in leads.items():
        name, _, anchor = target.partition("#")
        assert number in sections(PARTS[name]) and anchor.startswith(f"{number}-")
        assert f"][{number}]" in text


def test_references_to_sections_of_a_document_name_one_that_it_has():
    specified = {number for path in PARTS.values() for number in sections(path)}
    known = {path.name: set(sections(path)) for path in DOCUMENTS} | {INDEX.name: specified}
    wrong, count = [], 0
    for path in (*DOCUMENTS, *SOURCES):
        for name, listed in NAMED.findall(prose(path)):
            count += 1
            wrong += [(str(path.relative_to(ROOT)), name, n) for n in unknown(listed, known.get(Path(name).name, ()))]
    assert not wrong
    assert count > 30


def test_references_inside_the_specification_name_a_section():
    specified = {number for path in PARTS.values() for number in sections(path)}
    found = [(path.name, listed) for path in SPECIFICATION for listed in PLAIN.findall(prose(path))]
    assert not [(name, listed) for name, listed in found if unknown(listed, specified)]
    assert len(found) > 50


def test_links_between_documents_resolve():
    wrong, count = [], 0
    for path in DOCUMENTS:
        for match in LINK.findall(path.read_text(encoding="utf-8")):
            target = "".join(match)
            if re.match(r"[a-z]+:", target):
                continue
            count += 1
            name, _, anchor = target.partition("#")
            other = path.parent / name if name else path
            if not other.exists() or (anchor and anchor not in anchors(other)):
                wrong.append((str(path.relative_to(ROOT)), target))
    assert not wrong
    assert count > 30


def alternatives(name):
    """a/{b,c}.py stands for a/b.py and a/c.py."""
    before, brace, rest = name.partition("{")
    if not brace:
        return [name]
    inside, _, after = rest.partition("}")
    return [before + one + after for one in inside.split(",")]


def test_files_that_documents_name_exist():
    named = {(path.name, one) for path in DOCUMENTS for name in FILE.findall(prose(path)) for one in alternatives(name)}
    assert not [(document, name) for document, name in sorted(named) if not any(ROOT.glob(name.rstrip("/")))]
    assert len(named) > 30


@pytest.mark.parametrize("path", NARROW, ids=lambda path: path.name)
def test_lines_of_the_specification_can_be_read(path):
    lines = path.read_text(encoding="utf-8").split("\n")
    assert not [(number, len(line)) for number, line in enumerate(lines, 1) if len(line) > WIDTH]
