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


def left_out(account: Account, folder: Path) -> dict[str, str]:
    return {Path(name).relative_to(folder).as_posix(): reason for name, (reason, _) in account.left_out.items()}


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


def test_a_link_to_a_file_is_followed_unless_the_file_is_taken_anyway(folder: Path) -> None:
    (folder / "0.png").symlink_to(folder / "notes.txt")
    (folder / "1.png").symlink_to(folder / "a.png")
    (folder / "2.png").symlink_to(folder / "notes.txt")
    account = Account()
    assert found(account, folder) == ["0.png", "a.png", "b.png", "deeper/a.png"]
    link = "link to a file taken anyway"
    assert left_out(account, folder) == {"1.png": link, "2.png": link, "notes.txt": "file of another kind"}


def test_hard_links_are_files_of_their_own(folder: Path) -> None:
    (folder / "c.png").hardlink_to(folder / "a.png")
    assert "c.png" in found(Account(), folder)


def test_links_that_lead_nowhere_or_to_themselves_are_errors_and_the_others_are_found(folder: Path) -> None:
    (folder / "broken.png").symlink_to(folder / "none.png")
    (folder / "self").symlink_to(folder / "self")
    account = Account()
    assert found(account, folder) == ["a.png", "b.png", "deeper/a.png"]
    assert account.failed == {str(folder / "broken.png"), str(folder / "self")}


def test_linked_folders_are_followed_and_each_folder_is_searched_once(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "c").mkdir(parents=True)
    (tmp_path / "elsewhere" / "c" / "d.png").touch()
    (folder / "0").symlink_to(tmp_path / "elsewhere")
    (folder / "1").symlink_to(folder)  # a loop
    (folder / "2").symlink_to(folder / "deeper")
    (tmp_path / "elsewhere" / "back").symlink_to(folder)
    account = Account()
    assert found(account, folder) == ["0/c/d.png", "a.png", "b.png", "deeper/a.png"]
    twice = "folder searched under another name"
    assert left_out(account, folder) == {
        "0/back": twice, "1": twice, "2": twice, "notes.txt": "file of another kind",
    }  # fmt: skip


def test_links_among_many_folders_take_no_more_than_a_search_of_each(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number}").mkdir()
        for other in range(12):
            (tmp_path / f"{number}" / f"to {other}").symlink_to(tmp_path / f"{other}")
    (tmp_path / "0" / "a.png").touch()
    account = Account()
    assert found(account, tmp_path) == ["0/a.png"]
    assert len(account.left_out) == 144


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_special_files_in_a_folder_are_left_out_and_named_ones_are_errors(folder: Path) -> None:
    os.mkfifo(folder / "c.png")
    (folder / "null.png").symlink_to(os.devnull)
    account = Account()
    assert found(account, folder) == ["a.png", "b.png", "deeper/a.png"]
    assert sum("pipe" in reason for reason in left_out(account, folder).values()) == 2
    assert found(account, folder / "c.png") == []
    assert account.failed == {str(folder / "c.png")}


def test_what_another_command_did_not_finish_is_left_out(folder: Path) -> None:
    (folder / ".a.png.x7.part").touch()
    account = Account()
    found(account, folder, wanted=lambda _: True)
    assert left_out(account, folder) == {".a.png.x7.part": "file unfinished by another command"}


def test_inputs_that_are_not_there_or_empty_are_errors_of_their_own(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    account = Account()
    assert found(account, tmp_path / "none", tmp_path / "empty", folder / "a.png") == ["a.png"]
    assert account.failed == {str(tmp_path / "none"), str(tmp_path / "empty")}
    assert capsys.readouterr().err.count("error: ") == 2


def test_a_file_that_cannot_be_looked_into_is_left_out(folder: Path) -> None:
    def refuse(path: Path) -> bool:
        if path.suffix == ".txt":
            raise PermissionError
        return True

    account = Account()
    assert found(account, folder, wanted=refuse) == ["a.png", "b.png", "deeper/a.png"]
    assert left_out(account, folder) == {"notes.txt": "file of unknown content"}


def test_a_file_that_vanishes_while_a_folder_is_searched_is_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan, account = os.scandir, Account()
    with scan(folder) as entries:
        listed = list(entries)

    class Listing:
        def __enter__(self) -> list[os.DirEntry[str]]:
            (folder / "b.png").unlink(missing_ok=True)
            return listed

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(os, "scandir", lambda path: Listing() if Path(path) == folder else scan(path))
    assert found(account, folder) == ["a.png", "deeper/a.png"]
    assert account.failed == {str(folder / "b.png")}


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
