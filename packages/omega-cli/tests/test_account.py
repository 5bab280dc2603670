from pathlib import Path

import pytest
from typer import Exit

from omega_cli.account import Account
from omega_cli.jobs import Done, Problem
from omega_cli.messages import many, say, say_error, say_warning


def test_every_picture_of_a_job_is_done_or_failed() -> None:
    account = Account()
    account.add(Done(2, 100, 10, 160, [Problem(("b", "d"), "bad.")], names=("a", "b", "c", "d")))
    account.add(Done(1, 50, 5, 80, names=("e",)))
    assert (account.done, account.failed) == ({"a", "c", "e"}, {"b", "d"})
    assert (account.bytes_in, account.bytes_out, account.pixels) == (150, 15, 240)


@pytest.mark.parametrize(
    ("account", "says"),
    [
        (Account({"a"}, bytes_in=100, bytes_out=10, pixels=160), "1 picture, 100 → 10 bytes (0.50 bpp)"),
        (Account({"a", "b"}), "2 pictures"),
        (Account({"a"}, {"b", "c"}, {"d"}), "1 picture, 2 skipped, 1 failed"),
        (Account(skipped={"a"}), "0 pictures, 1 skipped"),
    ],
)
def test_the_summary_is_one_line(account: Account, says: str) -> None:
    assert account.summary() == says
    assert account.summary("out") == says + (" in out" if says == "2 pictures" else ", in out")


def test_what_is_left_out_is_counted_by_reason_and_detail(capsys: pytest.CaptureFixture[str]) -> None:
    kinds = {name: ("file of another kind", Path(name).suffix) for name in ("a.txt", "b.txt", "c.heic")}
    Account(left_out={**kinds, "d": ("link to a file taken anyway", "")}).say_left_out()
    assert capsys.readouterr().err == (
        "warning: left out: 3 files of another kind (.txt 2, .heic 1), 1 link to a file taken anyway.\n"
    )


@pytest.mark.parametrize("quiet", [False, True])
def test_what_is_left_out_is_always_said(quiet: bool, capsys: pytest.CaptureFixture[str]) -> None:
    account = Account({"a"}, left_out={"b": ("file of another kind", ".txt")})
    with pytest.raises(Exit) as caught:
        account.close(quiet=quiet, where="d")
    assert caught.value.exit_code == 0
    said = capsys.readouterr()
    assert said.out == ("" if quiet else "1 picture in d\n")
    assert said.err == "warning: left out: 1 file of another kind (.txt 1).\n"


@pytest.mark.parametrize(
    ("account", "status"),
    [
        (Account({"a"}, failed={"b"}), 1),
        (Account(skipped={"a"}, failed={"b"}), 1),
        (Account(failed={"a", "b"}), 2),
        (Account({"a"}, left_out={"b": ("file of another kind", "")}), 0),
        (Account(), 0),
    ],
)
def test_an_input_that_fails_decides_the_exit_status(account: Account, status: int) -> None:
    assert account.status == status
    with pytest.raises(Exit) as caught:
        account.close(quiet=True)
    assert caught.value.exit_code == status


def test_a_failure_is_printed_as_one_line_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    Account().fail("a\x1b[2J\nerror: b\r\u202e", "bad.")
    assert capsys.readouterr().err == "error: a\\u001b[2J\\u000aerror: b\\u000d\\u202e: bad.\n"


def test_all_that_is_printed_has_control_characters_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\n\tb\x9b\r")
    say_warning("a\nb")
    say_error("a\nb")
    said = capsys.readouterr()
    assert said.out == "a\n\tb\\u009b\\u000d\n"
    assert said.err == "warning: a\\u000ab\nerror: a\\u000ab\n"


def test_every_command_prints_by_these_functions() -> None:
    modules = Path(say.__code__.co_filename).parent.glob("*.py")
    assert [path.name for path in modules if "typer.echo(" in path.read_text("utf-8")] == ["messages.py"]


@pytest.mark.parametrize(("count", "says"), [(0, "0 pictures"), (1, "1 picture"), (2, "2 pictures")])
def test_one_is_not_many(count: int, says: str) -> None:
    assert many(count, "picture") == says
