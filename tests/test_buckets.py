"""Pictures, files and models in buckets of S3, as a server on this machine has them."""

import http.server
import json
import logging
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from omega_core.codec.model_file import read_description
from omega_core.errors import StoreError, TargetExistsError
from omega_core.file_io import write_whole
from omega_core.format.packs import parse
from omega_core.locations import Url

s3fs = pytest.importorskip("s3fs")
pytest.importorskip("moto")
import boto3  # noqa: E402
from fsspec.registry import _registry as KINDS  # noqa: E402
from moto.server import ThreadedMotoServer  # noqa: E402

Run = Callable[..., subprocess.CompletedProcess[str]]
GOLDEN = Path(__file__).parent / "golden"
MODEL = GOLDEN / "model.safetensors"
MARK = read_description(MODEL)[1]
NAMES = ["a.png", "a.bmp", "deeper/b.png", "deeper/ünï c::d#1.png"]
TOP = Url("s3://bucket")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a server of S3."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    running.start()
    yield "http://{}:{}".format(*running.get_host_and_port())
    running.stop()


@pytest.fixture(autouse=True)
def s3(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The environment in which the server is found, and a client of it. There is an empty bucket `bucket`."""
    monkeypatch.setenv("OMEGA_CACHE", str(tmp_path / "cache"))
    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="bucket")
    s3fs.S3FileSystem.clear_instance_cache()
    yield client
    s3fs.S3FileSystem.clear_instance_cache()
    client.delete_bucket_policy(Bucket="bucket")
    for name in stored(client):
        client.delete_object(Bucket="bucket", Key=name)
    client.delete_bucket(Bucket="bucket")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of pictures."""
    for number, name in enumerate(NAMES):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (28, 28), np.uint8)).save(path)
    return tmp_path / "in"


@pytest.fixture
def photos(folder: Path, s3: Any) -> Url:
    """The same in the bucket, and a model beside them."""
    for name, data in files(folder).items():
        s3.put_object(Bucket="bucket", Key=f"in/{name}", Body=data)
    s3.put_object(Bucket="bucket", Key="model.safetensors", Body=MODEL.read_bytes())
    return TOP / "in"


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def stored(s3: Any, prefix: str = "") -> dict[str, bytes]:
    """What is in the bucket, by the rest of its key."""
    found = s3.list_objects_v2(Bucket="bucket", Prefix=prefix).get("Contents", [])
    return {
        each["Key"].removeprefix(prefix): s3.get_object(Bucket="bucket", Key=each["Key"])["Body"].read()
        for each in found
    }


def deny(s3: Any, *actions: str) -> None:
    resources = ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"]
    statement = {"Effect": "Deny", "Principal": "*", "Action": list(actions), "Resource": resources}
    s3.put_bucket_policy(Bucket="bucket", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def test_a_folder_of_a_bucket_becomes_one_as_here(
    folder: Path, photos: Url, s3: Any, omega_here: Run, tmp_path: Path
) -> None:
    here = omega_here("compress", folder, "-o", tmp_path / "files", "--model", MODEL)
    done = omega_here("compress", photos, "-o", TOP / "files", "--model", TOP / "model.safetensors")
    assert (done.returncode, done.stdout) == (0, here.stdout.replace(str(tmp_path), str(TOP))), done.stderr
    assert stored(s3, "files/") == files(tmp_path / "files")
    done = omega_here(
        "decompress", TOP / "files", "-o", TOP / "pictures/", "--model", f"{TOP}/model.safetensors#{MARK}"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert set(stored(s3, "pictures/")) == {"a.bmp.png", "a.png.png", "deeper/b.png", "deeper/ünï c::d#1.png"}


def test_packs_are_made_and_parts_of_them_are_read(photos: Url, s3: Any, omega_here: Run, tmp_path: Path) -> None:
    done = omega_here("compress", photos, "-o", TOP / "packs/", "--pack", "--model", MODEL)
    assert done.returncode == 0, done.stderr
    assert set(stored(s3, "packs/")) == {"in.omega"}
    done = omega_here("decompress", TOP / "packs", "-o", tmp_path / "out", "--only", "deeper/*", "--model", MODEL)
    assert done.returncode == 0, done.stderr
    assert len(files(tmp_path / "out")) == 2


def test_of_several_that_write_one_file_the_first_does(s3: Any) -> None:
    start = threading.Barrier(4)

    def write(number: int) -> bool:
        start.wait()
        try:
            write_whole(TOP / "a.bin", bytes([number]), overwrite=False)
        except TargetExistsError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        wrote = list(pool.map(write, range(4)))
    assert wrote.count(True) == 1
    assert stored(s3) == {"a.bin": bytes([wrote.index(True)])}
    write_whole(TOP / "a.bin", b"new")
    assert stored(s3) == {"a.bin": b"new"}


def test_a_killed_command_leaves_whole_files_and_the_next_one_goes_on(
    s3: Any, start_omega: Any, omega_here: Run, folder: Path
) -> None:
    for number in range(40):
        shutil.copy(folder / "a.png", folder / f"{number}.png")
    command = ("compress", folder, "-o", TOP / "files", "--model", MODEL)
    started, said = start_omega(*command)
    with said:
        while len(stored(s3, "files/")) < 3:
            assert started.poll() is None
            time.sleep(0.05)
        started.kill()
        started.wait(20)
    before = stored(s3, "files/")
    assert 3 <= len(before) < 44
    for data in before.values():
        parse(data)
    done = omega_here(*command, "--skip-existing")
    assert done.returncode == 0, done.stderr
    assert f"{len(before)} skipped" in done.stdout
    after = stored(s3, "files/")
    assert len(after) == 44
    assert after.items() >= before.items()


def test_a_bucket_that_may_not_be_written_is_one_error_and_what_was_done_stays(
    folder: Path, s3: Any, omega_here: Run
) -> None:
    command = ("compress", folder, "-o", TOP / "files", "--model", MODEL)
    assert omega_here("compress", folder / "a.png", "-o", TOP / "files", "--model", MODEL).returncode == 0
    before = stored(s3, "files/")
    deny(s3, "s3:PutObject")
    done = omega_here(*command, "--skip-existing")
    assert done.returncode == 2
    (error,) = done.stderr.splitlines()
    assert error.startswith("error: cannot write s3://bucket/files/")
    assert error.endswith(": access is denied (Forbidden).")
    assert stored(s3, "files/") == before
    s3.delete_bucket_policy(Bucket="bucket")
    done = omega_here(*command, "--skip-existing")
    assert done.returncode == 0, done.stderr
    assert len(stored(s3, "files/")) == 5  # a.omega, which is not the name that it has beside a.bmp, and four


def test_a_bucket_that_may_not_be_read_is_an_error_for_each_input(photos: Url, s3: Any, omega_here: Run) -> None:
    deny(s3, "s3:GetObject")
    done = omega_here("compress", photos / "a.png", photos / "deeper/b.png", "-o", TOP / "files", "--model", MODEL)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"error: {photos / name}: the picture cannot be read: access is denied (Forbidden)."
        for name in ("a.png", "deeper/b.png")
    ]
    done = omega_here("info", TOP / "model.safetensors")
    assert done.stderr == "error: cannot read s3://bucket/model.safetensors: access is denied (Forbidden).\n"
    done = omega_here("models", TOP / "model.safetensors")
    assert done.stderr == "error: cannot read the model s3://bucket/model.safetensors: access is denied (Forbidden).\n"


def test_a_bucket_that_is_not_there_is_one_error(folder: Path, omega_here: Run, tmp_path: Path) -> None:
    nowhere = Url("s3://nowhere")
    for command, error in (
        (("compress", folder, "-o", nowhere / "out"), f"cannot reach {nowhere}/out: the bucket does not exist."),
        (
            ("compress", nowhere / "in", "-o", tmp_path / "out"),
            f"{nowhere}/in: cannot read it: the bucket does not exist.",
        ),
        (("compress", nowhere, "-o", tmp_path / "out"), f"{nowhere}: there is no file or folder {nowhere}."),
        (
            ("compress", folder, "-o", tmp_path / "out", "--model", nowhere / "m.safetensors"),
            f"cannot read the model {nowhere}/m.safetensors: the bucket does not exist.",
        ),
    ):
        done = omega_here(*command, *(() if "--model" in command else ("--model", MODEL)))
        assert (done.returncode, done.stderr) == (2, f"error: {error}\n")
    with pytest.raises(StoreError, match="the bucket does not exist"):
        write_whole(nowhere / "a", b"1", overwrite=False)
    assert not (tmp_path / "out").exists()


def test_keys_that_are_no_paths_are_errors_and_folders_without_files_are_nothing(
    photos: Url, s3: Any, omega_here: Run, tmp_path: Path
) -> None:
    for name in ("../../up.png", "x//y.png", "/etc/z.png"):
        s3.put_object(Bucket="bucket", Key=f"in/deeper/{name}", Body=b"1")
    s3.put_object(Bucket="bucket", Key="in/deeper/empty/", Body=b"")
    done = omega_here("compress", TOP / "in/deeper", "-o", tmp_path / "out", "--model", MODEL)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"error: {photos}/deeper/{name}: its name is not a relative path."
        for name in ("../../up.png", "/etc/z.png", "x//y.png")
    ]
    assert set(files(tmp_path / "out")) == {"b.omega", "ünï c::d#1.omega"}


def test_missing_credentials_and_libraries_are_one_error(
    folder: Path, omega_here: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("compress", folder, "-o", TOP / "out", "--model", MODEL)
    with monkeypatch.context() as without:
        without.delenv("AWS_ACCESS_KEY_ID")
        without.delenv("AWS_SECRET_ACCESS_KEY")
        done = omega_here(*command)
        assert (done.returncode, done.stderr) == (2, f"error: cannot reach {TOP}/out: Unable to locate credentials.\n")
    s3fs.S3FileSystem.clear_instance_cache()
    with monkeypatch.context() as without:
        without.delitem(KINDS, "s3")
        without.setitem(sys.modules, "s3fs", None)
        done = omega_here(*command)
        assert (done.returncode, done.stderr) == (2, "error: s3:// needs s3fs, which is not installed: install s3fs.\n")


def test_a_server_that_breaks_down_is_one_error(folder: Path, omega_here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Overloaded(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_expect_100(self) -> bool:
            self.send_error(503)  # before what is to be written is sent
            return False

        def do_PUT(self) -> None:
            self.send_error(503)

        def do_GET(self) -> None:
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Overloaded) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        done = omega_here("compress", folder, "-o", TOP / "out", "--model", MODEL)
        server.shutdown()
    assert done.returncode == 2
    (error,) = done.stderr.splitlines()
    assert error.startswith(f"error: cannot write {TOP}/out/a.bmp.omega: ")
    assert error.endswith(": Service Unavailable.")
