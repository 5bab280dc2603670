import random
import tracemalloc
from pathlib import Path, PurePath

import pytest

from omega_cli.account import Account
from omega_cli.input_files import Found
from omega_cli.output_names import Job, candidates, check_folder, distinct, plan_jobs
from omega_core.errors import OutputError


def names(*relative: str) -> dict[str, str | None]:
    """The output of each of some files in one folder."""
    return dict(zip(relative, distinct([candidates(PurePath(name), ".omega") for name in relative]), strict=True))


def test_outputs_have_the_names_of_their_files() -> None:
    assert names("a.png", "b.jpg", "d/a.png", "holiday.2.png", "c", ".e") == {
        "a.png": "a.omega",
        "b.jpg": "b.omega",
        "d/a.png": "d/a.omega",
        "holiday.2.png": "holiday.2.omega",
        "c": "c.omega",
        ".e": ".e.omega",
    }


def test_on_windows_names_that_it_does_not_allow_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = candidates(PurePath("shot 12:30.png"), ".omega")
    assert kept[0] == "shot 12:30.omega"
    monkeypatch.setattr("sys.platform", "win32")
    for name in ("shot 12:30.png", "nul.png"):
        found = candidates(PurePath(name), ".omega")
        assert found == candidates(PurePath(name), ".omega", for_pack=True)
        assert found[0] != name.replace("png", "omega")
        assert ":" not in "".join(found)


def test_files_of_one_stem_keep_their_suffixes() -> None:
    assert names("a.jpg", "a.png", "b.png") == {"a.jpg": "a.jpg.omega", "a.png": "a.png.omega", "b.png": "b.omega"}


def test_a_third_file_that_has_the_longer_name_of_another_gets_a_longer_one() -> None:
    assert names("a.jpg", "a.png", "a.jpg.png") == {
        "a.jpg": "a.jpg.omega",
        "a.png": "a.png.omega",
        "a.jpg.png": "a.jpg.png.omega",
    }


def test_a_file_does_not_take_the_name_of_a_folder() -> None:
    assert names("a.png", "a.omega/b.png") == {"a.png": "a.png.omega", "a.omega/b.png": "a.omega/b.omega"}


@pytest.mark.parametrize(
    "clash",
    [("a.png", "A.png"), ("a.png", "A.jpg"), ("é.png", "e\u0301.png"), ("D/a.png", "d/a.png"), ("ß.png", "SS.png")],
)
def test_outputs_are_different_where_case_or_normalization_do_not_count(clash: tuple[str, str]) -> None:
    from omega_core.names import folded

    outputs = names(*clash)
    assert len({folded(str(output)) for output in outputs.values()}) == 2


def test_the_longest_name_has_an_output_that_can_be_written(tmp_path: Path) -> None:
    long = ["x" * 251 + ".png", "x" * 251 + ".jpg", "ü" * 125 + ".png", "\udcff" * 251 + ".png"]
    for output in names(*long).values():
        assert output
        (tmp_path / output).touch()
    assert len(list(tmp_path.iterdir())) == 4


def test_names_do_not_depend_on_the_order_of_files_and_are_always_different() -> None:
    chance = random.Random(0)
    parts = ["a", "A", "a.png", "a.jpg", "b", "B.omega", "a.omega", "a.png.png"]
    for _ in range(300):
        files = list(
            {
                "/".join(chance.choices(parts, k=chance.randint(1, 3))) + chance.choice([".png", ".jpg", ""])
                for _ in range(chance.randint(1, 12))
            }
        )
        outputs = names(*files)
        chance.shuffle(files)
        assert names(*files) == outputs
        assert None not in outputs.values()
        keys = {str(output).casefold() for output in outputs.values()}
        assert len(keys) == len(files)
        assert not keys & {str(parent).casefold() for output in keys for parent in PurePath(output).parents}


def test_files_of_one_relative_path_from_different_inputs_are_errors_for_any_order(tmp_path: Path) -> None:
    found = [Found(Path(f"{n}/{name}"), PurePath(name), (1, n)) for n in (1, 2) for name in ("a.png", f"b{n}.png")]
    for order in (found, found[::-1]):
        account = Account()
        jobs = plan_jobs(order, tmp_path, ".omega", account)
        assert {job.target.name for job in jobs} == {"b1.omega", "b2.omega"}
        assert account.failed == {str(Path("1/a.png")), str(Path("2/a.png"))}


def test_an_input_is_no_target_by_any_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "a.omega").hardlink_to(tmp_path / "a.png")
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    status = (tmp_path / "a.png").stat()
    for output in (tmp_path, tmp_path / "link"):
        account = Account()
        found = [Found(tmp_path / "a.png", PurePath("a.png"), (status.st_dev, status.st_ino))]
        assert plan_jobs(found, output, ".omega", account) == []
        assert account.failed == {str(tmp_path / "a.png")}


def test_a_file_in_the_place_of_the_output_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check_folder(tmp_path / "not" / "there" / "yet")
    for folder in (tmp_path / "file", tmp_path / "file" / "deeper" / "still"):
        with pytest.raises(OutputError):
            check_folder(folder)


def test_a_job_has_its_source_as_name() -> None:
    assert Job(Path("a.png"), Path("a.omega")).names == ("a.png",)


def test_names_below_many_folders_take_little_memory() -> None:
    deep = [f"{number:04x}/" + "a/" * 1000 + "a" for number in range(256)]
    tracemalloc.start()
    found = distinct([[name] for name in deep])
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == deep
    assert most < 16 * sum(map(len, deep))
