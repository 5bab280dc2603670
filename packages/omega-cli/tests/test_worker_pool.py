import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing import forkserver
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest

from omega_cli.failures import Terminated
from omega_cli.jobs import Done, Problem
from omega_cli.worker_pool import _elsewhere, carry_out, process_count
from omega_core.errors import OutputError

HERE = Path(__file__).parent


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module beside this one, where other processes find it too."""
    monkeypatch.syspath_prepend(HERE)
    import fake_worker

    return fake_worker


@pytest.fixture(autouse=True)
def new_streams() -> Iterator[None]:
    """Processes of the next test write to its streams, not to those of the first one with several processes."""
    yield
    forkserver._forkserver._stop()  # type: ignore[attr-defined]  # made for tests


def jobs(fake: ModuleType, *deeds: str) -> list[Any]:
    return [fake.FakeJob(Path(f"{number}/{deed}.png")) for number, deed in enumerate(deeds)]


@pytest.mark.parametrize("processes", [1, 2])
def test_every_job_is_done_by_the_one_worker_of_a_process(fake: ModuleType, processes: int) -> None:
    done = list(carry_out(fake.FakeWorker(), jobs(fake, *["well"] * 30), processes, "job"))
    assert sum(each.pictures for each in done) == len(done) == 30
    calls: dict[int, list[int]] = {}
    for _, process, call in (each.made for each in done):
        calls.setdefault(process, []).append(call)
    assert all(sorted(each) == list(range(1, len(each) + 1)) for each in calls.values())
    assert (os.getpid() in calls) == (processes == 1)


def test_jobs_are_done_in_their_order_in_one_process(fake: ModuleType) -> None:
    work = [fake.FakeJob(Path(f"{number}.png")) for number in range(9)]
    done = carry_out(fake.FakeWorker(), work, 1, "job")
    assert [each.made[0] for each in done] == [f"{number}.png" for number in range(9)]


def test_nothing_to_do_starts_nobody(fake: ModuleType) -> None:
    assert list(carry_out(fake.FakeWorker(), [], 2, "job")) == []


@pytest.mark.parametrize("processes", [1, 2])
def test_jobs_that_fail_are_named_and_do_not_stop_the_others(
    fake: ModuleType, processes: int, capfd: pytest.CaptureFixture[str]
) -> None:
    work = jobs(fake, "well", "fail", "well", "drown", "well", "err", "recur", "leave", "refuse", "well")
    total = Done()
    for done in carry_out(fake.FakeWorker(), work, processes, "job"):
        total.add(done)
    problems = {
        str(work[1].source): "it fails.",
        str(work[3].source): "not enough memory.",
        str(work[5].source): "ZeroDivisionError: by zero.",
        str(work[6].source): "RecursionError: maximum recursion depth exceeded",
        str(work[7].source): "SystemExit: 3.",
        str(work[8].source): "cannot write it.",
    }
    assert {name for problem in total.problems for name in problem.names} == set(problems)
    assert all(problem.reason.startswith(problems[problem.names[0]]) for problem in total.problems)
    said = capfd.readouterr().err.splitlines()
    assert sorted(said) == sorted(f"error: {problem}" for problem in total.problems)
    assert (total.pictures, total.bytes_in, total.bytes_out, total.pixels) == (4, 4, 8, 12)


@pytest.mark.parametrize("processes", [1, 2])
def test_where_a_mistake_of_ours_comes_from_is_shown_if_asked(
    fake: ModuleType, processes: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["omega", "--debug"])
    list(carry_out(fake.FakeWorker(), jobs(fake, "err", "fail"), processes, "job"))
    said = capfd.readouterr().err
    assert said.count("Traceback") == 1
    assert "in __call__" in said


@pytest.mark.parametrize("processes", [1, 2])
def test_what_many_jobs_warn_of_is_said_once(
    fake: ModuleType, processes: int, capfd: pytest.CaptureFixture[str]
) -> None:
    done = list(carry_out(fake.FakeWorker(), jobs(fake, *["warn"] * 8), processes, "job"))
    assert [each.remarks for each in done] == [["it is warm."]] * 8
    assert capfd.readouterr().err == "warning: it is warm.\n"


@pytest.mark.parametrize("processes", [1, 2])
def test_a_disk_that_cannot_be_written_stops_everything(
    fake: ModuleType, processes: int, capfd: pytest.CaptureFixture[str]
) -> None:
    done = carry_out(fake.FakeWorker(), jobs(fake, "stop", *["well"] * 200), processes, "job")
    with pytest.raises(OutputError, match="cannot write it"):
        pytest.fail(f"{len(list(done))} of 201 were done")
    assert capfd.readouterr().err == ""


def test_a_process_that_is_killed_costs_its_job_alone_and_is_replaced(
    fake: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    work = jobs(fake, "well", "die", *["well"] * 10, "die", *["well"] * 10)
    total = Done()
    for done in carry_out(fake.FakeWorker(), work, 2, "job"):
        total.add(done)
    assert total.pictures == 21
    assert {problem.names for problem in total.problems} == {work[1].names, work[12].names}
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 2
    assert all("killed, perhaps because memory ran out" in line for line in said)


class SlotOfOneCore:
    """A slot of a cluster with one core, which one of the slots holds until it ends."""

    holder: "SlotOfOneCore | None" = None
    waiting: "list[Future[Done]]"

    def submit(self, job: object) -> "Future[Done]":
        future = Future[Done]()
        SlotOfOneCore.holder = SlotOfOneCore.holder or self
        if SlotOfOneCore.holder is self:
            future.set_result(Done(1))
        else:
            SlotOfOneCore.waiting.append(future)
        return future

    def result(self, future: "Future[Done]") -> Done:
        return future.result()

    def end(self) -> None:
        if SlotOfOneCore.holder is self:
            while SlotOfOneCore.waiting:
                SlotOfOneCore.waiting.pop().set_result(Done(1))


def test_slots_without_a_job_end_while_others_wait_for_their_core() -> None:
    SlotOfOneCore.holder, SlotOfOneCore.waiting = None, []
    done = list(_elsewhere([SlotOfOneCore() for _ in range(3)], cast(Any, range(7))))
    assert [each.pictures for each in done] == [1] * 7


IMPORTS_ONCE = """
import json, os, signal, sys
from multiprocessing import forkserver
from pathlib import Path
from fake_worker import FakeJob, ImportingWorker
from omega_cli.worker_pool import carry_out

if __name__ == "__main__":
    for number in "12":
        os.environ["NUMBER"] = number
        jobs = [FakeJob(Path(str(each))) for each in range(4)]
        print(json.dumps([done.made for done in carry_out(ImportingWorker(), jobs, 2, "job")]))
        if "kill" in sys.argv:
            os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
"""

HEAVY = """
import os, sys
import numpy

FAILS = {fails}
if FAILS and "multiprocessing.forkserver" in " ".join(sys.orig_argv):
    raise OSError("it cannot be imported here")
PROCESS, THREADS = os.getpid(), len(os.listdir("/proc/self/task"))
"""


def imported_once(folder: Path, *arguments: str, fails: bool = False, **environment: str) -> Iterator[list[set[Any]]]:
    """Run twice jobs that import a module, in two processes: where it was, threads there, processes, environments."""
    (folder / "program.py").write_text(IMPORTS_ONCE)
    (folder / "heavy.py").write_text(HEAVY.format(fails=fails))
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "numpy.py").write_text("raise SystemExit('imported from the current folder')")
    others = {name: text for name, text in os.environ.items() if not name.endswith("_NUM_THREADS")}
    paths = os.pathsep.join([str(folder), str(HERE)])
    done = subprocess.run(
        [sys.executable, "-W", "error", folder / "program.py", *arguments],
        cwd=folder / "elsewhere",
        env={**others, "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    if not fails:
        assert done.stderr == ""
    for number, line in zip("12", done.stdout.splitlines(), strict=True):
        found = [set(each) for each in zip(*json.loads(line), strict=True)]
        assert found[3] == {number}, "the environment of the command, not that of when its first process was started"
        yield found


needs_fork_server = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, each process begins anew")


@needs_fork_server
def test_what_takes_long_to_import_is_imported_once_for_all_processes(tmp_path: Path) -> None:
    for imported, threads, own, _ in imported_once(tmp_path):
        assert len(imported) == 1
        assert not imported & own
        assert threads == {1}, "a fork of a process with threads may hang"


@needs_fork_server
def test_processes_begin_anew_where_none_can_be_forked(tmp_path: Path) -> None:
    """As the path of its socket is too long, or an import fails there."""
    far = tmp_path / ("a" * 60) / ("b" * 60)
    far.mkdir(parents=True)
    for number, (fails, folder) in enumerate(((False, far), (True, tmp_path))):
        (tmp_path / str(number)).mkdir()
        for imported, _, own, _ in imported_once(tmp_path / str(number), fails=fails, TMPDIR=str(folder)):
            assert imported == own


@needs_fork_server
def test_after_the_process_was_killed_that_others_fork_from_there_is_another(tmp_path: Path) -> None:
    assert len(list(imported_once(tmp_path, "kill"))) == 2


@pytest.mark.parametrize("deed", ["die once", "crowded"])
def test_what_does_not_fit_beside_other_jobs_is_done_again_alone(
    fake: ModuleType, tmp_path: Path, deed: str, capfd: pytest.CaptureFixture[str]
) -> None:
    work = [*jobs(fake, *["well"] * 4), fake.FakeJob(tmp_path / f"{deed}.png"), *jobs(fake, *["well"] * 4)]
    done = list(carry_out(fake.FakeWorker(), work, 2, "job"))
    assert sum(each.pictures for each in done) == len(done) == 9
    assert done[-1].names == (str(tmp_path / f"{deed}.png"),)
    assert capfd.readouterr().err == ""


def test_of_jobs_that_were_done_together_only_the_one_fails_that_kills_its_process(fake: ModuleType) -> None:
    group = fake.FakeJob(Path("0/well.png"), (Path("1/die.png"), Path("2/well.png")))
    (done,) = carry_out(fake.FakeWorker(), [group], 2, "job")
    assert [problem.names for problem in done.problems] == [(str(Path("1/die.png")),)]
    assert (done.pictures, done.names) == (2, group.names)


def test_what_is_said_of_jobs_that_were_done_together_and_again_alone_is_not_lost(fake: ModuleType) -> None:
    group = fake.FakeJob(Path("0/warn.png"), (Path("1/die.png"), Path("2/err.png")))
    (done,) = carry_out(fake.FakeWorker(), [group], 2, "job")
    assert done.remarks == ["it is warm."]
    assert "ZeroDivisionError" in "".join(done.traces)


def test_a_problem_of_several_inputs_is_one_line() -> None:
    assert str(Problem(("a",), "it fails.")) == "a: it fails."
    assert str(Problem(("a", "b", "c"), "it fails.")) == "a and 2 others: it fails."


def test_who_needs_no_more_need_not_wait_for_all(fake: ModuleType) -> None:
    done = carry_out(fake.FakeWorker(), jobs(fake, *["well"] * 10_000), 2, "job")
    next(done)
    started = time.monotonic()
    done.close()  # type: ignore[attr-defined]
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("asked", "jobs", "worth", "cores", "count"),
    [
        (None, 0, None, 8, 1),
        (None, 1, None, 8, 1),
        (None, 511, None, 8, 1),
        (None, 512, None, 8, 2),
        (None, 1_000_000, None, 8, 8),
        (None, 1_000_000, None, 1, 1),
        (None, 24, 40, 8, 8),
        (None, 24, 3, 8, 3),
        (None, 24, 0, 8, 1),
        (None, 2, 40, 8, 2),
        (1, 1_000_000, 40, 8, 1),
        (4, 1_000, 1, 8, 4),
        (4, 3, None, 8, 3),
        (4, 0, None, 8, 1),
    ],
)
def test_there_are_as_many_processes_as_asked_for_or_as_pay(
    monkeypatch: pytest.MonkeyPatch, asked: int | None, jobs: int, worth: int | None, cores: int, count: int
) -> None:
    monkeypatch.setattr("omega_cli.worker_pool.available_cores", lambda: cores)
    assert process_count(asked, jobs, worth) == count


@pytest.fixture
def waiting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A command of its own process group, all of whose processes have begun to write a file and take long."""
    paths = [tmp_path / str(number) / "wait.png" for number in range(8)]
    command = [sys.executable, HERE / "fake_worker.py", str(request.param), *paths]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        ends = time.monotonic() + 60
        while len(list(tmp_path.rglob("*.begun"))) < request.param:
            assert process.poll() is None
            assert time.monotonic() < ends
            time.sleep(0.02)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


needs_signals = pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs the signals of POSIX")


@needs_signals
@pytest.mark.parametrize("waiting", [1, 2], indirect=True)
def test_workers_end_when_their_parent_is_killed(waiting: subprocess.Popen[str]) -> None:
    waiting.kill()
    said, _ = waiting.communicate(timeout=10)  # returns when none of them holds the pipe any more
    assert "Traceback" not in said


@needs_signals
@pytest.mark.parametrize("presses", [1, 2])
@pytest.mark.parametrize("waiting", [1, 2], indirect=True)
def test_ctrl_c_ends_soon_and_leaves_nothing_behind(
    waiting: subprocess.Popen[str], presses: int, tmp_path: Path
) -> None:
    for _ in range(presses):
        if waiting.poll() is None:
            os.killpg(waiting.pid, signal.SIGINT)
        time.sleep(0.3)
    said, _ = waiting.communicate(timeout=10)
    assert waiting.returncode == 130
    assert said == "error: stopped.\n"
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".begun"}


@needs_signals
@pytest.mark.parametrize("processes", [1, 2])
def test_a_signal_during_a_finalizer_stops_a_process_all_the_same(tmp_path: Path, processes: int) -> None:
    paths = [tmp_path / str(number) / "be stopped.png" for number in range(2)]
    command = [sys.executable, HERE / "fake_worker.py", str(processes), *paths]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=50)
    assert done.returncode == (143 if processes == 1 else 0)
    assert "Traceback" not in done.stdout
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".begun"}


def test_a_signal_ends_a_run_in_this_process_and_is_no_error_of_a_picture(fake: ModuleType) -> None:
    def end(_: Any) -> Done:
        raise Terminated(143)

    with pytest.raises(Terminated) as ended:
        list(carry_out(end, jobs(fake, "well", "well"), 1, "job"))
    assert ended.value.status == 143


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked by a server on Linux")
def test_the_process_that_forks_others_is_not_interrupted_while_it_imports(fake: ModuleType) -> None:
    next(iter(carry_out(fake.FakeWorker(), jobs(fake, "well", "well"), 2, "job")))
    server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]  # made for tests
    status = dict(line.split(":", 1) for line in Path(f"/proc/{server}/status").read_text().splitlines())
    assert int(status["SigBlk"], 16) & 1 << (signal.SIGINT - 1)
