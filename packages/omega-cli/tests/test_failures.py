import errno

import numpy as np
import pytest

from omega_cli.failures import is_foreign, is_memory, reason_of, stops_all
from omega_core.errors import ImageError, OutputError


def raised(problem: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise problem from cause
    except Exception as caught:
        return caught


def of_numpy() -> Exception:
    with pytest.raises(MemoryError) as caught:
        np.empty(1 << 60, np.uint8)
    return caught.value


def of_torch() -> Exception:
    torch = pytest.importorskip("torch")
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    return caught.value


@pytest.mark.parametrize(
    "problem",
    [
        MemoryError(),
        of_numpy(),
        of_torch(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        raised(ImageError("the picture is damaged: ."), MemoryError()),
    ],
    ids=["python", "numpy", "torch", "system", "gpu", "pillow"],
)
def test_memory_that_ran_out_is_told_whoever_needed_it(problem: Exception) -> None:
    assert reason_of(problem) == "not enough memory."
    assert is_memory(problem)
    assert not is_foreign(problem)


@pytest.mark.parametrize(
    ("problem", "reason", "foreign"),
    [
        (ImageError("it is\n bad."), "it is bad.", False),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), "No such file or directory.", False),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero.", True),
        (ValueError(), "ValueError.", True),
        (RuntimeError("a\nb"), "RuntimeError: a b.", True),
    ],
)
def test_a_reason_is_one_sentence(problem: Exception, reason: str, foreign: bool) -> None:
    assert (reason_of(problem), is_foreign(problem), is_memory(problem)) == (reason, foreign, False)


@pytest.mark.parametrize(
    ("number", "stops"), [(errno.ENOSPC, True), (errno.EROFS, True), (errno.ENAMETOOLONG, False), (errno.EISDIR, False)]
)
def test_a_full_disk_stops_everything_and_a_file_that_is_refused_does_not(number: int, stops: bool) -> None:
    cause = OSError(number, "so")
    assert stops_all(raised(OutputError("cannot write a."), cause)) == stops
    assert not stops_all(raised(ImageError("cannot read a."), cause))
