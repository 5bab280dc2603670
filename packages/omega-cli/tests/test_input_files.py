import os
from collections.abc import Callable
from pathlib import Path

import pytest

from omega_cli.account import Account
from omega_cli.input_files import STANDARD_INPUT, find_files


def png(path: Path) -> bool:
    return path.suffix == ".png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.png", "notes.txt", "deeper/a.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text(name)
    return tmp_path / "in"


def found(account: Account, *inputs: Path, wanted: Callable[[Path], bool] = png) -> list[str]:
    return [file.relative.as_posix() for file in find_files(inputs, wanted, account)]


def test_a_folder_is_searched_and_what_is_of_another_kind_is_left_out(folder: Path) -> None:
    account = Account()
    assert found(account, folder) == ["a.png", "b.png", "deeper/a.png"]
    assert account.failed == set()
    assert account.left_out == {str(folder / "notes.txt"): ("file of another kind", ".txt")}


def test_a_file_that_is_named_is_taken_whatever_its_name_and_once(folder: Path) -> None:
    assert found(Account(), folder / "notes.txt", folder / ".." / "in" / "notes.txt") == ["notes.txt"]


def test_a_file_that_is_named_and_lies_in_a_folder_that_is_named_is_taken_once(folder: Path) -> None:
    assert found(Account(), folder, folder / "a.png") == found(Account(), folder)


def test_standard_input_is_taken_for_a_file(folder: Path) -> None:
    first, second = find_files([STANDARD_INPUT, folder / "a.png"], png, Account())
    assert (first.source, first.identity) == (STANDARD_INPUT, None)
    assert second.source == folder / "a.png"


def test_links_that_lead_nowhere_or_to_themselves_are_errors_and_the_others_are_found(folder: Path) -> None:
    (folder / "broken.png").symlink_to(folder / "none.png")
    (folder / "self").symlink_to(folder / "self")
    account = Account()
    assert found(account, folder) == ["a.png", "b.png", "deeper/a.png"]
    assert account.failed == {str(folder / "broken.png"), str(folder / "self")}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_special_files_in_a_folder_are_left_out_and_named_ones_are_errors(folder: Path) -> None:
    os.mkfifo(folder / "c.png")
    (folder / "null.png").symlink_to(os.devnull)
    account = Account()
    assert found(account, folder) == ["a.png", "b.png", "deeper/a.png"]
    assert account.left_out == {
        str(folder / "c.png"): ("file for a device, pipe or socket", ""),
        str(folder / "null.png"): ("file for a device, pipe or socket", ""),
        str(folder / "notes.txt"): ("file of another kind", ".txt"),
    }
    assert found(account, folder / "c.png") == []
    assert account.failed == {str(folder / "c.png")}


def test_inputs_that_are_not_there_or_empty_are_errors_of_their_own(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    account = Account()
    assert found(account, tmp_path / "none", tmp_path / "empty", folder / "a.png") == ["a.png"]
    assert account.failed == {str(tmp_path / "none"), str(tmp_path / "empty")}
    assert capsys.readouterr().err.count("error: ") == 2


@pytest.mark.parametrize("mode", [0o000, 0o111, 0o444], ids=["nothing", "cannot be listed", "cannot be entered"])
def test_a_folder_that_cannot_be_read_is_one_error_and_the_rest_is_found(guarded: Path, mode: int) -> None:
    for name in ("a.png", "closed/b.png", "closed/c.png", "open/d.png"):
        (guarded / name).parent.mkdir(exist_ok=True)
        (guarded / name).touch()
    (guarded / "closed").chmod(mode)
    account = Account()
    assert found(account, guarded) == ["a.png", "open/d.png"]
    assert account.failed == {str(guarded / "closed")}
    (guarded / "closed").chmod(0o700)


def test_an_input_that_cannot_be_reached_is_an_error(guarded: Path) -> None:
    (guarded / "closed").mkdir()
    (guarded / "closed" / "a.png").touch()
    (guarded / "closed").chmod(0)
    account = Account()
    assert found(account, guarded / "closed" / "a.png", guarded / "closed") == []
    assert account.failed == {str(guarded / "closed" / "a.png"), str(guarded / "closed")}
    (guarded / "closed").chmod(0o700)
