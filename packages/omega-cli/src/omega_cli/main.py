"""The program: its commands, and how errors reach the user.

Each command has a module of its own, which parses, calls and prints. What is heavy is imported where it
is used, so that `omega --help` is quick.
"""

import os
import signal
import sys
import traceback
import warnings
from types import FrameType
from typing import Annotated, TextIO

import typer

import omega_cli
from omega_cli import standard_streams
from omega_cli.compress import compress
from omega_cli.decompress import decompress
from omega_cli.evaluate import evaluate
from omega_cli.export import export
from omega_cli.export_onnx import export_onnx
from omega_cli.export_web import export_web
from omega_cli.failures import Terminated
from omega_cli.info import info
from omega_cli.listing import list_components, list_plugins
from omega_cli.logs import printed_logs
from omega_cli.messages import say, say_error, say_warning
from omega_cli.models import models
from omega_cli.new import new
from omega_cli.shards import shards
from omega_cli.signal_handlers import raise_from_handler
from omega_cli.train import train
from omega_cli.truncate import truncate
from omega_cli.view import view
from omega_core.errors import OmegaError, OmegaWarning

# click's, of which newer versions of typer bring their own
UsageError: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "UsageError")

_ENDINGS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
_BROKEN_PIPE = 128 + 13  # as a shell says of a command that SIGPIPE ended

_OF_SURROUNDINGS = (OSError, MemoryError, ImportError)  # a full disk; no memory, also to load torch

_command = 0  # its process

_python_shows = warnings.showwarning

_shown: set[str] = set()  # warnings of this command

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,  # noqa: ARG001 (see run)
) -> None:
    """Learned image compression: one model for every bitrate."""
    if version:
        say(f"omega {omega_cli.__version__}")
    elif context.invoked_subcommand is None:
        say(context.get_help())


app.command()(train)
app.command()(shards)
app.command()(export)
app.command("export-onnx")(export_onnx)
app.command("export-web")(export_web)
app.command()(compress)
app.command()(decompress)
app.command()(truncate)
app.command()(info)
app.command()(view)
app.command()(evaluate)
app.command()(models)
app.command()(new)
app.command("list")(list_components)
app.command("plugins")(list_plugins)


def run() -> None:
    """Run the command line and exit: 0 when all went well, 2 for what the user can mend, 1 for the rest."""
    # before torch comes: its threads otherwise wait by spinning, which on a busy machine costs them most of their time
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    global _command
    _command = os.getpid()
    standard_streams.prepare()
    for number in _ENDINGS:
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup has SIGHUP ignored
            signal.signal(number, _end)
    warnings.simplefilter("always", OmegaWarning)  # "once" forgets what it showed when other code changes filters
    _shown.clear()
    warnings.showwarning = _show
    try:
        _refuse_empty(arguments)
        with printed_logs():
            status = app(args=arguments, prog_name="omega", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OmegaError, UsageError, KeyboardInterrupt, typer.Abort, *_OF_SURROUNDINGS, SystemExit) as problem:
        if standard_streams.is_broken_pipe(problem):
            standard_streams.discard_output()
            sys.exit(_BROKEN_PIPE)
        if isinstance(problem, SystemExit):
            raise
        if debug:
            traceback.print_exc()
        if isinstance(problem, OSError) and problem.filename is not None:
            problem = OmegaError(f"cannot reach {problem.filename}: {problem.strerror or problem}.")
        elif isinstance(problem, OSError):
            standard_streams.discard_output()
            problem = OmegaError(f"cannot write to standard output: {problem.strerror or problem}.")
        elif isinstance(problem, _OF_SURROUNDINGS) and not isinstance(problem, OmegaError):
            problem = OmegaError(f"not enough memory, or a damaged installation: {problem or 'out of memory'}.")
        status = _report(problem)
    if status == 130:  # as typer makes of Ctrl-C
        _report(KeyboardInterrupt())
    sys.exit(status if isinstance(status, int) else 0)


def _refuse_empty(arguments: list[str]) -> None:
    """Raise OmegaError for an empty argument: as a path, it would be the current folder."""
    for place, argument in enumerate(arguments, 1):
        if not argument or (argument.startswith("--") and argument.endswith("=")):
            raise OmegaError(
                f"argument {place} is empty{f' after {argument}' if argument else ''}; leave it out or fill it in."
            )


def _end(number: int, _frame: FrameType | None) -> None:
    """End with the status of the signal, after partial output is removed."""
    if os.getpid() != _command:  # a fork, such as a process that reads pictures for training
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return
    signal.signal(number, signal.SIG_IGN)
    say_error("stopped.")
    raise_from_handler(Terminated(128 + number))


def _show(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Say in one line, and once, what the user should know; other warnings go where Python sends them."""
    if issubclass(category, OmegaWarning):
        if str(message) not in _shown:
            _shown.add(str(message))
            say_warning(str(message))
    else:
        _python_shows(message, category, filename, lineno, file, line)


def _report(problem: BaseException) -> int:
    """Say in one line what went wrong, and return the exit status."""
    if isinstance(problem, (KeyboardInterrupt, typer.Abort)):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # pressed again while Python ends, it would be another status
        say_error("stopped.")
        return 130
    message = problem.format_message() if hasattr(problem, "format_message") else str(problem)
    say_error(" ".join(message.split()))
    return getattr(problem, "status", 2)
