import os
from pathlib import Path

import pytest
from typer import Exit

from omega_cli.jobs import Job, carry_out, exit_status, find_jobs
from omega_core.errors import ImageError, OmegaError, OutputError


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


def test_inputs_that_are_not_there_empty_or_would_become_one_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(OmegaError, match="no file or folder"):
        find_jobs([tmp_path / "none"], Path("out"), ".omega", png)
    with pytest.raises(OmegaError, match="nothing in it"):
        find_jobs([folder], Path("out"), ".omega", lambda path: path.suffix == ".bmp")
    with pytest.raises(OutputError, match="would both become"):
        find_jobs([folder, folder / "deeper"], Path("out"), ".omega", png)


def test_a_source_that_fails_does_not_stop_the_others(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def make(source: Path) -> bytes:
        if source.name == "b.png":
            raise ImageError("this is not a picture that can be read.")
        return source.read_bytes() * 2

    work = find_jobs([folder], tmp_path / "out", ".omega", png)
    assert carry_out(work, "picture", make) == 1
    assert capsys.readouterr().err == f"error: {folder / 'b.png'}: this is not a picture that can be read.\n"
    written = {str(p.relative_to(tmp_path / "out")): p.read_text() for p in (tmp_path / "out").rglob("*.*")}
    assert written == {"a.omega": "a.pnga.png", "deeper/a.omega": "deeper/a.pngdeeper/a.png"}


@pytest.mark.parametrize(("failed", "of", "status"), [(1, 3, 1), (3, 3, 2)])
def test_the_exit_status_tells_some_from_all(failed: int, of: int, status: int) -> None:
    with pytest.raises(Exit) as caught:
        exit_status(failed, of)
    assert caught.value.exit_code == status
    exit_status(0, of)


def test_what_is_to_be_read_is_not_written_over(folder: Path) -> None:
    with pytest.raises(OutputError, match="which is to be read"):
        find_jobs([folder], folder, ".png", png)


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(OmegaError, match="neither a file nor a folder"):
        find_jobs([tmp_path / "a.png"], Path("out"), ".omega", png)
