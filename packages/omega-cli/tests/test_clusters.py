"""Jobs and commands on real clusters, each of two workers on this machine."""

import logging
import os
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from omega_cli import main
from omega_cli.executors.cluster import Cluster, Executor
from omega_cli.jobs import Done
from omega_cli.worker_pool import carry_out
from omega_core.errors import OutputError

for module in ("distributed", "ray", "psutil", "s3fs", "moto"):  # as the session `ci_checkout` has them
    pytest.importorskip(module)

HERE = Path(__file__).parent
MODEL = HERE.parents[2] / "tests" / "golden" / "model.safetensors"
PICTURES = 150
PATIENCE = 300  # seconds, where the machine is busy


@pytest.fixture(scope="module")
def store() -> Iterator[dict[str, str]]:
    """A server of S3: the environment in which it is found."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    running.start()
    yield {
        "AWS_ENDPOINT_URL": "http://{}:{}".format(*running.get_host_and_port()),
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    running.stop()


@pytest.fixture(scope="module", params=["dask", "ray"])
def cluster(
    request: pytest.FixtureRequest, store: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HERE)
        from local_cluster import LocalCluster

        folder = tmp_path_factory.mktemp("cluster")
        local = LocalCluster(request.param, folder, HERE, **store, OMEGA_CACHE=str(folder / "cache"))
        try:
            yield local
        finally:
            local.end()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(HERE)
    import fake_worker

    return fake_worker


def carried_out(cluster: Any, worker: Any, jobs: list[Any]) -> list[Done]:
    where = Cluster(Executor(cluster.kind), cluster.address)
    return list(carry_out(worker, jobs, 1, "job", quiet=True, cluster=where))


def test_jobs_on_a_cluster_are_done_as_in_processes_of_this_machine(
    cluster: Any, fake: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    deeds = [*["well"] * 9, "die", "warn", "fail", "warn", "crowded", *["well"] * 4]
    jobs = [fake.FakeJob(tmp_path / f"{number}" / f"{deed}.png") for number, deed in enumerate(deeds)]
    (tmp_path / "13").mkdir()
    done = carried_out(cluster, fake.FakeWorker(), jobs)
    assert sorted(each.names for each in done) == sorted(job.names for job in jobs)
    problems = {problem.names: problem.reason for each in done for problem in each.problems}
    killed = "its process was killed, perhaps because memory ran out."
    assert problems == {jobs[9].names: killed, jobs[11].names: "it fails."}
    assert sum(each.pictures for each in done) == len(deeds) - 2
    assert os.getpid() not in {each.made[1] for each in done if each.pictures}
    said = capfd.readouterr()
    lines = [line for line in said.err.splitlines() if "has no workers yet" not in line]
    assert sorted(lines) == sorted(
        ["warning: it is warm.", *(f"error: {names[0]}: {reason}" for names, reason in problems.items())]
    )
    assert said.out == ""


def test_a_disk_that_is_full_on_a_cluster_stops_everything(cluster: Any, fake: ModuleType, tmp_path: Path) -> None:
    jobs = [
        fake.FakeJob(tmp_path / f"{number}" / f"{deed}.png") for number, deed in enumerate(["stop", *["well"] * 50])
    ]
    with pytest.raises(OutputError, match="cannot write it"):
        carried_out(cluster, fake.FakeWorker(), jobs)


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the command `omega` in a process of its own."""
    started = list[subprocess.Popen[str]]()

    def run(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "omega_cli", *map(str, arguments)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def omega(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """The command `omega` in this process: its status, and what it says."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["omega", *map(str, arguments)])
        capsys.readouterr()
        with warnings.catch_warnings(), pytest.raises(SystemExit) as left:
            main.run()
        return int(left.value.code or 0), *capsys.readouterr()

    return run


def options(cluster: Any) -> list[object]:
    return ["--model", MODEL, "--executor", cluster.kind, "--executor-address", cluster.address]


def wait_for_files(folder: Path, process: subprocess.Popen[str]) -> None:
    ends = time.monotonic() + PATIENCE
    while len(list(folder.glob("*.omega"))) < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures, of which one is damaged."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(PICTURES):
        pixels = np.random.default_rng(number).integers(0, 256, (28, 28), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
    (folder / "bad.png").write_bytes(b"no picture")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*")}


def lines_of(said: str) -> list[str]:
    return [line for line in said.splitlines() if not re.match(r"\d+ of \d+ pictures", line)]


def test_every_picture_is_accounted_for_once_though_a_worker_is_killed(
    cluster: Any, photos: Path, start: Any, omega: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # relative paths are those of the command, wherever its workers are
    (tmp_path / "photos").symlink_to(photos)
    process = start("compress", "photos", "--output", "there", *options(cluster))
    wait_for_files(tmp_path / "there", process)
    cluster.kill_worker()
    assert process.poll() is None
    said, complaint = process.communicate(timeout=PATIENCE)
    here = omega("compress", "photos", "--output", "here", "--model", MODEL, "--workers", 1)
    assert said.replace("in there", "in here") == here[1]
    assert (process.returncode, lines_of(complaint)) == (here[0], lines_of(here[2]))
    assert re.fullmatch(rf"{PICTURES} pictures, .* bpp\), 1 failed, in .*\n", said)
    files = content(tmp_path / "here")
    assert content(tmp_path / "there") == files
    for name in list(files)[::50]:
        (tmp_path / "there" / name).unlink()
    again = ["--skip-existing", "--workers", 1, *options(cluster)]
    status, said, _ = omega("compress", "photos", "--output", "there", *again)
    assert status == 1
    assert re.fullmatch(rf"3 pictures, .* bpp\), {PICTURES - 3} skipped, 1 failed, in .*\n", said)
    assert content(tmp_path / "there") == files


def test_what_has_urls_needs_no_files_of_the_command_and_its_logs_come_home(
    cluster: Any, store: dict[str, str], photos: Path, omega: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    for name, value in {**store, "OMEGA_CACHE": str(tmp_path / "cache")}.items():
        monkeypatch.setenv(name, value)
    bucket, names = f"s3://{cluster.kind}", [path.name for path in sorted(photos.glob("?[02468]0.png"))]
    client = boto3.client("s3")
    client.create_bucket(Bucket=cluster.kind)
    client.put_object(Bucket=cluster.kind, Key="model.safetensors", Body=MODEL.read_bytes())
    for name in names:
        client.put_object(Bucket=cluster.kind, Key=f"in/{name}", Body=(photos / name).read_bytes())
    monkeypatch.setenv("OMEGA_MODEL", f"{bucket}/model.safetensors")
    where = options(cluster)[2:]
    status, said, complaint = omega("compress", f"{bucket}/in", "--output", f"{bucket}/out", "--verbose", *where)
    assert (status, said.split(",")[0]) == (0, f"{len(names)} pictures"), complaint
    lines = [re.sub(r"\d+ → \d+ bytes, [\d.]+ s$", "", line) for line in complaint.splitlines()]
    assert sorted(line for line in lines if line.startswith(f"{bucket}/in/")) == [f"{bucket}/in/{n}: " for n in names]
    copies = {line.partition(": ")[0] for line in lines if "loaded in" in line}
    assert len(copies) == 2, "that of the command, and that of processes which have another cache"
    written = [each["Key"] for each in client.list_objects_v2(Bucket=cluster.kind, Prefix="out/")["Contents"]]
    assert written == [f"out/{Path(name).stem}.omega" for name in names]


@pytest.mark.parametrize("cluster", ["dask"], indirect=True)
def test_files_and_packs_of_a_cluster_are_those_of_one_process(
    cluster: Any, photos: Path, omega: Any, tmp_path: Path
) -> None:
    for name, where in (("here", ["--model", MODEL]), ("there", options(cluster))):
        omega("compress", photos, "--output", tmp_path / f"{name}.omega", "--pack", *where)
        status, *_ = omega("decompress", tmp_path / f"{name}.omega", "--output", tmp_path / name, *where)
        assert status == 0
    assert (tmp_path / "here.omega").read_bytes() == (tmp_path / "there.omega").read_bytes()
    assert len(content(tmp_path / "here" / "here")) == PICTURES
    assert content(tmp_path / "here" / "here") == content(tmp_path / "there" / "there")


def test_a_scheduler_that_dies_is_one_error_and_the_rest_is_done_later(
    cluster: Any, photos: Path, start: Any, omega: Any, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    process = start("compress", photos, "--output", there, "--quiet", *options(cluster))
    wait_for_files(there, process)
    cluster.kill_scheduler()
    said, complaint = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said) == (1, "")
    [error] = [line for line in complaint.splitlines() if "bad.png" not in line]
    assert re.fullmatch(
        rf"error: the {cluster.kind.title()} \w+ at {cluster.address} is gone, after \d+ of {PICTURES + 1} pictures;"
        r" start again with --skip-existing, which keeps finished files\.",
        error,
    )
    cluster.end()
    done = len(content(there))
    assert 3 <= done < PICTURES
    _, said, _ = omega("compress", photos, "--output", there, "--skip-existing", "--model", MODEL)
    assert re.fullmatch(rf"{PICTURES - done} pictures, .* bpp\), {done} skipped, 1 failed, in .*\n", said)
    assert len(content(there)) == PICTURES


def test_a_scheduler_that_is_not_there_is_one_error(
    cluster: Any, photos: Path, omega: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omega_cli.executors.dask._TIMEOUT", 2.0)
    status, said, complaint = omega(
        "compress", photos, "--output", tmp_path, *options(cluster)
    )  # the last test ended it
    assert (status, said) == (2, "")
    assert re.fullmatch(rf"error: there is no {cluster.kind.title()} \w+ at {cluster.address}: .*\.\n", complaint)
