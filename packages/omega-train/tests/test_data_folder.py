"""Pictures here are ramps: the value of a pixel tells where in the picture it was."""

import os
import pickle
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from multiprocessing import active_children
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import omega_core
from omega_core.errors import ComponentError, DataError, OmegaWarning, TrainingError
from omega_core.images import reading
from omega_train import train, validation
from omega_train.data import photos as module
from omega_train.data.folder import FolderDataset
from omega_train.data.photos import Crops, FolderImages
from omega_train.log import Log
from omega_train.recipe import Recipe
from omega_train.task import CodecTask
from omega_train.trainer import LightningTrainer


def ramp(height: int, width: int) -> NDArray[np.uint8]:
    """Red rises to the right, green downwards; blue is the same everywhere."""
    across, down = np.arange(width) * 255 // max(1, width - 1), np.arange(height) * 255 // max(1, height - 1)
    grid = np.broadcast_arrays(across[None], down[:, None], np.full((1, 1), 77))
    return np.stack(grid, axis=2).astype(np.uint8)


def paint(path: Path, height: int = 60, width: int = 80, mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(ramp(height, width)).convert(mode).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(20):
        suffix = ("png", "webp", "bmp", "tiff")[number % 4]
        paint(tmp_path / f"{number % 3}" / f"{number:02}.{suffix}", 40 + number, 70 - number)
    (tmp_path / "notes.txt").write_text("left alone")
    return tmp_path


def test_all_pictures_of_a_folder_are_found_and_a_share_is_kept_to_validate(photos: Path) -> None:
    dataset = FolderDataset(data=photos, seed=1, validation=0.2, crop=16)
    train, kept = set(dataset.train.paths), set(dataset.validation.paths)
    assert (len(train), len(kept)) == (16, 4)
    assert train | kept == {path for path in photos.rglob("*") if path.is_file() and path.suffix != ".txt"}
    assert not train & kept


def test_the_share_follows_from_the_seed(photos: Path) -> None:
    def kept(seed: int) -> list[Path]:
        return list(FolderDataset(data=photos, seed=seed, validation=0.3, crop=16).validation.paths)

    assert kept(1) == kept(1) != kept(2)


def test_a_picture_to_validate_with_is_no_link_to_one_to_train_on(tmp_path: Path) -> None:
    for number in range(3):
        paint(tmp_path / "train" / f"{number}.png")
        paint(tmp_path / "validation" / f"{number}.png")
    FolderDataset(data=tmp_path, crop=16)
    (tmp_path / "validation" / "x.png").symlink_to(tmp_path / "train" / "1.png")
    with pytest.raises(DataError, match=r"links make some pictures part of both train and validation: .*x\.png"):
        FolderDataset(data=tmp_path, crop=16)


def test_folders_named_train_and_validation_are_the_parts(tmp_path: Path) -> None:
    for number in range(3):
        paint(tmp_path / "train" / f"{number}.png")
    paint(tmp_path / "validation" / "a" / "0.png")
    dataset = FolderDataset(data=tmp_path, crop=16)
    assert (len(dataset.train), len(dataset.validation)) == (3, 1)


@pytest.mark.parametrize(("colors", "mode"), [(3, "RGB"), (3, "L"), (3, "RGBA"), (1, "RGB"), (1, "L")])
def test_a_crop_has_the_colors_that_are_wanted(tmp_path: Path, colors: int, mode: str) -> None:
    images = FolderImages([paint(tmp_path / "a.png", mode=mode)], Crops(32, colors, scale=(0.75, 0.95)))
    crop = images.load(0, 5)
    assert (crop.shape, crop.dtype) == ((colors, 32, 32), np.uint8)
    if mode == "L" and colors == 3:
        assert (crop == crop[:1]).all()


def test_the_middle_of_a_picture_is_taken_as_it_is_to_validate(tmp_path: Path) -> None:
    images = FolderImages([paint(tmp_path / "a.png", 60, 80)], Crops(40))
    assert (images.load(0, 1) == ramp(60, 80)[10:50, 20:60].transpose(2, 0, 1)).all()


@pytest.mark.parametrize(("height", "width"), [(20, 30), (9, 70), (1, 1), (64, 64)])
@pytest.mark.parametrize("scale", [(0.75, 0.95), None])
def test_pictures_smaller_than_the_crop_are_enlarged_to_it(
    tmp_path: Path, height: int, width: int, scale: tuple[float, float] | None
) -> None:
    images = FolderImages([paint(tmp_path / "a.png", height, width)], Crops(64, scale=scale))
    for seed in range(5):
        crop = images.load(0, seed)
        assert crop.shape == (3, 64, 64)
        assert (crop[2] == 77).all()


def test_crops_are_scaled_mirrored_and_from_everywhere(tmp_path: Path) -> None:
    images = FolderImages([paint(tmp_path / "a.png", 240, 256)], Crops(100, scale=(0.75, 0.95)))
    steps, lefts, tops, mirrored = [], [], [], 0
    for seed in range(200):
        red, green, _ = images.load(0, seed).astype(int)
        across = red[50, -1] - red[50, 0]
        mirrored += across < 0
        steps.append(abs(across) / 99)
        lefts.append(red.min())
        tops.append(green.min())
    scales = 1 / np.array(steps)  # 255 values over 256 pixels
    assert 0.74 < scales.min() < 0.77
    assert 0.92 < scales.max() < 0.97
    assert 70 < mirrored < 130
    for places in (lefts, tops):
        assert min(places) < 8
        assert max(places) > 100


def test_crops_of_pictures_that_are_not_scaled_are_slices_of_them(tmp_path: Path) -> None:
    picture = ramp(60, 80).transpose(2, 0, 1)
    images = FolderImages([paint(tmp_path / "a.png", 60, 80)], Crops(40, scale=(1.0, 1.0)))
    lefts, tops = set(), set()
    for seed in range(300):
        crop = images.load(0, seed)
        crop = crop[:, :, ::-1] if crop[0, 0, 0] > crop[0, 0, -1] else crop
        left, top = picture[0, 0].tolist().index(crop[0, 0, 0]), picture[1, :, 0].tolist().index(crop[1, 0, 0])
        assert (crop == picture[:, top : top + 40, left : left + 40]).all()
        lefts.add(left)
        tops.add(top)
    assert (min(lefts), max(lefts), min(tops), max(tops)) == (0, 40, 0, 20)


def test_crops_are_turned_only_if_asked_and_by_each_quarter_as_often(tmp_path: Path) -> None:
    def ways(turns: bool) -> dict[tuple[bool, bool, bool], int]:
        """How often red rises along rows, and how often red and green rise rather than fall."""
        images = FolderImages([paint(tmp_path / "a.png", 60, 60)], Crops(50, scale=(1.0, 1.0), turns=turns))
        seen: dict[tuple[bool, bool, bool], int] = {}
        for seed in range(400):
            red, green = images.load(0, seed)[:2].astype(int)
            upright = red[0, 0] != red[0, -1]
            red, green = (red[0], green[:, 0]) if upright else (red[:, 0], green[0])
            way = (bool(upright), bool(red[-1] > red[0]), bool(green[-1] > green[0]))
            seen[way] = seen.get(way, 0) + 1
        return seen

    assert set(ways(turns=False)) == {(True, True, True), (True, False, True)}
    turned = ways(turns=True)
    assert len(turned) == 8
    assert min(turned.values()) > 25


def test_a_share_of_the_crops_is_gray_as_pillow_converts_them(tmp_path: Path) -> None:
    path = paint(tmp_path / "a.png", 50, 50)
    with Image.open(path) as picture:
        gray = np.asarray(picture.convert("L"))
    images = FolderImages([path], Crops(50, scale=(1.0, 1.0), gray_share=0.25))
    crops = [images.load(0, seed) for seed in range(200)]
    made_gray = [crop for crop in crops if (crop[0] == crop[1]).all() and (crop[0] == crop[2]).all()]
    assert 30 < len(made_gray) < 70
    assert all((crop[0] == gray).all() or (crop[0] == gray[:, ::-1]).all() for crop in made_gray)
    assert not images.are_slices()


def test_a_share_of_the_crops_is_scaled(tmp_path: Path) -> None:
    def scaled(share: float) -> int:
        images = FolderImages([paint(tmp_path / "a.png", 256, 256)], Crops(64, scale=(0.5, 0.5), scale_share=share))
        return sum(abs(int(red[0, -1]) - int(red[0, 0])) > 100 for red, *_ in (images.load(0, s) for s in range(200)))

    assert scaled(1.0) == 200
    assert 40 < scaled(0.3) < 80
    assert scaled(0.0) == 0


def test_what_is_random_follows_from_the_seed(tmp_path: Path) -> None:
    images = FolderImages([paint(tmp_path / "a.png")], Crops(32, scale=(0.75, 0.95)))
    assert (images.load(0, 7) == images.load(0, 7)).all()
    assert len({images.load(0, seed).tobytes() for seed in range(10)}) > 5


def test_files_that_are_no_pictures_are_counted_and_left_out(photos: Path) -> None:
    for name in ("x.png", "y.jpg"):
        (photos / name).write_bytes(b"no picture")
    dataset = FolderDataset(data=photos, crop=16)
    note, others = dataset.notes
    assert others == "left out: 1 file of another kind (.txt 1)"
    assert re.fullmatch(r"2 of 22 files are not pictures and are left out: .*x\.png, .*y\.jpg", note)
    assert len(dataset.train) + len(dataset.validation) == 20


def test_pictures_are_those_that_are_read_later(photos: Path) -> None:
    Image.fromarray(np.zeros((40, 40), np.float32)).save(photos / "x.tif")  # of which nobody knows what is white
    text = PngInfo()
    text.add_text("long", "0" * (1 << 22), zip=True)  # which Image.open refuses
    Image.new("RGB", (40, 40)).save(photos / "y.png", pnginfo=text)
    dataset = FolderDataset(data=photos, crop=16)
    note, others = dataset.notes
    assert others == "left out: 1 file of another kind (.txt 1)"
    assert re.fullmatch(r"1 of 22 files are not pictures and are left out: .*x\.tif", note)
    assert len(dataset.train) + len(dataset.validation) == 21


def test_what_is_no_picture_file_is_counted_by_its_kind(photos: Path) -> None:
    for name in ("a.HEIC", "b.heic", "README"):
        (photos / name).write_bytes(b"something else")
    (photos / "again.png").symlink_to(next(photos.rglob("*.png")))
    os.mkfifo(photos / "pipe.png")
    [note] = FolderDataset(data=photos, crop=16).notes
    kinds = "4 files of another kind (.heic 2, without a suffix 1, .txt 1)"
    assert note == f"left out: 1 file for a device, pipe or socket, {kinds}, 1 link to a file taken anyway"


def test_linked_folders_are_searched_once_and_loops_end(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    paint(elsewhere / "inner" / "linked.png")
    (photos / "1" / "link").symlink_to(elsewhere)
    (photos / "2" / "link").symlink_to(elsewhere)
    (elsewhere / "inner" / "up").symlink_to(elsewhere)
    (photos / "0" / "up").symlink_to(photos)
    dataset = FolderDataset(data=photos, crop=16)
    found = [path.name for path in (*dataset.train.paths, *dataset.validation.paths)]
    assert (len(found), found.count("linked.png")) == (21, 1)
    assert "3 folders searched under another name" in dataset.notes[0]


def test_a_link_that_leads_nowhere_is_an_error_unless_it_is_to_be_left_out(photos: Path) -> None:
    (photos / "lost.png").symlink_to(photos / "nothing.png")
    (photos / "loop").symlink_to(photos / "loop")
    with pytest.raises(DataError, match=r"2 files or folders cannot be read: .*lost\.png"):
        FolderDataset(data=photos, crop=16)
    dataset = FolderDataset(data=photos, crop=16, skip_unreadable=True)
    assert len(dataset.train) + len(dataset.validation) == 20
    assert re.match(r"2 files or folders cannot be read: .*; these are left out", dataset.notes[0])


UNREADABLE = """
import os, sys
from pathlib import Path
from omega_core.errors import DataError
from omega_train.data import photos as module
from omega_train.data.folder import FolderDataset
from PIL import Image

Image.init()  # imports modules, which another user may not be allowed to
if os.getuid() == 0:
    os.setresuid(65534, 65534, 65534)
try:
    FolderDataset(data=Path(sys.argv[1]), crop=16)
except DataError as problem:
    print(problem)
"""


@pytest.mark.parametrize(("name", "mode"), [("0", 0o000), ("1", 0o444), ("00.png", 0o000)])
def test_folders_and_files_without_permission_stop_before_the_first_step(photos: Path, name: str, mode: int) -> None:
    for folder in (photos, *photos.parents[:-1]):
        if folder.stat().st_uid == os.getuid() and len(folder.parts) > 2:
            folder.chmod(folder.stat().st_mode | 0o055)
    [locked] = photos.rglob(name)
    locked.chmod(mode)
    try:
        done = subprocess.run([sys.executable, "-c", UNREADABLE, photos], capture_output=True, text=True)
    finally:
        locked.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert f"1 files or folders cannot be read: {locked} (" in done.stdout
    assert "Permission denied" in done.stdout


def test_what_lies_beside_the_parts_of_a_folder_is_named(photos: Path) -> None:
    (photos / "0").rename(photos / "train")
    (photos / "1").rename(photos / "validation")
    [note] = FolderDataset(data=photos, crop=16).notes
    assert re.fullmatch(r"beside train and validation, 2 entries of .* are left out: .*2, .*notes\.txt", note)


def test_pictures_of_one_color_are_converted_and_counted(photos: Path) -> None:
    paint(photos / "gray.png", mode="L")
    (photos / "notes.txt").unlink()
    [note] = FolderDataset(data=photos, crop=16).notes
    assert re.fullmatch(r"1 of 21 pictures are gray and are converted to RGB: .*gray\.png", note)
    [note] = FolderDataset(data=photos, crop=16, colors=1).notes
    assert note == "20 of 21 pictures are converted to gray"


def test_what_a_run_finds_in_its_pictures_is_in_its_log(
    tiny: Callable[..., Recipe], photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = tmp_path_factory.mktemp("run")
    paint(photos / "gray.png", mode="L")
    damaged = paint(photos / "damaged.bmp")
    damaged.write_bytes(damaged.read_bytes()[:60])
    (photos / "no.png").write_bytes(b"no picture")
    options = {"crop": 28, "colors": 1, "validation": 0.1}
    recipe = tiny(dataset="folder", dataset_options=options, batch_size=19, steps=2)
    with pytest.warns(OmegaWarning, match="is left out"):  # at the end, when all are counted again
        train(recipe, run, data=photos, accelerator="cpu", devices="1", workers=2)
    log = (run / "train.log").read_text()
    assert "1 of 23 files are not pictures and are left out" in log
    assert "21 of 22 pictures are converted to gray" in log
    assert re.search(r"damaged\.bmp is left out: .* \(warnings so far: 1\)", log)


def test_a_picture_that_turns_out_to_be_damaged_is_replaced_by_the_next(tmp_path: Path) -> None:
    good, bad = paint(tmp_path / "good.png"), paint(tmp_path / "bad.png")
    bad.write_bytes(bad.read_bytes()[:60])
    images = FolderImages([bad, good], Crops(32))
    with pytest.warns(OmegaWarning, match=r"bad\.png is left out"):
        replaced = images.load(0, 0)
    assert (replaced == images.load(1, 0)).all()
    with pytest.warns(OmegaWarning), pytest.raises(DataError, match="none of the pictures"):
        FolderImages([bad], Crops(32)).load(0, 0)


@pytest.mark.parametrize("workers", [0, 1])
def test_too_little_memory_for_a_picture_ends_a_run_with_an_error_that_names_it(
    tiny: Callable[..., Recipe],
    photos: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
) -> None:
    recipe = tiny(dataset="folder", dataset_options={"crop": 28, "colors": 1, "memory": 0.0}, batch_size=19, steps=2)
    trainer = LightningTrainer(recipe=recipe, data=photos, accelerator="cpu", workers=workers)
    original = reading.open_image

    def open_image(file: BinaryIO, *arguments: Any) -> object:
        if Path(file.name).name == "07.tiff":
            raise MemoryError
        return original(file, *arguments)

    monkeypatch.setattr(reading, "open_image", open_image)  # in reading processes too, which are forked
    trainer.dataset.train.paths = list(photos.rglob("*.tiff")) * 4
    with pytest.raises(DataError, match=r"^there is too little memory to read .*07\.tiff: hold fewer"):
        trainer.train(tmp_path_factory.mktemp("run"))


def test_a_reading_process_that_is_killed_ends_a_run_with_one_clear_error(
    tiny: Callable[..., Recipe],
    photos: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(_: Path) -> None:
        if os.getpid() != mine:
            os.kill(os.getpid(), signal.SIGKILL)

    recipe = tiny(dataset="folder", dataset_options={"crop": 28, "colors": 1, "memory": 0.0}, batch_size=19, steps=2)
    trainer, mine = LightningTrainer(recipe=recipe, data=photos, accelerator="cpu", workers=1), os.getpid()
    data = photos.rename(photos.parent / "elsewhere")
    trainer.dataset.train.paths = [data / path.relative_to(photos) for path in trainer.dataset.train.paths]
    monkeypatch.setattr(module, "read_picture", read)
    with pytest.raises(TrainingError, match="a process that reads pictures was killed"):
        trainer.train(tmp_path_factory.mktemp("run"))


def test_a_run_that_lost_a_picture_goes_on_with_the_next_one_as_one_that_never_had_it(
    tiny: Callable[..., Recipe], photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    recipe = tiny(dataset="folder", dataset_options={"crop": 28, "colors": 1, "memory": 0.0}, batch_size=4, steps=6)
    states = []
    for broken in ("deleted", "damaged"):
        trainer = LightningTrainer(recipe=recipe, data=photos, accelerator="cpu", workers=0)
        lost = trainer.dataset.train.paths[3]
        before = lost.read_bytes()
        lost.unlink()
        if broken == "damaged":
            lost.write_bytes(before[:60])
        run = tmp_path_factory.mktemp(broken)
        with Log(run / "train.log"), pytest.warns(OmegaWarning, match="is left out"):  # when all are counted again
            trainer.train(run)
        assert (run / "train.log").read_text().count(f"{lost} is left out") == 1
        states.append(torch.load(run / "last.ckpt", weights_only=True)["state_dict"])
        lost.write_bytes(before)
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("workers", [0, 1])
def test_pictures_that_are_gone_are_one_clear_error(
    tiny: Callable[..., Recipe], photos: Path, tmp_path_factory: pytest.TempPathFactory, workers: int
) -> None:
    recipe = tiny(dataset="folder", dataset_options={"crop": 28, "colors": 1, "memory": 0.0}, batch_size=4, steps=2)
    trainer = LightningTrainer(recipe=recipe, data=photos, accelerator="cpu", workers=workers)
    trainer.dataset.train.paths = [photos / "notes.txt"] * 19
    with pytest.raises(DataError) as caught:
        trainer.train(tmp_path_factory.mktemp("run"))
    assert str(caught.value) == "none of the pictures can be read any more."
    assert not active_children()  # else Python waits for them at its end


@pytest.mark.parametrize("colors", [1, 3])
def test_pictures_are_the_same_whether_they_are_held_or_read(photos: Path, colors: int) -> None:
    options: dict[str, Any] = {"crop": 24, "colors": colors, "turns": True, "scale_share": 0.5, "scale_max": 1.3}
    held, read = (FolderDataset(data=photos, memory=memory, **options) for memory in (1.0, 0.0))
    assert (len(held.train.held), len(read.train.held)) == (19, 0)
    for part in ("train", "validation"):
        for index in range(len(getattr(held, part))):
            for seed in range(5):
                assert (getattr(held, part).load(index, seed) == getattr(read, part).load(index, seed)).all()


def test_pictures_that_are_held_are_decoded_once(photos: Path) -> None:
    images = FolderDataset(data=photos, crop=16).train
    before = [images.load(index, 1) for index in range(len(images))]
    for path in images.paths:
        path.unlink()
    assert all((images.load(index, 1) == crop).all() for index, crop in enumerate(before))


def test_as_many_pictures_are_held_as_there_is_memory_for(tmp_path: Path) -> None:
    for number in range(20):
        paint(tmp_path / f"{number:02}.png", 64, 64)
    memory = 7.5 * 3 * 64 * 64 / 2**30
    dataset = FolderDataset(data=tmp_path, crop=16, memory=memory)
    assert sum(pixels.nbytes for pixels in dataset.train.held.values()) == 7 * 3 * 64 * 64
    assert dataset.notes == ["7 of 20 pictures are held in memory; the others are read each time"]
    assert dataset.train.load(18, 3).shape == (3, 16, 16)
    assert not FolderDataset(data=tmp_path, crop=16, memory=0.0).notes


def test_a_crop_can_be_written_to_without_changing_the_picture(tmp_path: Path) -> None:
    images = FolderImages([paint(tmp_path / "a.png")], Crops(32, scale=(1.0, 1.0)))
    images.hold(2**20)
    before = images.load(0, 1)
    images.load(0, 1)[:] = 0
    assert (images.load(0, 1) == before).all()


def test_processes_that_read_are_not_sent_what_is_held(photos: Path) -> None:
    images = FolderDataset(data=photos, crop=16).train
    sent = pickle.dumps(images)
    assert len(sent) < 10000
    assert (pickle.loads(sent).load(3, 5) == images.load(3, 5)).all()


def test_pictures_of_16_bits_are_read_without_a_word(tmp_path: Path) -> None:
    Image.fromarray(np.full((40, 40), 256 * 99, np.uint16)).save(tmp_path / "a.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (FolderImages([tmp_path / "a.png"], Crops(32)).load(0, 0) == 99).all()


def test_a_folder_that_is_not_there_has_no_pictures_or_only_one_is_an_error(tmp_path: Path) -> None:
    for data, message in ((None, "--data"), (tmp_path / "none", "does not exist"), (tmp_path, "has no pictures")):
        with pytest.raises(DataError, match=message):
            FolderDataset(data=data)
    paint(tmp_path / "a.png")
    with pytest.raises(DataError, match="too few"):
        FolderDataset(data=tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        *({"validation": 0.0}, {"validation": 1.0}, {"crop": 0}, {"scale_min": 0.0}, {"scale_max": 0.5}),
        *({"colors": 2}, {"scale_share": 1.1}, {"scale_share": -0.1}, {"memory": -1.0}, {"memory": float("nan")}),
        *({"gray_share": 1.1}, {"gray_share": -0.1}, {"gray_share": 0.1, "colors": 1}),
    ],
)
def test_numbers_that_cannot_be_are_refused(photos: Path, options: dict[str, float]) -> None:
    with pytest.raises(ComponentError, match=next(iter(options)).replace("_", "-")):
        FolderDataset(data=photos, **options)  # type: ignore[arg-type]


def test_a_codec_for_pictures_of_any_size_trains_on_a_folder(
    tiny: Callable[..., Recipe], photos: Path, tmp_path: Path
) -> None:
    recipe = tiny(
        architecture="openimages",
        architecture_options={"width": 2},
        dataset="folder",
        dataset_options={"crop": 32},
        batch_size=4,
        steps=3,
    )
    model = omega_core.load_model(train(recipe, tmp_path / "run", data=photos, accelerator="cpu", devices="1"))
    data = model.compress(ramp(45, 71), channels=2)
    assert model.decompress(data).size == (71, 45)


def test_processes_read_for_validation_what_one_reads(
    tiny: Callable[..., Recipe], photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "BATCH_PIXELS", 2 * 16 * 16)
    images = FolderDataset(data=photos, crop=16).train
    task = CodecTask(tiny(architecture="compact", dataset="folder"))
    alone = torch.cat(list(validation.batches(task, images)))
    together = validation.batches(task, images, workers=2)
    first = next(together)
    assert len(active_children()) == 2
    assert torch.equal(torch.cat([first, *together]), alone)
    assert not active_children()


def test_a_recount_sees_the_pictures_of_a_folder_at_various_places_and_scales(
    tiny: Callable[..., Recipe], photos: Path
) -> None:
    for name in photos.rglob("*.*"):
        if name.suffix != ".txt":
            paint(name)
    task = CodecTask(tiny(architecture="compact", dataset="folder"))
    [seen] = validation.batches(task, FolderDataset(data=photos, crop=16).train)
    assert len({picture.numpy().tobytes() for picture in seen}) > len(seen) / 2
