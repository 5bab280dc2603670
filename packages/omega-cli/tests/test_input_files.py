import os
from pathlib import Path

import pytest
from typer import Exit

from omega_cli.input_files import STANDARD_INPUT, Job, exit_status, files, find_jobs, many
from omega_core.errors import OmegaError, OutputError


def png(path: Path) -> bool:
    return path.suffix == ".png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.png", "notes.txt", "deeper/a.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text(name)
    return tmp_path / "in"


def test_a_folder_is_searched_and_keeps_its_structure(folder: Path) -> None:
    out = Path("out")
    assert find_jobs([folder], out, ".omega", png) == [
        Job(folder / "a.png", out / "a.omega"),
        Job(folder / "b.png", out / "b.omega"),
        Job(folder / "deeper" / "a.png", out / "deeper" / "a.omega"),
    ]


def test_a_file_that_is_named_is_taken_whatever_its_name_and_once(folder: Path) -> None:
    named = folder / "notes.txt"
    assert find_jobs([named, named], Path("out"), ".omega", png) == [Job(named, Path("out/notes.omega"))]


def test_a_file_that_is_named_and_lies_in_a_folder_that_is_named_is_taken_once(folder: Path) -> None:
    assert find_jobs([folder, folder / "a.png"], Path("out"), ".omega", png) == find_jobs(
        [folder], Path("out"), ".omega", png
    )


def test_only_the_last_suffix_of_a_name_is_replaced(folder: Path) -> None:
    (folder / "holiday.2.png").touch()
    assert find_jobs([folder / "holiday.2.png"], Path("out"), ".omega", png)[0].target == Path("out/holiday.2.omega")


def test_standard_input_is_taken_for_a_file(folder: Path) -> None:
    assert files(STANDARD_INPUT, png) == [STANDARD_INPUT]
    assert [job.source for job in find_jobs([Path("-"), folder / "a.png"], Path("out"), ".png", png)] == [
        STANDARD_INPUT,
        folder / "a.png",
    ]


def test_links_to_files_are_followed_and_broken_ones_left_out(folder: Path) -> None:
    (folder / "link.png").symlink_to(folder / "notes.txt")
    (folder / "broken.png").symlink_to(folder / "none.png")
    assert [path.name for path in files(folder, png)] == ["a.png", "b.png", "a.png", "link.png"]
    with pytest.raises(OmegaError, match="no file or folder"):
        files(folder / "broken.png", png)


def test_inputs_that_are_not_there_empty_or_would_become_one_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(OmegaError, match="no file or folder"):
        find_jobs([tmp_path / "none"], Path("out"), ".omega", png)
    with pytest.raises(OmegaError, match="nothing in it"):
        find_jobs([folder], Path("out"), ".omega", lambda path: path.suffix == ".bmp")
    with pytest.raises(OutputError, match="would both become"):
        find_jobs([folder, folder / "deeper"], Path("out"), ".omega", png)


@pytest.mark.parametrize(("failed", "of", "status"), [(1, 3, 1), (3, 3, 2)])
def test_the_exit_status_tells_some_from_all(failed: int, of: int, status: int) -> None:
    with pytest.raises(Exit) as caught:
        exit_status(failed, of)
    assert caught.value.exit_code == status
    exit_status(0, of)


def test_what_is_to_be_read_is_not_written_over(folder: Path) -> None:
    with pytest.raises(OutputError, match="which is to be read"):
        find_jobs([folder], folder, ".png", png)


def test_what_is_to_be_read_is_not_written_over_by_another_name_of_its_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder, target_is_directory=True)
    with pytest.raises(OutputError, match="which is to be read"):
        find_jobs([folder], tmp_path / "link", ".png", png)


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(OmegaError, match="neither a file nor a folder"):
        find_jobs([tmp_path / "a.png"], Path("out"), ".omega", png)


@pytest.mark.parametrize(("count", "says"), [(0, "0 pictures"), (1, "1 picture"), (2, "2 pictures")])
def test_one_is_not_many(count: int, says: str) -> None:
    assert many(count, "picture") == says
