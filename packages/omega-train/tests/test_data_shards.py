"""Pictures here are of one value each, by which they are told: picture n has the value n."""

import io
import pickle
import re
import tarfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from omega_core.errors import ComponentError, DataError, OmegaWarning, TrainingError
from omega_train import Recipe, train
from omega_train.data import remote_files
from omega_train.data.batches import BatchedImages, StepSampler
from omega_train.data.folder import FolderDataset
from omega_train.data.reader_processes import reader
from omega_train.data.shard_index import index_of, pictures_of
from omega_train.data.shard_writing import ShardWriter
from omega_train.data.shards import ShardsDataset

pytest.importorskip("braceexpand", reason="needs the extra shards")

SETTINGS: dict[str, Any] = {"crop": 16, "validation": 0.1}


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((20, 24, 3), value, np.uint8)).save(file, "png")
    return file.getvalue()


def tar(path: Path, members: dict[str, bytes], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", **options) as file:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """A folder of 8 shards of 25 pictures each, without indices, with other members between them."""
    folder = tmp_path / "shards"
    for first in range(0, 200, 25):
        members = {}
        for value in range(first, first + 25):
            members |= {f"{value:04}.png": png(value), f"{value:04}.json": b"{}"}
        tar(folder / f"photos-{first // 25:03}.tar", members)
    return folder


def values(images: Any) -> list[int]:
    return [int(images.load(index, 3)[0, 0, 0]) for index in range(len(images))]


def test_every_picture_of_every_shard_is_found_and_a_share_is_kept_to_validate(shards: Path) -> None:
    dataset = ShardsDataset(data=shards, **SETTINGS)
    train, kept = values(dataset.train), values(dataset.validation)
    assert (len(train), len(kept)) == (180, 20)
    assert sorted(train + kept) == list(range(200))
    assert dataset.notes == ["left out: 200 members of shards that are not pictures (.json 200)"]


@pytest.mark.parametrize(
    ("place", "count"),
    [
        ("photos-003.tar", 25),
        ("photos-{000..003}.tar", 100),
        ("photos-00{0,7}.tar", 50),
        ("photos-00[12].tar", 50),
        ("photos-*5.tar", 25),
        ("photos-{001,00[0-9]}.tar", 200),
        (".", 200),
    ],
)
def test_shards_are_named_by_paths_patterns_and_braces(shards: Path, place: str, count: int) -> None:
    for data in (shards / place, f"file://{shards}/{place}"):
        dataset = ShardsDataset(data=data, **SETTINGS)
        assert len(dataset.train) + len(dataset.validation) == count


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    for name in ("a{1,2}.tar", "a[1].tar", "a*.tar", "a1.tar"):
        tar(tmp_path / name, {f"{value}.png": png(value) for value in range(2 + len(name))})
    for name in ("a{1,2}.tar", "a[1].tar", "a*.tar"):
        dataset = ShardsDataset(data=tmp_path / name, **SETTINGS)
        assert len(dataset.train) + len(dataset.validation) == 2 + len(name)


@pytest.mark.parametrize("name", ["d[1]", "a*", "b?", "a::b", "{1,2}"])
def test_a_folder_whose_name_looks_like_a_pattern_or_a_chain_is_that_folder(tmp_path: Path, name: str) -> None:
    for place in (tmp_path / name, tmp_path / "d1", tmp_path / "ab"):
        place.mkdir()
        tar(place / "a.tar", {f"{value}.png": png(value) for value in range(3 if place.name == name else 5)})
    for data in (tmp_path / name, tmp_path / name / "a.tar"):
        dataset = ShardsDataset(data=data, **SETTINGS)
        assert len(dataset.train) + len(dataset.validation) == 3


@pytest.mark.parametrize("prefix", ["", "file://"])
@pytest.mark.parametrize("others", ["photos-*.tar", "photos-00{1,2}.tar"])
def test_a_shard_in_two_places_is_refused(shards: Path, prefix: str, others: str) -> None:
    with pytest.raises(DataError, match=r"photos-001\.tar is in .*photos-001\.tar and in "):
        ShardsDataset(data=[f"{prefix}{shards}/photos-001.tar", f"{prefix}{shards}/{others}"], **SETTINGS)
    apart = ShardsDataset(
        data=[f"{prefix}{shards}/photos-000.tar", f"file://{shards}/photos-00{{1,2}}.tar"], **SETTINGS
    )
    assert apart.train.count + apart.validation.count == 75


def test_links_in_shards_are_counted(tmp_path: Path) -> None:
    place = tar(tmp_path / "a.tar", {f"{value}.png": png(value) for value in range(3)})
    with tarfile.open(place, "a") as file:
        for kind in (tarfile.LNKTYPE, tarfile.SYMTYPE):
            link = tarfile.TarInfo("again.png")
            link.type, link.linkname = kind, "0.png"
            file.addfile(link)
    dataset = ShardsDataset(data=place, **SETTINGS)
    assert len(dataset.train) + len(dataset.validation) == 3
    assert dataset.notes == ["left out: 2 members of shards that are not pictures (links 2)"]


def test_folders_named_train_and_validation_are_the_parts(shards: Path) -> None:
    for part, numbers in (("train", "012"), ("validation", "3")):
        for number in numbers:
            tar(shards / part / f"{number}.tar", {"a.png": png(int(number)), "b.png": png(100 + int(number))})
    dataset = ShardsDataset(data=shards, **SETTINGS)
    assert (values(dataset.train), values(dataset.validation)) == ([0, 100, 1, 101, 2, 102], [3, 103])


def test_no_more_than_a_thousand_pictures_validate_unless_they_are_chosen_by_hand(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omega_train.data.shards._MAX_VALIDATION", 7)
    assert len(ShardsDataset(data=shards, crop=16, validation=0.5).validation) == 7
    (shards / "train").mkdir()
    (shards / "photos-000.tar").rename(shards / "train" / "a.tar")
    (shards / "validation").mkdir()
    (shards / "photos-001.tar").rename(shards / "validation" / "a.tar")
    assert len(ShardsDataset(data=shards, crop=16).validation) == 25


def test_pictures_of_shards_are_cropped_as_those_of_a_folder(shards: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    pictures = {f"{number}.png": random.integers(0, 256, (60, 70, 3), np.uint8) for number in range(8)}
    files = {}
    (tmp_path / "folder").mkdir()
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(tmp_path / "folder" / name)
        files[name] = (tmp_path / "folder" / name).read_bytes()
    place = tar(tmp_path / "same.tar", files)
    options: dict[str, Any] = {"crop": 24, "turns": True, "scale_share": 0.5, "scale_max": 1.3, "validation": 0.25}
    folder, shard = FolderDataset(data=tmp_path / "folder", **options), ShardsDataset(data=place, **options)
    for part in ("train", "validation"):
        one, other = getattr(folder, part), getattr(shard, part)
        assert len(one) == len(other)
        for index in range(len(one)):
            for seed in range(4):
                assert (one.load(index, seed) == other.load(index, seed)).all()


def batches(images: Any, *, first: int, count: int, process: int, workers: int) -> Iterator[tuple[int, list[int]]]:
    """The steps of one of two processes, and the values of the pictures that it reads."""
    sampler = StepSampler(size=len(images), batch=5, seed=4, first=first, process=process, processes=2)
    for batch in reader(BatchedImages(images, 1), islice(sampler, count), workers):
        yield batch.step, batch.pixels[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("workers", [0, 2])
def test_two_processes_see_each_picture_once_an_epoch_also_when_resumed_in_the_middle(
    shards: Path, workers: int
) -> None:
    steps = 2 * 18  # two epochs of 180 pictures
    images = [ShardsDataset(data=shards, **SETTINGS).train for _ in range(2)]  # as each process makes them
    read = partial(batches, workers=workers)
    whole = [list(read(images[process], first=0, count=steps, process=process)) for process in range(2)]
    resumed = [
        [
            *read(images[process], first=0, count=7, process=process),
            *read(pickle.loads(pickle.dumps(images[process])), first=7, count=steps - 7, process=process),
        ]
        for process in range(2)
    ]
    assert resumed == whole
    orders = []
    for epoch in range(2):
        seen = [value for part in whole for step, found in part for value in found if step // 18 == epoch]
        assert Counter(seen) == Counter(values(images[0]))
        orders.append(seen)
    assert orders[0] != orders[1]


def index_all(folder: Path) -> None:
    """Write the index of each shard in a folder, as DALI's `wds2idx` does: two members a line."""
    for shard in folder.glob("*.tar"):
        lines = []
        with tarfile.open(shard) as file:
            for one, other in zip(*[iter(file)] * 2, strict=True):
                fields = [(PurePath(m.name).suffix[1:], m.offset_data, m.size, m.name) for m in (one, other)]
                lines.append(" ".join(f"{a} {b} {c} {d}" for a, b, c, d in fields))
        Path(index_of(str(shard))).write_text("\n".join([f"v1.2 {len(lines)}", *lines, ""]))


def test_an_index_says_what_the_headers_say_and_spares_reading_them(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [str(path) for path in sorted(shards.glob("*.tar"))]
    by_headers = pictures_of(paths, False, [])
    index_all(shards)
    monkeypatch.setattr("omega_train.data.shard_index._headers", None)
    by_index = pictures_of(paths, False, [])
    assert by_index.names == by_headers.names
    for one, other in ((by_index.offset, by_headers.offset), (by_index.size, by_headers.size)):
        assert (one == other).all()


@pytest.mark.parametrize("text", ["v1.2 3\npng 512 70 a.png\n", "v1.1 0\n", "rubbish", "v1.2 1\npng 512 a.png\n"])
def test_a_damaged_index_is_named(shards: Path, text: str) -> None:
    (shards / "photos-002.idx").write_text(text)
    with pytest.raises(DataError, match=r"the index .*photos-002\.idx (is damaged|has an invalid line)"):
        ShardsDataset(data=shards, **SETTINGS)


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize("kept", [0.5, 0.1])
def test_a_shard_that_is_cut_is_named_with_its_last_member_or_used_as_far_as_it_goes(
    shards: Path, kept: float, indexed: bool
) -> None:
    if indexed:
        index_all(shards)
    cut = shards / "photos-004.tar"
    cut.write_bytes(cut.read_bytes()[: int(kept * cut.stat().st_size)])
    with pytest.raises(DataError, match=r"photos-004\.tar is .*cut off.* 01\d\d\.(png|json).*skip-unreadable=true"):
        ShardsDataset(data=shards, **SETTINGS)
    dataset = ShardsDataset(data=shards, skip_unreadable=True, **SETTINGS)
    there = sorted(values(dataset.train) + values(dataset.validation))
    before = len(there) - 75
    assert there == [*range(before), *range(125, 200)]
    assert 100 < before < 120
    assert re.search(r"photos-004\.tar is .*cut off.*before the damage are used", dataset.notes[0])


def test_a_shard_cut_between_two_members_or_damaged_in_a_header_is_no_shorter_shard(shards: Path) -> None:
    path = shards / "photos-004.tar"
    whole = path.read_bytes()
    with tarfile.open(path) as file:
        border = list(file)[20].offset
    for data in (whole[:border], whole[: border + 100] + bytes(40) + whole[border + 140 :]):
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"photos-004\.tar is damaged or cut off after 0109\.json"):
            ShardsDataset(data=shards, **SETTINGS)


def test_what_is_no_tar_file_is_named(shards: Path) -> None:
    for data in (b"", b"no tar", b"no tar" * 200):
        (shards / "photos-001.tar").write_bytes(data)
        with pytest.raises(DataError, match=r"the shard .*photos-001\.tar is not a tar file"):
            ShardsDataset(data=shards, **SETTINGS)


def damage(shard: Path, name: str) -> None:
    with tarfile.open(shard) as file:
        member = file.getmember(name)
    data = bytearray(shard.read_bytes())
    data[member.offset_data : member.offset_data + member.size] = bytes(member.size)
    shard.write_bytes(data)


def test_a_damaged_picture_is_named_with_its_shard_or_replaced_by_the_next(shards: Path) -> None:
    damage(shards / "photos-001.tar", "0030.png")
    images = ShardsDataset(data=shards, **SETTINGS).train
    index = [images.name(number)[-8:] for number in range(len(images))].index("0030.png")
    with pytest.raises(DataError, match=r"photos-001\.tar: 0030\.png: this is not a picture.*skip-unreadable=true"):
        images.load(index, 1)
    images = ShardsDataset(data=shards, skip_unreadable=True, **SETTINGS).train
    with pytest.warns(OmegaWarning, match=r"photos-001\.tar: 0030\.png is left out"):
        assert (images.load(index, 1) == images.load(index + 1, 1)).all()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_picture_ends_a_run_with_one_error_that_names_shard_and_member(
    tiny: Callable[..., Recipe], tmp_path: Path, workers: int
) -> None:
    images = tmp_path / "images" / "train"
    tar(images / "a.tar", {f"{n:02}.png": png(n) for n in range(16)})
    damage(images / "a.tar", "07.png")
    tar(images.parent / "validation" / "a.tar", {"a.png": png(1)})
    recipe = tiny(dataset="shards", dataset_options={"crop": 28, "colors": 1}, batch_size=16, steps=1)
    with pytest.raises(DataError) as caught:
        train(recipe, tmp_path / "run", data=images.parent, accelerator="cpu", devices="1", workers=workers)
    assert re.fullmatch(r"/\S+/a\.tar: 07\.png: this is not a picture .*skip-unreadable=true\.", str(caught.value))


def test_a_shard_that_is_cut_or_gone_during_a_run_is_named(shards: Path) -> None:
    images = ShardsDataset(data=shards, **SETTINGS).train
    path = shards / "photos-007.tar"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"photos-007\.tar: 0199\.png: the shard ends within this picture"):
        images.load(len(images) - 1, 0)
    path.unlink()
    with pytest.raises(DataError, match=r"cannot read .*photos-007\.tar: No such file or directory\."):
        images.load(len(images) - 1, 0)


def test_places_without_shards_or_pictures_are_named(tmp_path: Path) -> None:
    tar(tmp_path / "other" / "a.tar", {"a.txt": b"a", ".b.png": b"hidden"})
    tar(tmp_path / "one" / "a.tar", {"a.png": png(1)})
    for data, message in (
        (None, "give them with --data"),
        (tmp_path / "none.tar", r"cannot read .*none\.tar: No such file or directory"),
        (tmp_path / "none", "cannot read"),
        (tmp_path / "*.tar", r"there is no \.tar file at"),
        (tmp_path / "a{1..2.tar", "a brace in .* has no matching one"),
        (tmp_path, r"there is no \.tar file at"),
        (tmp_path / "other", r"there are no pictures in .*other/a\.tar"),
        (tmp_path / "one", "too few pictures"),
        ("nothing://a.tar", "cannot read nothing://a.tar: .*nothing"),
    ):
        with pytest.raises(DataError, match=message):
            ShardsDataset(data=data, **SETTINGS)
    with pytest.raises(ComponentError, match="crops need a side of at least 1 pixel"):
        ShardsDataset(data=tmp_path, crop=0)


def test_several_places_have_their_shares_of_the_samples(shards: Path) -> None:
    data = {f"file://{shards}/photos-{{000..003}}.tar": 1.0, shards / "photos-007.tar": 1.0}
    dataset = ShardsDataset(data=data, **SETTINGS)
    seen = Counter(value >= 175 for value in values(dataset.train))
    assert seen[True] == pytest.approx(seen[False], abs=1)
    assert f"50.0% of the samples are from the 23 pictures of {shards / 'photos-007.tar'}" in dataset.notes


def test_a_dataset_that_takes_folders_refuses_urls(tiny: Callable[..., Recipe], tmp_path: Path) -> None:
    recipe = tiny(dataset="folder", dataset_options={"crop": 16}, steps=1)
    with pytest.raises(DataError, match="takes folders, not URLs such as https://host/a: use --dataset shards"):
        train(recipe, tmp_path / "run", data="https://host/a")


def test_a_dataset_that_takes_folders_says_which_one_takes_shards(
    tiny: Callable[..., Recipe], shards: Path, tmp_path: Path
) -> None:
    recipe = tiny(dataset="folder", dataset_options={"crop": 16}, steps=1)
    with pytest.raises(DataError, match=r"has no pictures\. Use --dataset shards for the pictures in its tar files\.$"):
        train(recipe, tmp_path / "run", data=shards)


def test_a_run_on_shards_is_resumed_exactly_and_refuses_others(
    tiny: Callable[..., Recipe], shards: Path, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"dataset": "shards", "dataset_options": {**SETTINGS, "crop": 28, "colors": 1}}
    machine: dict[str, Any] = {"accelerator": "cpu", "devices": "1", "workers": 1}
    train(tiny(**settings, steps=9), tmp_path / "once", data=shards, **machine)
    train(tiny(**settings, steps=5), tmp_path / "twice", data=shards, **machine)
    moved = shards.rename(tmp_path / "moved")
    train(tiny(**settings, steps=9), tmp_path / "twice", data=moved, resume=True, **machine)
    once, twice = (
        torch.load(tmp_path / name / "last.ckpt", weights_only=True)["state_dict"] for name in ("once", "twice")
    )
    assert all(torch.equal(once[name], twice[name]) for name in once)
    damage(moved / "photos-000.tar", "0001.png")
    with pytest.raises(TrainingError, match=r"2\d of 180 training pictures differ \(.*photos-000\.tar: 0\d\d\d\.png"):
        train(tiny(**settings, steps=11), tmp_path / "twice", data=moved, resume=True, **machine)


def test_shards_that_are_made_hold_the_pictures_as_they_are(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, 12000) as writer:
        for value in range(30):
            writer.add(PurePath(f"a b.c/{'x' * 200} {value}.y.PNG"), png(value))
    shards = sorted(tmp_path.glob("*.tar"))
    assert len(shards) == writer.shards == 3
    assert all(Path(index_of(str(shard))).exists() for shard in shards)
    assert max(shard.stat().st_size for shard in shards) < 12000 + tarfile.RECORDSIZE
    names, pictures = [], []
    for shard in shards:
        with tarfile.open(shard) as file:
            for member in file:
                names.append(member.name)
                pictures.append(file.extractfile(member).read())  # type: ignore[union-attr]
    assert pictures == [png(value) for value in range(30)]
    assert names[3] == f"00000003-{'x' * 60}.png"
    by_index = pictures_of([str(shard) for shard in shards], False, [])
    for shard in shards:
        Path(index_of(str(shard))).unlink()
    by_headers = pictures_of([str(shard) for shard in shards], False, [])
    assert (by_index.names, by_index.offset.tolist()) == (by_headers.names, by_headers.offset.tolist())


class Ranges(SimpleHTTPRequestHandler):
    """A server that answers requests for parts of files, once it has refused each part `failures` times."""

    failures, ranges = 0, True
    refused: Counter[str] = Counter()

    def do_GET(self) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if wanted is None or not path.is_file() or not self.ranges:
            super().do_GET()
            return
        key = f"{self.path} {wanted[0]}"
        self.refused[key] += 1
        if self.refused[key] <= self.failures:
            self.send_error(503)
            return
        data = path.read_bytes()
        part = data[int(wanted[1]) : int(wanted[2] or len(data)) + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {wanted[1]}-{int(wanted[1]) + len(part) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(shards: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(remote_files, "_PAUSES", (0, 0, 0))
    monkeypatch.setattr(Ranges, "refused", Counter())
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Ranges, directory=str(shards))) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


@pytest.mark.parametrize(("indexed", "workers"), [(False, 0), (True, 2)])
def test_shards_at_a_url_are_read_as_those_in_a_folder(shards: Path, server: str, indexed: bool, workers: int) -> None:
    if indexed:
        index_all(shards)
    dataset = ShardsDataset(data=f"{server}/photos-{{000..007}}.tar", **SETTINGS)
    assert any("8 shards have no index beside them" in note for note in dataset.notes) == (not indexed)
    there = dataset.train
    here = ShardsDataset(data=shards, **SETTINGS).train
    assert there.identity()[0] == here.identity()[0]
    for process in range(2):
        read = partial(batches, first=3, count=6, process=process, workers=workers)
        assert list(read(there)) == list(read(here))


def test_a_url_may_have_a_query_and_no_shard_is_fetched_to_look_for_folders(
    shards: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index_all(shards)
    asked: list[str] = []
    monkeypatch.setattr(Ranges, "log_request", lambda handler, *_: asked.append(f"{handler.command} {handler.path}"))
    dataset = ShardsDataset(data=f"{server}/photos-000.tar?key=a=b", **SETTINGS)
    assert len(dataset.train) + len(dataset.validation) == 25
    assert asked == ["HEAD /photos-000.tar?key=a=b", "GET /photos-000.idx?key=a=b"]


def test_what_a_network_did_not_answer_is_asked_for_again(
    shards: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index_all(shards)
    images = ShardsDataset(data=f"{server}/photos-000.tar", **SETTINGS).train
    monkeypatch.setattr(Ranges, "failures", 2)
    assert values(images) == values(ShardsDataset(data=shards / "photos-000.tar", **SETTINGS).train)
    monkeypatch.setattr(Ranges, "failures", 10**6)
    with pytest.raises(DataError, match=rf"cannot read {server}/photos-000\.tar: the server answers 503"):
        images.load(0, 0)


def test_messages_have_no_password(server: str) -> None:
    base = server.replace("//", "//user:secret@")
    dataset = ShardsDataset(data=[f"{base}/photos-000.tar", f"{base}/photos-001.tar"], **SETTINGS)
    texts = [*dataset.notes, dataset.train.name(0)]
    for wrong in ("none.tar", "none", "{", "photos-000.tar/*.tar"):
        with pytest.raises(DataError) as caught:
            ShardsDataset(data=f"{base}/{wrong}", **SETTINGS)
        texts.append(str(caught.value))
    assert not [text for text in texts if "secret" in text]
    assert all("//user:***@" in text for text in texts if "samples" in text or "cannot read" in text)


def test_a_server_that_sends_whole_files_instead_of_parts_is_named(
    shards: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index_all(shards)
    images = ShardsDataset(data=f"{server}/photos-000.tar", **SETTINGS).train
    monkeypatch.setattr(Ranges, "ranges", False)
    with pytest.raises(DataError, match="sends whole files instead of parts"):
        images.load(0, 0)


def test_shards_of_a_chained_url_are_kept_on_this_machine(shards: Path, server: str) -> None:
    images = ShardsDataset(data=f"simplecache::{server}/photos-{{000..001}}.tar", **SETTINGS).train
    before = values(images)
    for path in shards.glob("*.tar"):
        path.unlink()
    assert values(images) == before
