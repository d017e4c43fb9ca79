"""JSON is read with one meaning, and refused by name before it costs much."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkds.circuits.model_files.strict_json import MAX_DEPTH, MAX_VALUES, fields, integer, one_of, read_json, shown, union

pytestmark = pytest.mark.any_kernels

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_what_other_readers_write_is_read(value, ascii_only):
    assert read_json(json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"), "f") == value


@given(st.text(alphabet='[]{}",:\\ 1au\n', max_size=40))
def test_what_other_readers_refuse_is_refused(text):
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError, match="f: "):
            read_json(text.encode(), "f")
    else:
        try:
            assert read_json(text.encode(), "f") == expected
        except ValueError as error:
            assert "twice" in str(error)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a": 1, "b": {"c": 1, "c": 1}}', "f: the name c stands twice in one object"),
        (b'{"\\u0061": 1, "a": 1}', "f: the name a stands twice in one object"),
        (b'{"\\u001b[1m": 1, "\\u001b[1m": 1}', "f: the name (a name of other than 1 to 100 printable letters) stands twice"),
        (b"[NaN]", "f: expected finite numbers"),
        (b"[-Infinity]", "f: expected finite numbers"),
        (b"1e400", "f: expected finite numbers"),
        (b"9223372036854775808", "f: expected integers of 64 bits"),
        (b"-" + b"9" * 5000, "f: expected integers of 64 bits"),
        (b"\xff", "f: 'utf-8' codec can't decode"),
        (b"\xef\xbb\xbf1", "f: Unexpected UTF-8 BOM"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), f"f: expected at most {MAX_DEPTH} values within each other"),
        (b"[" * 100000, f"f: expected at most {MAX_DEPTH} values within each other"),
        (b"[" + b"0," * MAX_VALUES + b"0]", f"f: expected at most {MAX_VALUES} values"),
        (b'{"a": ["' + b"\\\\" * 99 + b'"], "b": ' + b"{" * MAX_DEPTH, f"f: expected at most {MAX_DEPTH} values"),
        (b"", "f: Expecting value"),
    ],
)
def test_refusals(data, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        read_json(data, "f")


def test_signs_in_strings_are_no_structure():
    value = {"a": '"' * 50 + "[" * 500 + "\\" * 7 + "," * 500, "\\": "{", "b\\": [1]}
    assert read_json(json.dumps(value).encode(), "f") == value


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda: fields({"a": 1}, "here", "a b"), "here: expected a field b"),
        (lambda: fields({"a": 1, "z": 2}, "here", "", "a"), "here: unknown field z"),
        (lambda: fields([], "here", ""), "here: expected an object"),
        (lambda: union({}, "here"), "here: expected one field, got 0"),
        (lambda: integer(True, "here"), "here: expected an integer"),
        (lambda: one_of(1, "here", (True, "x")), "here: expected True or x"),
    ],
)
def test_values_at_a_place(read, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        read()


def test_names_are_shown_only_if_they_are_short_and_printable():
    assert shown("conv1.weight") == "conv1.weight"
    assert "\n" not in shown("a\nb") and len(shown("x" * 1000)) < 100 and "printable" in shown(7)
