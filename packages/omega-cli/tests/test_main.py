"""What holds for all commands: help, warnings and messages."""

import errno
import os
import re
import subprocess
import sys
import warnings
from unittest.mock import Mock

import pytest

from omega_cli import main
from omega_cli.standard_streams import is_broken_pipe
from omega_core.errors import OmegaWarning

FILES = ("compress", "decompress", "truncate", "info", "view")
MODELS = ("models", "train", "evaluate", "export", "export-onnx", "export-web", "shards")
COMMANDS = (*FILES, *MODELS, "new", "list", "plugins")


def omega(*arguments: str, columns: int = 80) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": str(columns)}
    command = [sys.executable, "-m", "omega_cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_a_torch_that_cannot_be_loaded_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Windows raises this without the name of a file."""
    problem = OSError(22, 'The specified module could not be found. Error loading "c10.dll" or one it depends on.')
    problem.winerror = 126  # type: ignore[attr-defined]  # as errors of Windows have there
    monkeypatch.setattr(main, "app", Mock(side_effect=problem))
    monkeypatch.setattr("sys.argv", ["omega", "models"])
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(SystemExit) as left:
        main.run()
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert "PyTorch cannot be loaded: The specified module could not be found." in said
    assert said.endswith("or free memory.\n")


@pytest.mark.parametrize("platform", ["win32", "linux"])
def test_a_closed_pipe_is_recognized(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    monkeypatch.setattr("sys.platform", platform)
    assert is_broken_pipe(OSError(errno.EPIPE, "Broken pipe"))
    assert is_broken_pipe(OSError(errno.EINVAL, "Invalid argument")) == (platform == "win32")
    assert not is_broken_pipe(OSError(errno.EINVAL, "Invalid argument", "a.png"))
    assert not is_broken_pipe(OSError(errno.ENOSPC, "No space left on device"))


def test_help_lists_the_commands_in_groups_with_whole_sentences() -> None:
    said = omega("--help").stdout
    assert "Start with: omega compress photo.jpg -o photo.omega" in said
    *_, files, models, plugins = said.split("\n\n")
    assert [group.splitlines()[0] for group in (files, models, plugins)] == ["Files:", "Models:", "Plugins:"]
    rows = [line.split(maxsplit=1) for group in (files, models, plugins) for line in group.splitlines()[1:]]
    assert [name for name, _ in rows] == [*COMMANDS]
    assert all(not text.endswith("...") and len(text.split()) > 2 for _, text in rows)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_has_no_types_of_python(name: str) -> None:
    said = omega(name, "--help").stdout
    assert not re.search(r"<(str|int|float|list|Path|Input|Location)\b|\{|\.{4}", said)
    usage = said.splitlines()[0].partition("[OPTIONS]")[2]
    assert usage == usage.upper()
    assert said.count("Number of worker") <= 1


def test_a_missing_option_is_explained() -> None:
    done = omega("compress", "a.png")
    assert done.returncode == 2
    assert done.stderr.startswith("error: Missing option '--output' / '-o': a folder or its URL; for one picture also ")


def test_the_option_quality_of_other_codecs_is_answered() -> None:
    done = omega("compress", "a.png", "-o", "o", "--quality", "50")
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no --quality: choose a size with --bpp 0.5 or --max-bytes 20000, ")
    assert len(done.stderr.splitlines()) == 1
    assert "--quality" not in omega("compress", "--help").stdout


def test_tables_are_wrapped_to_the_terminal() -> None:
    for arguments in (("models",), ("list", "quantizer")):
        said = omega(*arguments).stdout
        assert max(map(len, said.splitlines())) <= 80
        assert said.split() == omega(*arguments, columns=10000).stdout.split()
    *_, options = omega("list", "quantizer", "omega").stdout.partition("\noption ")
    assert max(map(len, options.splitlines())) <= 80
    assert "\n    the initial temperature of the softmax" in options, "little room is left beside the other columns"


def test_a_warning_is_printed_once_by_a_command_whatever_other_code_does_to_filters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(**_: object) -> int:
        for _ in range(3):
            for word in ("odd", "even"):
                with warnings.catch_warnings():  # after which Python forgets what it showed
                    warnings.simplefilter("ignore")
                warnings.warn(word, OmegaWarning, stacklevel=1)
        return 0

    monkeypatch.setattr(sys, "argv", ["omega", "any"])
    monkeypatch.setattr(main, "app", command)
    for _ in range(2):  # two commands
        with warnings.catch_warnings(), pytest.raises(SystemExit):
            main.run()
        assert capsys.readouterr().err == "warning: odd\nwarning: even\n"
