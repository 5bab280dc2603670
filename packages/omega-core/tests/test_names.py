import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega_core.names import folded, portable, printable, shortened

# by code points of their own choice, so that a character that the code forgets is noticed here
OBEYED = [chr(c) for c in [*range(32), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]]


@pytest.mark.parametrize("character", [*OBEYED, "\u061c", "\u200e", "\u200f", "\u2028", "\u2029", "\udcff"])
def test_what_a_terminal_obeys_is_escaped_as_in_json(character):
    assert printable(f"a{character}b") == f"a\\u{ord(character):04x}b"
    assert json.loads(printable(json.dumps(f"a{character}", ensure_ascii=False))) == f"a{character}"


@pytest.mark.parametrize("text", ["a b", "ünï/日本", "👩‍👩‍👧", "می‌خواهم", "a\\b", "\xa0\u3000", ""])
def test_other_text_is_printed_as_it_is(text):
    assert printable(text) == text


def test_line_feeds_can_be_kept():
    assert printable("a\nb\tc\x1b", keep="\n\t") == "a\nb\tc\\u001b"


@given(st.text().filter(lambda text: "" not in text.split("/")))
def test_a_portable_name_has_as_many_parts_is_valid_everywhere_and_stays_as_it_is(name):
    safe = portable(name)
    assert portable(safe) == safe == printable(safe)
    assert safe.encode()
    assert safe.count("/") == name.count("/")
    for part in safe.split("/"):
        assert part not in ("", ".", "..")
        assert part[-1] not in ". "
        assert not set(part) & set('<>:"|?*\\')
        assert len(part.encode()) <= 200


@pytest.mark.parametrize(
    "name", ["con", "NUL.txt", "Aux.tar.gz", "lpt9", "COM¹", "conin$", "prn .a", "d/CON", "con/d", "..", "a.", "d /x"]
)
def test_what_means_something_else_on_some_system_is_escaped(name):
    assert portable(name) != name
    assert portable(name).count("%") == 1


@pytest.mark.parametrize("name", ["a", "a b/c", "console", "com", "com10", "ü/日本", "100%", ".a", "-a", "~", "con-"])
def test_usual_names_are_portable(name):
    assert portable(name) == name


@given(st.text(min_size=1), st.integers(20, 60))
def test_long_names_are_shortened_and_stay_different(part, most):
    short = shortened(part, most)
    assert len(short.encode("utf-8", "replace")) <= most
    assert (short == part) == (len(part.encode("utf-8", "replace")) <= most)
    long = part + "x" * 60
    assert shortened(f"{long}1", most) != shortened(f"{long}2", most)


@pytest.mark.parametrize(("one", "other"), [("a/B", "A/b"), ("é", "e\u0301"), ("É", "e\u0301"), ("ß", "SS")])
def test_names_that_are_one_where_case_or_normalization_do_not_count_are_folded_to_one(one, other):
    assert folded(one) == folded(other)
    assert folded(one) != folded(one + "x")
