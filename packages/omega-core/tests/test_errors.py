"""Errors reach other processes with all that they say."""

import copy
import inspect
import pickle

import pytest

import omega_core.errors

ERRORS = [each for each in vars(omega_core.errors).values() if inspect.isclass(each) and issubclass(each, Exception)]
ARGUMENTS = {
    "path": "a.omega",
    "message": "a sentence.",
    "needed": 3,
    "allowed": 2,
    "intact": 7,
    "channels": (1, 2),
    "least_bytes": 9,
    "made_with": "01234567",
    "given": "89abcdef",
}
WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {n}": lambda error, n=n: pickle.loads(pickle.dumps(error, n)) for n in range(6)},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_is_pickled_and_copied_with_all_that_it_says(kind, way):
    arguments = inspect.signature(kind.__init__).parameters
    named = {name: ARGUMENTS[name] for name, each in arguments.items() if each.kind is each.KEYWORD_ONLY}
    error = kind(ARGUMENTS["path" if "path" in arguments else "message"], **named)
    error.add_note("while it was read")
    again = way(error)
    assert type(again) is kind
    assert str(again) == str(error)
    assert again.args == error.args
    assert vars(again) == vars(error)
    assert vars(again).items() >= named.items()
    assert getattr(again, "msg", None) == getattr(error, "msg", None)
