"""Options: what they are read off, how they are checked, and what they are from a command line."""

from collections.abc import Sequence
from typing import Any, Literal

import pytest

from omega_core.errors import ComponentError, OmegaDeprecationWarning
from omega_core.plugins.deprecation import renamed
from omega_core.plugins.options import NO_DEFAULT, Options, type_name


class Fancy:
    """A thing.

    channels: is given.
    levels, steps: how many there are,
        in two lines.
    mode: how.

    loose: is not told here any more
    """

    def __init__(
        self,
        *,
        channels: int,
        levels: int,
        steps: int = 3,
        share: float = 0.5,
        mode: Literal["fast", "slow"] = "fast",
        on: bool = False,
        name: str = "a",
        limit: float | None = None,
        sizes: list[int] | None = None,
        pair: tuple[float, ...] = (1.0, 2.0),
        any_of: Sequence[str] = (),
        free=7,
    ) -> None: ...


@pytest.fixture
def fancy() -> Options:
    return Options("quantizer", "fancy", Fancy, {"channels"})


def test_options_are_read_off_the_signature_and_the_docstring(fancy: Options) -> None:
    assert list(fancy.known) == [
        *("levels", "steps", "share", "mode", "on", "name", "limit", "sizes", "pair", "any_of", "free")
    ]
    assert fancy.known["levels"].default is NO_DEFAULT
    assert fancy.known["steps"].default == 3
    assert fancy.known["steps"].about == "how many there are, in two lines."
    assert fancy.known["mode"].about == "how."
    assert fancy.known["share"].about == ""
    assert fancy.known["any_of"].key == "any-of"


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("levels", "an integer"),
        ("share", "a number"),
        ("mode", "'fast' or 'slow'"),
        ("on", "true or false"),
        ("name", "a string"),
        ("limit", "none or a number"),
        ("sizes", "none or a list of an integer"),
        ("pair", "a list of a number"),
        ("free", "anything"),
    ],
)
def test_types_in_words(fancy: Options, option: str, words: str) -> None:
    assert type_name(fancy.known[option].type) == words


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("levels=8", 8),
        ("share=1", 1.0),
        ("share=1e-3", 1e-3),
        ("mode=slow", "slow"),
        ("on=true", True),
        ("on=False", False),
        ("name=none", "none"),
        ("name=a=b", "a=b"),
        ("limit=none", None),
        ("limit=2.5", 2.5),
        ("sizes=8,5,5", [8, 5, 5]),
        ("sizes=none", None),
        ("pair=1,2", (1.0, 2.0)),
        ("any-of=a, b", ["a", "b"]),
        ("free=3", 3),
        ("free=0.5", 0.5),
        ("free=true", True),
        ("free=word", "word"),
    ],
)
def test_a_text_becomes_a_value_of_the_type(fancy: Options, text: str, value: object) -> None:
    [(name, parsed)] = fancy.parsed([text]).items()
    assert (parsed, type(parsed)) == (value, type(value))
    assert fancy.checked({name: parsed}) == {name: value}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("levels=many", "the option levels of the quantizer 'fancy' has to be an integer, not 'many'."),
        ("levels=1.5", "has to be an integer, not '1.5'"),
        ("mode=quick", "has to be 'fast' or 'slow', not 'quick'"),
        ("on=1", "has to be true or false, not '1'"),
        ("limit=high", "has to be none or a number, not 'high'"),
        ("limit=inf", "has to be none or a number, not 'inf'"),
        ("share=nan", "has to be a number, not 'nan'"),
        ("sizes=1,b", "has to be none or a list of an integer, not '1,b'"),
        ("level=3", "has no option 'level'. Did you mean 'levels'? Its options: levels, steps, share, mode"),
        ("channels=3", "has no option 'channels'"),
        ("levels", "an option is name=value, such as levels=8, not 'levels'."),
    ],
)
def test_a_text_that_does_not_fit_is_named(fancy: Options, text: str, message: str) -> None:
    with pytest.raises(ComponentError) as raised:
        fancy.parsed([text])
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": "8"}, "the option levels of the quantizer 'fancy' has to be an integer, not '8'."),
        ({"levels": True}, "has to be an integer, not True"),
        ({"on": 1}, "has to be true or false, not 1"),
        ({"sizes": [1, "2"]}, "has to be none or a list of an integer, not [1, '2']"),
        ({"mode": "quick"}, "has to be 'fast' or 'slow', not 'quick'"),
        ({"share": float("inf")}, "has to be a number, not inf"),
        ({"share": float("nan")}, "has to be a number, not nan"),
        ({"share": 10**400}, "has to be a number, not 1000"),
    ],
)
def test_a_value_of_another_type_is_named(fancy: Options, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ComponentError) as raised:
        fancy.checked(options)
    assert message in str(raised.value)


def test_whole_numbers_are_numbers_and_lists_become_tuples(fancy: Options) -> None:
    checked = fancy.checked({"share": 1, "pair": [1, 2], "any-of": ["a"]})
    assert checked == {"share": 1.0, "pair": (1.0, 2.0), "any_of": ["a"]}
    assert type(checked["share"]) is float


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ({"any_of": [], "any-of": []}, "as any_of and as any-of"),
        ({"any-of": [], "any_of": []}, "as any-of and as any_of"),
    ],
)
def test_an_option_under_two_names_is_given_twice(fancy: Options, options: dict[str, Any], keys: str) -> None:
    with pytest.raises(ComponentError) as raised:
        fancy.checked(options)
    assert str(raised.value) == f"the option any-of of the quantizer 'fancy' is given twice: {keys}."
    with pytest.raises(ComponentError, match=f"is given twice: {keys}"):
        fancy.parsed([f"{key}=a" for key in options])
    assert fancy.parsed(["any-of=a", "any-of=b"]) == {"any_of": ["b"]}


def test_a_former_name_of_an_option_works_and_warns() -> None:
    class Renamed:
        @renamed("steps", "levels", since="0.3")
        def __init__(self, *, channels: int, levels: int = 3) -> None:
            self.levels = levels

    options = Options("quantizer", "mine", Renamed, {"channels"})
    assert list(options.known) == ["levels"]
    with pytest.warns(OmegaDeprecationWarning, match="the option steps of the quantizer 'mine' is deprecated since"):
        assert options.checked({"steps": 5}) == {"levels": 5}
    for both in ({"steps": 5, "levels": 4}, {"levels": 4, "steps": 5}):
        with pytest.warns(OmegaDeprecationWarning), pytest.raises(ComponentError, match=r"levels .* is given twice"):
            options.checked(both)
    with pytest.warns(
        OmegaDeprecationWarning, match=r"steps is deprecated since version 0\.3; use levels\."
    ) as type_name:
        assert Renamed(channels=1, steps=4).levels == 4  # type: ignore[call-arg]
    assert type_name[0].filename == __file__
    assert Renamed(channels=1, levels=2).levels == 2
    with pytest.raises(TypeError, match="steps is the former name of levels: both were given"):
        Renamed(channels=1, steps=4, levels=4)  # type: ignore[call-arg]
