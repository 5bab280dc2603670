"""What a command and a process of a cluster do without a cluster; `test_clusters.py` has real ones."""

import logging
import pickle
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from omega_cli.compress_workers import CompressWorker
from omega_cli.executors import cluster
from omega_cli.executors.cluster import Cluster, Executor, cluster_of
from omega_cli.executors.remote import RemoteWorker
from omega_cli.executors.slots import ClusterError, cannot_do
from omega_cli.logs import printed_logs, show
from omega_cli.options import LazyModel
from omega_cli.output_files import Existing, write_result
from omega_cli.output_names import Job
from omega_core.errors import MissingExtraError, OmegaError, TargetExistsError
from omega_core.format.rate_control import Rate
from omega_core.locations import Url

HERE = Path(__file__).parent


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(HERE)
    import fake_worker

    return fake_worker


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The libraries of all clusters are taken for installed, and no variable names a scheduler."""
    monkeypatch.setattr(cluster, "find_spec", lambda name: name)
    for variable in ("DASK_SCHEDULER_ADDRESS", "RAY_ADDRESS"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize(
    ("executor", "settings", "says"),
    [
        ("local", {"address": "tcp://a:1"}, "--executor-address needs --executor dask or ray"),
        ("dask", {}, "--executor dask needs --executor-address, or DASK_SCHEDULER_ADDRESS"),
        ("ray", {}, "--executor ray needs --executor-address, or RAY_ADDRESS"),
        (
            "dask",
            {"address": "tcp://a:1", "streams": True},
            "standard input, standard output and previews do not work on a cluster",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    installed: None, executor: str, settings: dict[str, Any], says: str
) -> None:
    with pytest.raises(OmegaError, match=says):
        cluster_of(Executor(executor), **{"address": None, "workers": None, "locations": [], **settings})


def test_the_library_of_a_cluster_that_is_missing_is_named(installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda _: None)
    with pytest.raises(
        MissingExtraError, match=r"needs the package distributed: install omega-cli with its extra dask\."
    ):
        cluster_of(Executor.dask, "tcp://a:1", None, [])


def test_a_scheduler_is_the_one_of_the_option_or_else_of_the_environment(
    installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cluster_of(Executor.local, None, 3, []) is None
    monkeypatch.setenv("RAY_ADDRESS", "b:2")
    for given, taken in ((None, "b:2"), ("a:1", "a:1")):
        found = cluster_of(Executor.ray, given, None, [])
        assert found is not None
        assert found.address == taken


def test_only_for_relative_paths_machines_need_the_folder_of_the_command(installed: None, tmp_path: Path) -> None:
    for places, folder in (([Url("s3://bucket/in"), tmp_path], None), ([Url("s3://bucket/in"), Path("a")], Path.cwd())):
        found = cluster_of(Executor.dask, "tcp://a:1", None, places)
        assert found is not None
        assert found.folder == folder


@pytest.mark.parametrize("address", ["local", "ray://head:10001", ":6379", "head:"])
def test_what_is_no_address_of_a_head_of_ray_is_an_error(fake: ModuleType, address: str) -> None:
    slots = Cluster(Executor.ray, address).slots(fake.FakeWorker(), 1)
    with pytest.raises(ClusterError, match=f"is HOST:PORT, or auto, not {address}"), slots:
        pass


def test_a_process_of_a_cluster_has_one_worker_and_works_in_the_folder_of_the_command(
    fake: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    jobs = [fake.FakeJob(Path(f"{number}/{deed}.png")) for number, deed in enumerate(["well", "crowded", "well"])]
    Path("1").mkdir()
    remote = RemoteWorker(fake.FakeWorker(), tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    done = [pickle.loads(pickle.dumps(remote))(job) for job in jobs]
    assert [each.made and each.made[2] for each in done] == [1, None, 3], "calls of one and the same worker"
    assert done[1].exhausted
    assert (tmp_path / "1" / "crowded.png").exists()
    assert Path.cwd() == elsewhere


def test_a_model_that_vanished_before_a_job_is_an_error_of_the_job(tmp_path: Path) -> None:
    model = LazyModel(str(tmp_path / "gone.safetensors"), None, quiet=True)
    worker = CompressWorker(model, None, None, Rate(), 0, False, False, Existing.refuse)
    (tmp_path / "a.png").write_bytes(b"")
    done = RemoteWorker(worker, None)(Job(tmp_path / "a.png", tmp_path / "a.omega"))
    [problem] = done.problems
    assert problem.names == (str(tmp_path / "a.png"),)
    assert "gone.safetensors" in problem.reason


def test_a_machine_without_the_files_of_the_command_is_named(fake: ModuleType, tmp_path: Path) -> None:
    remote = RemoteWorker(fake.FakeWorker(), tmp_path / "here")
    with pytest.raises(ClusterError, match=r"the folder .*here does not exist on a machine of the cluster"):
        remote(fake.FakeJob(Path("well.png")))


@pytest.mark.parametrize("kind", ["Dask", "Ray"])
def test_packages_that_are_not_on_a_machine_of_the_cluster_are_named_in_one_line(kind: str) -> None:
    missing = ModuleNotFoundError("No module named 'omega_cli'")
    problem = RuntimeError(
        f"The actor died: \x1b[36mray::\x1b[39m\ntraceback:\n    ^^^^\n{type(missing).__name__}: {missing}\n"
    )
    if kind == "Dask":
        problem = RuntimeError("Error during deserialization of the task graph.\nThis frequently occurs")
        problem.__cause__ = missing
    assert str(cannot_do(kind, problem)) == (
        f"the workers of {kind} cannot do this: ModuleNotFoundError: No module named 'omega_cli'. They need the same"
        " packages as this machine."
    )


@pytest.mark.parametrize("verbose", [False, True])
def test_lines_of_the_log_of_a_cluster_come_with_results_as_options_say(fake: ModuleType, verbose: bool) -> None:
    with printed_logs():
        show(quiet=False, verbose=verbose)
        remote = RemoteWorker(fake.FakeWorker(), None)
    [*quiet, warning] = remote(fake.FakeJob(Path("log.png"))).logged
    assert quiet == [("omega_core.fake", logging.INFO, "it is 100% done.")] * verbose
    assert warning == ("another", logging.WARNING, "a warning")
    assert not logging.getLogger("omega_core.fake").isEnabledFor(logging.INFO)


def test_a_job_that_is_done_again_finds_its_own_result_but_replaces_no_other(tmp_path: Path) -> None:
    target = tmp_path / "a.omega"
    write_result(target, b"one", Existing.refuse)
    before = target.stat().st_ino
    write_result(target, b"one", Existing.refuse)
    with pytest.raises(TargetExistsError):
        write_result(target, b"other", Existing.refuse)
    assert target.stat().st_ino == before
    assert target.read_bytes() == b"one"
