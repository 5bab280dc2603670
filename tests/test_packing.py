"""Packs: many pictures of a folder in one file, and everything that is done with it."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

import omega_core
from omega_core.format.packs import Pack, parse, read_index
from omega_entropy import RangeCoder

Run = Callable[..., subprocess.CompletedProcess[str]]
GRAY = [f"{folder}{number:02}" for folder in ("", "deeper/", "ünï/") for number in range(30)]


@pytest.fixture(scope="module")
def model(untrained: Callable[..., Path]) -> Path:
    """One that takes pictures of any size."""
    return untrained(channels=8, symbols=16, latent=8, width=4)


def paint(path: Path, mode: str, width: int, height: int, **options: object) -> None:
    noise = np.random.default_rng(width * height).integers(0, 256, (height // 4 + 1, width // 4 + 1, 4), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise).resize((width, height)).convert(mode).save(path, **options)


@pytest.fixture(scope="module")
def gray(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 90 small gray pictures of one size: two blocks."""
    folder = tmp_path_factory.mktemp("pictures") / "gray"
    for number, name in enumerate(GRAY):
        pixels = np.random.default_rng(number).integers(0, 256, (16, 16), np.uint8)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures of all modes and many sizes, some with a color profile."""
    folder = tmp_path_factory.mktemp("pictures") / "mixed"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for number, mode in enumerate(("L", "RGB", "RGBA", "LA") * 3):
        paint(folder / f"{number % 2}" / f"{number:02}.png", mode, 20 + 9 * number, 50 - 4 * number)
    for number in (1, 2):
        paint(folder / f"profile {number}.png", "RGB", 30 * number, 30, icc_profile=profile)
    paint(folder / "tiny.png", "RGB", 1, 1)
    return folder


def written(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def well(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    assert (done.returncode, done.stderr) == (0, "")
    return done


def complaint(done: subprocess.CompletedProcess[str], status: int = 2) -> str:
    """The one line in which a command says what is wrong."""
    assert done.returncode == status, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: ")
    return done.stderr


@pytest.fixture
def pack(omega_here: Run, model: Path, tmp_path: Path) -> Callable[..., Path]:
    """Makes the pack of a folder."""

    def make(folder: Path, *options: object) -> Path:
        output = tmp_path / "packs"
        well(omega_here("compress", folder, "--output", output, "--model", model, "--pack", "--overwrite", *options))
        return output / f"{folder.name}.omega"

    return make


@pytest.fixture
def unpacked(omega_here: Run, model: Path, tmp_path: Path) -> Callable[..., dict[str, bytes]]:
    """Decompresses files into a folder and returns what is in it."""

    def make(*arguments: object, into: str = "unpacked") -> dict[str, bytes]:
        well(omega_here("decompress", *arguments, "--output", tmp_path / into, "--model", model))
        return written(tmp_path / into)

    return make


@pytest.fixture
def about(omega_here: Run) -> Callable[[Path], dict[str, Any]]:
    def facts(path: Path) -> dict[str, Any]:
        return dict(json.loads(well(omega_here("info", path, "--json")).stdout))

    return facts


@pytest.mark.parametrize("folder", ["gray", "mixed"])
def test_a_pack_decompresses_to_what_single_files_decompress_to(
    omega_here: Run, model: Path, tmp_path: Path, request: pytest.FixtureRequest, pack: Any, unpacked: Any, folder: str
) -> None:
    pictures = request.getfixturevalue(folder)
    done = well(omega_here("compress", pictures, "--output", tmp_path / "single" / folder, "--model", model))
    assert done.stdout.startswith(f"{len(written(pictures))} pictures, ")
    from_pack, from_files = unpacked(pack(pictures)), unpacked(tmp_path / "single", into="files")
    assert set(from_pack) == {f"{folder}/{name}" for name in written(pictures)}
    assert from_pack == from_files
    single = sum(map(len, written(tmp_path / "single").values()))
    assert (tmp_path / "packs" / f"{folder}.omega").stat().st_size < single


def test_the_summary_of_a_pack_is_of_its_own_size(omega_here: Run, model: Path, gray: Path, tmp_path: Path) -> None:
    done = well(omega_here("compress", gray, "--output", tmp_path, "--model", model, "--pack"))
    size, before = (tmp_path / "gray.omega").stat().st_size, sum(map(len, written(gray).values()))
    sizes = f"{before:,} → {size:,} bytes ({8 * size / 90 / 256:.2f} bpp)"
    assert done.stdout == f"90 pictures, {sizes}, in {tmp_path / 'gray.omega'}\n"
    assert list(written(tmp_path)) == ["gray.omega"]
    done = well(omega_here("decompress", tmp_path, "--output", tmp_path / "d", "--model", model))
    assert done.stdout == f"90 pictures in {tmp_path / 'd'}\n"


def test_info_tells_what_is_in_a_pack(
    omega_here: Run, model: Path, mixed: Path, tmp_path: Path, pack: Any, about: Any
) -> None:
    file = pack(mixed)
    facts = about(file)
    assert (facts["kind"], facts["pictures"], facts["complete"]) == ("pack", 15, True)
    assert facts["mode"] == "L, LA, RGB, RGBA"
    assert facts["blocks"] == 5  # one for each mode, and one for RGB with a profile
    assert facts["model"] == about(model)["fingerprint"][:8]
    assert facts["bytes"] == file.stat().st_size
    assert sorted(f"{name}.png" for name in facts["names"]) == sorted(written(mixed))
    rows = dict(line.split(maxsplit=1) for line in well(omega_here("info", file)).stdout.splitlines())
    assert (rows["kind"], rows["pictures"]) == ("pack", "15")
    assert set(rows["names"].split(", ")) == set(facts["names"])
    (row,) = well(omega_here("info", tmp_path / "packs")).stdout.splitlines()
    assert row.startswith("mixed.omega: pack, 15 pictures ")


def test_a_pack_of_one_picture_is_named_after_it(
    omega_here: Run, model: Path, gray: Path, tmp_path: Path, about: Any, unpacked: Any
) -> None:
    well(omega_here("compress", gray / "07.png", "--output", tmp_path, "--model", model, "--pack"))
    assert about(tmp_path / "07.omega")["names"] == ["07"]
    assert list(unpacked(tmp_path / "07.omega")) == ["07/07.png"]


def test_several_inputs_become_one_pack_named_after_the_first(
    omega_here: Run, model: Path, gray: Path, mixed: Path, tmp_path: Path, about: Any
) -> None:
    well(omega_here("compress", mixed, gray, "--output", tmp_path, "--model", model, "--pack"))
    assert list(written(tmp_path)) == ["mixed.omega"]
    names = {f"{name}.png" for name in about(tmp_path / "mixed.omega")["names"]}
    assert names == {*written(mixed), *written(gray)}


def test_the_folder_in_which_one_is_has_a_name_too(
    omega_here: Run, model: Path, gray: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(gray)
    well(omega_here("compress", ".", "--output", tmp_path, "--model", model, "--pack"))
    assert list(written(tmp_path)) == ["gray.omega"]


def test_two_pictures_of_one_stem_keep_their_suffixes_in_a_pack(
    omega_here: Run, model: Path, tmp_path: Path, about: Any
) -> None:
    for name in ("a.png", "a.bmp"):
        paint(tmp_path / "in" / name, "L", 20, 20)
    well(omega_here("compress", tmp_path / "in", "--output", tmp_path / "o", "--model", model, "--pack"))
    assert about(tmp_path / "o" / "in.omega")["names"] == ["a.bmp", "a.png"]


@pytest.mark.parametrize("rate", [("--channels", 3), ("--fraction", 0.375)])
def test_a_pack_has_as_many_channels_as_asked_for(
    model: Path, mixed: Path, pack: Any, unpacked: Any, about: Any, rate: Any
) -> None:
    file, loaded = pack(mixed, *rate), omega_core.load_model(model)
    assert not about(file)["complete"]
    assert len(unpacked(file)) == 15
    for block, names in Pack.parse(file.read_bytes()).blocks:
        sizes = [loaded.codec.architecture.latent_size(*size) for size in block.header.sizes]
        found = loaded.file_codec.decode(block.stream, RangeCoder(), sizes, complete=False)
        for symbols, name in zip(found, names, strict=True):
            assert np.array_equal(symbols[:3], loaded.encode(mixed / f"{name}.png").symbols[:3])


@pytest.mark.parametrize("folder", ["gray", "mixed"])
def test_a_pack_has_as_many_bytes_as_its_budget_allows(
    tmp_path: Path, request: pytest.FixtureRequest, pack: Any, about: Any, folder: str
) -> None:
    pictures = request.getfixturevalue(folder)
    whole, least = pack(pictures).read_bytes(), pack(pictures, "--channels", 1).stat().st_size
    blocks, size, pixels = about(tmp_path / "packs" / f"{folder}.omega")["blocks"], len(whole), 0
    for path in pictures.rglob("*.png"):
        with Image.open(path) as picture:
            pixels += picture.width * picture.height
    for budget in (least, (least + size) // 2, size - 1, size, 10 * size):
        data = pack(pictures, "--max-bytes", budget).read_bytes()
        assert min(budget, size) - 2 * blocks <= len(data) <= budget
        assert data == omega_core.truncate(whole, max_bytes=budget)
        assert pack(pictures, "--bpp", 8 * (budget + 0.5) / pixels).read_bytes() == data
        assert about(tmp_path / "packs" / f"{folder}.omega")["complete"] == (budget >= size)


def test_a_budget_that_is_too_small_for_a_pack_is_refused(
    omega_here: Run, model: Path, gray: Path, tmp_path: Path
) -> None:
    for rate in (("--max-bytes", 100), ("--bpp", 0.01)):
        done = omega_here("compress", gray, "--output", tmp_path / "o", "--model", model, "--pack", *rate)
        assert "are not enough: the smallest file takes" in complaint(done)
    assert not (tmp_path / "o").exists()


def test_a_pack_of_a_quality_is_refused(omega_here: Run, model: Path, gray: Path, tmp_path: Path) -> None:
    done = omega_here("compress", gray, "--output", tmp_path / "o", "--model", model, "--pack", "--psnr", 20)
    assert "--psnr does not work with --pack" in complaint(done)
    assert not (tmp_path / "o").exists()


def test_alpha_and_profiles_are_dropped_from_a_pack_too(mixed: Path, pack: Any, about: Any) -> None:
    assert about(pack(mixed, "--alpha", "drop"))["mode"] == "L, RGB"
    assert about(pack(mixed, "--alpha", "drop"))["blocks"] == 3
    assert about(pack(mixed, "--alpha", "drop", "--icc", "drop"))["blocks"] == 2


def test_a_pack_is_shortened_to_a_number_of_bytes(
    omega_here: Run, mixed: Path, tmp_path: Path, pack: Any, unpacked: Any
) -> None:
    whole, short = pack(mixed), tmp_path / "short.omega"
    size = whole.stat().st_size
    for budget in (size - 1, size - 40):
        done = well(omega_here("truncate", whole, "--output", short, "--overwrite", "--max-bytes", budget))
        made = short.stat().st_size
        assert budget - len(list(mixed.rglob("*.png"))) <= made <= budget
        assert done.stdout == f"{size:,} → {made:,} bytes, in {short}\n"
        assert len(unpacked(short, into=f"short-{budget}")) == len(list(mixed.rglob("*.png")))
    refused = omega_here("truncate", whole, "--output", tmp_path / "none.omega", "--max-bytes", 20)
    assert "are not enough" in complaint(refused)
    assert not (tmp_path / "none.omega").exists()


def test_only_some_pictures_are_taken_out_of_a_pack(mixed: Path, gray: Path, pack: Any, unpacked: Any) -> None:
    whole = unpacked(pack(gray))
    for pattern, count in (("deeper/*", 30), ("*07", 3), ("07", 1), ("ünï/1?", 10), ("*", 90), ("[!a-z]*", 60)):
        some = unpacked(pack(gray), "--only", pattern, into=pattern.replace("/", "-").replace("*", "x"))
        assert len(some) == count
        assert some.items() <= whole.items()


def test_a_pack_without_such_a_name_is_an_error(
    omega_here: Run, model: Path, gray: Path, tmp_path: Path, pack: Any
) -> None:
    done = omega_here("decompress", pack(gray), "--output", tmp_path / "o", "--model", model, "--only", "none/*")
    assert "none of its 90 pictures has a name that matches 'none/*'" in done.stderr
    assert done.returncode == 2
    assert not (tmp_path / "o").exists()


def test_what_is_left_out_of_a_pack_need_not_be_whole(
    omega_here: Run, model: Path, gray: Path, tmp_path: Path, pack: Any, unpacked: Any
) -> None:
    """A block is read by itself: damage in one does not reach the others."""
    file, first = pack(gray), unpacked(pack(gray), "--only", "0*")
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(data)
    assert unpacked(file, "--only", "0*", into="again") == first
    done = omega_here("decompress", file, "--output", tmp_path / "all", "--model", model)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {file}: ")
    assert "the file is damaged" in done.stderr
    assert first.items() <= written(tmp_path / "all").items()

    file.write_bytes(data[:-100])
    done = omega_here("decompress", file, "--output", tmp_path / "short", "--model", model)
    assert done.returncode == 1
    assert "the pack is incomplete: 100 bytes of the block of" in done.stderr
    assert first.items() <= written(tmp_path / "short").items()


def test_a_pack_whose_index_is_damaged_is_named_and_others_are_done(
    omega_here: Run, model: Path, gray: Path, mixed: Path, tmp_path: Path, pack: Any
) -> None:
    file = pack(gray)
    pack(mixed)
    data = bytearray(file.read_bytes())
    data[10] ^= 1
    file.write_bytes(data)
    done = omega_here("decompress", tmp_path / "packs", "--output", tmp_path / "o", "--model", model)
    assert f"error: {file}: the pack is damaged: the checksum of its index" in complaint(done, 1)
    assert done.stdout == f"15 pictures, 1 failed, in {tmp_path / 'o'}\n"
    assert len(written(tmp_path / "o")) == 15
    alone = ("decompress", file, "--output", tmp_path / "alone", "--model", model)
    for command in (alone, ("info", file), ("truncate", file, "--output", tmp_path / "o.omega", "--max-bytes", 17)):
        assert "the pack is damaged" in complaint(omega_here(*command))


def test_bad_pictures_are_named_and_the_pack_has_the_good_ones(
    omega_here: Run, model: Path, gray: Path, tmp_path: Path, about: Any
) -> None:
    shutil.copytree(gray, tmp_path / "gray")
    bad = [tmp_path / "gray" / name for name in ("05.png", "deeper/bad.png")]
    for path in bad:
        path.write_bytes(b"no picture")
    done = omega_here("compress", tmp_path / "gray", "--output", tmp_path / "o", "--model", model, "--pack")
    assert done.returncode == 1
    assert [line.partition(": this is not a picture")[0] for line in done.stderr.splitlines()] == [
        f"error: {path}" for path in bad
    ]
    assert done.stdout.startswith("89 pictures, ")
    assert done.stdout.endswith(f", 2 failed, in {tmp_path / 'o' / 'gray.omega'}\n")
    assert set(about(tmp_path / "o" / "gray.omega")["names"]) == {*GRAY} - {"05"}

    shutil.rmtree(tmp_path / "gray")
    bad[1].parent.mkdir(parents=True)
    bad[1].write_bytes(b"no picture")
    done = omega_here("compress", tmp_path / "gray", "--output", tmp_path / "none", "--model", model, "--pack")
    assert "deeper/bad.png" in complaint(done)
    assert not (tmp_path / "none").exists()


def test_a_picture_below_too_many_folders_is_named_and_the_pack_has_the_others(
    omega_here: Run, model: Path, gray: Path, tmp_path: Path
) -> None:
    deep = tmp_path / "in" / ("a/" * 70)
    deep.mkdir(parents=True)
    shutil.copy(next(gray.glob("*.png")), deep / "deep.png")
    shutil.copy(next(gray.glob("*.png")), tmp_path / "in" / "plain.png")
    done = omega_here("compress", tmp_path / "in", "--pack", "--output", tmp_path, "--model", model)
    assert done.returncode == 1
    assert "its name in a pack has more than 64 parts" in done.stderr
    with (tmp_path / "in.omega").open("rb") as file:
        assert [block.names for block in read_index(file)] == [("plain",)]


def test_pictures_that_a_model_does_not_take_are_left_out_of_a_pack(
    omega_here: Run, untrained: Callable[..., Path], tmp_path: Path, about: Any
) -> None:
    model = untrained("mnist", channels=4, symbols=16, latent=8)
    for name, mode, width in (("good", "L", 28), ("large", "L", 29), ("color", "RGB", 28)):
        paint(tmp_path / "in" / f"{name}.png", mode, width, 28)
    done = omega_here("compress", tmp_path / "in", "--output", tmp_path / "o", "--model", model, "--pack")
    assert done.returncode == 1
    assert [Path(line.split(": ")[1]).stem for line in done.stderr.splitlines()] == ["color", "large"]
    assert about(tmp_path / "o" / "in.omega")["names"] == ["good"]


def test_a_pack_that_is_there_already_is_skipped_if_so_asked(
    omega_here: Run, model: Path, gray: Path, tmp_path: Path, pack: Any
) -> None:
    file = pack(gray)
    data = file.read_bytes()
    compress = ("compress", gray, "--output", tmp_path / "packs", "--model", model, "--pack")
    assert well(omega_here(*compress, "--skip-existing")).stdout == f"0 pictures, 90 skipped, in {file}\n"
    assert f"{file} exists already" in complaint(omega_here(*compress))
    assert file.read_bytes() == data

    file.write_bytes(b"there already")
    assert f"{file} exists, but this is not a pack" in complaint(omega_here(*compress, "--skip-existing"))
    assert file.read_bytes() == b"there already"
    well(omega_here(*compress, "--overwrite"))
    assert file.read_bytes() == data


def test_pictures_that_a_pack_lacks_fail_again_if_it_stays(
    omega_here: Run, model: Path, gray: Path, tmp_path: Path
) -> None:
    shutil.copytree(gray, tmp_path / "gray")
    bad = tmp_path / "gray" / "05.png"
    good = bad.read_bytes()
    bad.write_bytes(b"no picture")
    compress = ("compress", tmp_path / "gray", "--output", tmp_path / "o", "--model", model, "--pack")
    assert omega_here(*compress).returncode == 1
    bad.write_bytes(good)
    done = omega_here(*compress, "--skip-existing")
    file = tmp_path / "o" / "gray.omega"
    assert f"error: {bad}: it is not in {file}, which exists; use --overwrite to make" in complaint(done, 1)
    assert done.stdout == f"0 pictures, 89 skipped, 1 failed, in {file}\n"


def test_pictures_of_a_pack_that_are_there_already_are_skipped_if_so_asked(
    omega_here: Run, model: Path, mixed: Path, tmp_path: Path, pack: Any, unpacked: Any
) -> None:
    decompress = ["decompress", pack(mixed), "--output", tmp_path / "unpacked", "--model", model, "--skip-existing"]
    whole = unpacked(pack(mixed))
    assert well(omega_here(*decompress)).stdout == f"0 pictures, 15 skipped, in {tmp_path / 'unpacked'}\n"
    (tmp_path / "unpacked" / "mixed" / "tiny.png").unlink()
    (tmp_path / "unpacked" / "mixed" / "0" / "00.png").write_bytes(b"there already")  # in another block
    well(omega_here(*decompress))
    now = written(tmp_path / "unpacked")
    assert now.pop("mixed/0/00.png") == b"there already"
    assert now.items() <= whole.items()
    assert len(now) == 14

    (tmp_path / "unpacked" / "mixed" / "tiny.png").unlink()
    refused = omega_here(*decompress[:-1])
    assert refused.returncode == 1
    assert {line.partition(" exists")[0].rpartition(": ")[2] for line in refused.stderr.splitlines()} == {
        str(tmp_path / "unpacked" / name) for name in {"mixed/0/00.png", *now} - {"mixed/tiny.png"}
    }
    assert written(tmp_path / "unpacked") == {**now, "mixed/0/00.png": b"there already"}


def test_a_pack_does_not_replace_a_file_that_goes_into_it(omega_here: Run, model: Path, tmp_path: Path) -> None:
    paint(tmp_path / "a.png", "L", 20, 20)
    named = (tmp_path / "a.png").rename(tmp_path / "a.omega")
    before = named.read_bytes()
    done = omega_here("compress", named, "--output", tmp_path, "--model", model, "--pack")
    assert "choose another folder" in complaint(done)
    assert named.read_bytes() == before


def test_a_pack_of_another_model_is_refused(
    omega_here: Run, untrained: Callable[..., Path], gray: Path, tmp_path: Path, pack: Any
) -> None:
    other = untrained(channels=8, symbols=8, latent=8, width=4)
    done = omega_here("decompress", pack(gray), "--output", tmp_path / "o", "--model", other)
    assert "made with the model" in done.stderr
    assert not (tmp_path / "o").exists()


@pytest.mark.job
def test_several_processes_make_the_pack_that_one_makes(
    omega: Run, model: Path, gray: Path, mixed: Path, tmp_path: Path
) -> None:
    for number in range(80):  # blocks that differ in how long they take
        paint(tmp_path / "in" / f"{number % 3}" / f"{number:02}.png", ("L", "RGBA")[number % 2], 20 + number, 100)
    (tmp_path / "in" / "1" / "bad.png").write_bytes(b"no picture")
    for workers in (1, 2):
        options = ("--model", model, "--workers", workers, "--quiet")  # slow machines show progress
        done = omega("compress", tmp_path / "in", gray, "--output", tmp_path / f"c{workers}", "--pack", *options)
        assert done.returncode == 1
        [line] = done.stderr.splitlines()
        assert line.startswith(f"error: {tmp_path / 'in' / '1' / 'bad.png'}: this is not a picture")
        done = omega("decompress", tmp_path / "c1", "--output", tmp_path / f"d{workers}", *options)
        assert (done.returncode, done.stderr) == (0, "")
    assert len(written(tmp_path / "d1")) == 170
    assert written(tmp_path / "c1") == written(tmp_path / "c2")
    assert written(tmp_path / "d1") == written(tmp_path / "d2")


@pytest.mark.parametrize(
    ("name", "packed"),
    [
        ("12:30", "12%3A30"),
        ("a\\b", "a%5Cb"),
        ("..", ".%2E"),
        ("\udcff", "%FF"),
        ("\x1b[31m", "%1B[31m"),
        ("\u202egnp.exe", "%E2%80%AEgnp.exe"),
        ("a\nb", "a%0Ab"),
        ("nul", "%6Eul"),
        ("CON.a", "%43ON.a"),
        ("a ", "a%20"),
        ("com1/x", "%63om1/x"),
        ("d./x", "d%2E/x"),
        ("A%3A", "A%3A"),
    ],
)
def test_a_name_that_is_not_portable_is_escaped_in_a_pack_and_the_picture_comes_back_under_it(
    omega_here: Run, model: Path, tmp_path: Path, about: Any, name: str, packed: str
) -> None:
    paint(tmp_path / "b.png", "RGB", 30, 20)
    (tmp_path / "in" / f"{name}.png").parent.mkdir(parents=True)
    (tmp_path / "b.png").rename(tmp_path / "in" / f"{name}.png")
    well(omega_here("compress", tmp_path / "in", "--output", tmp_path / "o", "--model", model, "--pack"))
    assert about(tmp_path / "o" / "in.omega")["names"] == [packed]
    well(omega_here("decompress", tmp_path / "o", "--output", tmp_path / "d", "--model", model))
    assert list(written(tmp_path / "d")) == [f"in/{packed}.png"]


STRANGE = [
    "\x1b]0;a\x07",
    "a\rb",
    "\u202ea",
    "nul.txt",
    "d /x",
    "a.png/b",
    "a",
    "A",
    "\u00e9",
    "e\u0301",
    "x" * 300,
    "-",
]


def test_a_pack_of_a_stranger_is_unpacked_to_different_portable_names_and_prints_no_control_characters(
    omega_here: Run, model: Path, tmp_path: Path, about: Any
) -> None:
    """Names that an encoder of somebody else wrote, as the format allows them."""
    paint(tmp_path / "a.png", "L", 20, 20)
    well(omega_here("compress", tmp_path / "a.png", "--output", tmp_path / "o", "--model", model))
    file = parse((tmp_path / "o" / "a.omega").read_bytes())
    pack = tmp_path / "p" / "...omega"  # whose folder must not be the one above, either
    pack.parent.mkdir()
    pack.write_bytes(Pack(tuple((file, (name,)) for name in STRANGE)).to_bytes())
    assert about(pack)["names"] == STRANGE
    done = well(omega_here("info", pack))
    assert not any(character in done.stdout for character in "\x1b\x07\r\u202e")
    assert len(done.stdout.splitlines()) == 11
    well(omega_here("decompress", pack, "--output", tmp_path / "d", "--model", model))
    names = list(written(tmp_path / "d"))
    assert len(names) == len({name.casefold() for name in names}) == len(STRANGE)
    assert all(name.startswith("...omega/") for name in names)
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "o", "p", "d"}
    assert not any(character in "".join(names) for character in "\x1b\x07\r\u202e")
    pack.write_bytes(pack.read_bytes()[:-60])
    done = omega_here("decompress", pack, "--output", tmp_path / "d", "--model", model, "--overwrite")
    assert done.returncode == 1
    assert not any(character in done.stderr for character in "\x1b\x07\r\u202e")


def test_what_is_wrong_with_all_pictures_is_said_of_each(omega_here: Run, model: Path, tmp_path: Path) -> None:
    for name in "ab":
        paint(tmp_path / "in" / f"{name}.png", "RGB", 30, 20)
    done = omega_here(
        "compress", tmp_path / "in", "--output", tmp_path / "o", "--model", model, "--pack", "--max-pixels", 599
    )
    assert done.returncode == 2
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == [
        str(tmp_path / "in" / f"{name}.png") for name in "ab"
    ]
    assert not (tmp_path / "o").exists()


def test_a_pack_that_could_be_made_under_a_limit_can_be_read_under_it(
    omega_here: Run, model: Path, tmp_path: Path
) -> None:
    for name in "ab":
        paint(tmp_path / "in" / f"{name}.png", "RGB", 40, 30)
    limit = ("--model", model, "--max-pixels", 1200)
    well(omega_here("compress", tmp_path / "in", "--output", tmp_path / "c", "--pack", *limit))
    well(omega_here("decompress", tmp_path / "c", "--output", tmp_path / "d", *limit))
    assert len(written(tmp_path / "d")) == 2


def test_a_pack_and_a_file_with_a_picture_of_one_name_get_names_of_their_own(
    omega_here: Run, model: Path, tmp_path: Path
) -> None:
    paint(tmp_path / "x" / "a.png", "RGB", 30, 20)
    well(omega_here("compress", tmp_path / "x", "--output", tmp_path / "c", "--model", model, "--pack"))
    well(omega_here("compress", tmp_path / "x", "--output", tmp_path / "c" / "x", "--model", model))
    done = omega_here("decompress", tmp_path / "c", "--output", tmp_path / "d", "--model", model)
    assert well(done).stdout.startswith("2 pictures")
    assert set(written(tmp_path / "d")) == {"x/a.omega.png", "x.omega/a.png"}


def test_a_damaged_block_names_its_pictures_and_one_cut_short_is_taken_in_part(
    omega_here: Run, gray: Path, model: Path, tmp_path: Path
) -> None:
    well(omega_here("compress", gray, "--output", tmp_path, "--model", model, "--pack"))
    (tmp_path / "gray.omega").write_bytes((tmp_path / "gray.omega").read_bytes()[:-20])
    whole = omega_here("decompress", tmp_path / "gray.omega", "--output", tmp_path / "a", "--model", model)
    assert whole.returncode == 1
    assert re.search(r"gray.omega: ünï/04 and 25 others: the pack is incomplete: 20 bytes of", whole.stderr)
    partial = ("decompress", tmp_path / "gray.omega", "--output", tmp_path / "b", "--model", model, "--partial")
    well(omega_here(*partial))
    assert (len(written(tmp_path / "a")), len(written(tmp_path / "b"))) == (64, 90)


def test_packs_have_no_previews_and_do_not_come_from_standard_input(
    omega_here: Run, gray: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    well(omega_here("compress", gray, "--output", tmp_path, "--model", model, "--pack"))
    done = omega_here(
        "decompress", tmp_path / "gray.omega", "--output", tmp_path / "o", "--model", model, "--preview", tmp_path / "p"
    )
    assert "--preview works for single files, not for packs" in done.stderr
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO((tmp_path / "gray.omega").read_bytes())))
    done = omega_here("decompress", "-", "--output", tmp_path / "o", "--model", model)
    assert "a pack cannot be read from standard input" in done.stderr
