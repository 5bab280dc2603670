import os
from collections.abc import Callable
from pathlib import Path

import pytest

from omega_core.folders import FolderContents, counted_reasons, search_folder


def png(path: Path) -> bool:
    return path.suffix == ".png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.png", "notes.txt", "deeper/a.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text(name)
    return tmp_path / "in"


def search(folder: Path, wanted: Callable[[Path], bool] = png) -> tuple[list[str], FolderContents]:
    """The relative paths of the files that are found, and all that is found."""
    contents = search_folder(folder, wanted)
    return [file.relative.as_posix() for file in contents.files], contents


def left_out(contents: FolderContents, folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): noun for path, (noun, _) in contents.left_out.items()}


def test_subfolders_are_searched_and_what_is_of_another_kind_is_left_out(folder: Path) -> None:
    (folder / "README").touch()
    names, contents = search(folder)
    assert names == ["a.png", "b.png", "deeper/a.png"]
    assert contents.files[2].source == folder / "deeper" / "a.png"
    assert contents.unreadable == {}
    assert contents.left_out == {
        folder / "README": ("file of another kind", "without a suffix"),
        folder / "notes.txt": ("file of another kind", ".txt"),
    }


def test_a_link_to_a_file_is_followed_unless_the_file_is_taken_anyway(folder: Path) -> None:
    (folder / "0.png").symlink_to(folder / "notes.txt")
    (folder / "1.png").symlink_to(folder / "a.png")
    (folder / "2.png").symlink_to(folder / "notes.txt")
    names, contents = search(folder)
    assert names == ["0.png", "a.png", "b.png", "deeper/a.png"]
    link = "link to a file taken anyway"
    assert left_out(contents, folder) == {"1.png": link, "2.png": link, "notes.txt": "file of another kind"}


def test_hard_links_are_files_of_their_own(folder: Path) -> None:
    (folder / "c.png").hardlink_to(folder / "a.png")
    assert "c.png" in search(folder)[0]


def test_links_that_lead_nowhere_or_to_themselves_are_unreadable_and_the_others_are_found(folder: Path) -> None:
    (folder / "broken.png").symlink_to(folder / "none.png")
    (folder / "self").symlink_to(folder / "self")
    names, contents = search(folder)
    assert names == ["a.png", "b.png", "deeper/a.png"]
    assert set(contents.unreadable) == {folder / "broken.png", folder / "self"}


def test_linked_folders_are_followed_and_each_folder_is_searched_once(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "c").mkdir(parents=True)
    (tmp_path / "elsewhere" / "c" / "d.png").touch()
    (folder / "0").symlink_to(tmp_path / "elsewhere")
    (folder / "1").symlink_to(folder)  # a loop
    (folder / "2").symlink_to(folder / "deeper")
    (tmp_path / "elsewhere" / "back").symlink_to(folder)
    names, contents = search(folder)
    assert names == ["0/c/d.png", "a.png", "b.png", "deeper/a.png"]
    twice = "folder searched under another name"
    assert left_out(contents, folder) == {
        "0/back": twice, "1": twice, "2": twice, "notes.txt": "file of another kind",
    }  # fmt: skip


def test_links_among_many_folders_take_no_more_than_a_search_of_each(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number}").mkdir()
        for other in range(12):
            (tmp_path / f"{number}" / f"to {other}").symlink_to(tmp_path / f"{other}")
    (tmp_path / "0" / "a.png").touch()
    names, contents = search(tmp_path)
    assert names == ["0/a.png"]
    assert len(contents.left_out) == 144


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_special_files_are_left_out(folder: Path) -> None:
    os.mkfifo(folder / "c.png")
    (folder / "null.png").symlink_to(os.devnull)
    names, contents = search(folder)
    assert names == ["a.png", "b.png", "deeper/a.png"]
    assert sum("pipe" in noun for noun in left_out(contents, folder).values()) == 2


def test_what_another_command_did_not_finish_is_left_out(folder: Path) -> None:
    (folder / ".a.png.x7.part").touch()
    _, contents = search(folder, wanted=lambda _: True)
    assert left_out(contents, folder) == {".a.png.x7.part": "file left unfinished by another command"}


def test_a_file_that_cannot_be_looked_into_is_left_out(folder: Path) -> None:
    def refuse(path: Path) -> bool:
        if path.suffix == ".txt":
            raise PermissionError
        return True

    names, contents = search(folder, wanted=refuse)
    assert names == ["a.png", "b.png", "deeper/a.png"]
    assert contents.left_out == {folder / "notes.txt": ("file of unknown content", ".txt")}


def test_a_file_that_vanishes_during_the_search_is_unreadable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir
    with scan(folder) as entries:
        listed = list(entries)

    class Listing:
        def __enter__(self) -> list[os.DirEntry[str]]:
            (folder / "b.png").unlink(missing_ok=True)
            return listed

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(os, "scandir", lambda path: Listing() if Path(path) == folder else scan(path))
    names, contents = search(folder)
    assert names == ["a.png", "deeper/a.png"]
    assert set(contents.unreadable) == {folder / "b.png"}


def test_a_folder_that_is_not_there_is_unreadable(tmp_path: Path) -> None:
    names, contents = search(tmp_path / "none")
    assert names == []
    assert set(contents.unreadable) == {tmp_path / "none"}


def test_reasons_are_counted_with_their_details() -> None:
    kind, link = "file of another kind", "link to a file taken anyway"
    reasons = [(kind, ".txt"), (kind, ".txt"), (kind, ".heic"), (link, "")]
    assert counted_reasons(reasons) == "3 files of another kind (.txt 2, .heic 1), 1 link to a file taken anyway"
    many = counted_reasons([(kind, f".{number:02}") for number in range(11)])
    assert many.startswith("11 files of another kind (.00 1, ")
    assert many.endswith(".09 1, …)")
