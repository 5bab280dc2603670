"""The program: its commands, and how it reports errors.

Each command has a module of its own, which parses arguments, calls the library and prints. Slow imports are inside
functions, so that `omega --help` starts quickly.
"""

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Annotated, TextIO

import typer

import omega_cli
from omega_cli import standard_streams
from omega_cli.command_help import Command, Commands
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
from omega_cli.train import train
from omega_cli.truncate import truncate
from omega_cli.view import view
from omega_core.errors import OmegaError, OmegaWarning
from omega_core.processes import raise_from_handler, thread_limit

# the class of click, or of the copy of click in newer versions of typer
UsageError: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "UsageError")

_ENDINGS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
_BROKEN_PIPE = 128 + 13  # the exit status that shells report for SIGPIPE

_OF_SURROUNDINGS = (OSError, MemoryError, ImportError)  # full disk, out of memory (also while torch is loaded)

_command = 0  # process ID of the command

_python_shows = warnings.showwarning

_shown: set[str] = set()  # warnings that this command has printed

app = typer.Typer(cls=Commands, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,  # noqa: ARG001 (see run)
) -> None:
    """Learned image compression: one model for every bitrate.

    Start with: omega compress photo.jpg -o photo.omega
    """
    if version:
        say(f"omega {omega_cli.__version__}")
    elif context.invoked_subcommand is None:
        say(context.get_help())


_COMMANDS: dict[str, dict[str, tuple[Callable[..., None], str]]] = {
    "Files": {
        "compress": (compress, "Compress pictures to .omega files."),
        "decompress": (decompress, "Decompress .omega files to PNG."),
        "truncate": (truncate, "Make an .omega file smaller, without its model."),
        "info": (info, "Show what a file or a model contains."),
        "view": (view, "Watch .omega files sharpen in a browser."),
    },
    "Models": {
        "models": (models, "List the models; with --recipes, the recipes that train others."),
        "train": (train, "Train a model."),
        "evaluate": (evaluate, "Compare models with each other and with JPEG, AVIF, …"),
        "export": (export, "Write a model from a run that is still training."),
        "export-onnx": (export_onnx, "Convert a model to ONNX, to use it without PyTorch."),
        "export-web": (export_web, "Write the files that show .omega pictures on a website."),
        "shards": (shards, "Pack training pictures into tar files."),
    },
    "Plugins": {
        "new": (new, "Create a plugin from a template."),
        "list": (list_components, "List components: quantizers, priors, coders, …"),
        "plugins": (list_plugins, "List installed plugins and their problems."),
    },
}
for _group, _commands in _COMMANDS.items():
    for _name, (_function, _summary) in _commands.items():
        app.command(_name, cls=Command, short_help=_summary, rich_help_panel=_group)(_function)


def run() -> None:
    """Run the command line and exit.

    The status is 0 for success, 2 for errors that the user can correct, 1 for other errors, and 128 + n after signal n:
    130 after Ctrl-C, 141 if nobody reads the output.
    """
    # set before torch is imported: its threads otherwise spin while they wait, which slows them on a busy machine
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if threads := thread_limit():
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    global _command
    _command = os.getpid()
    standard_streams.prepare()
    for number in _ENDINGS:
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores SIGHUP
            signal.signal(number, _end)
    warnings.simplefilter("always", OmegaWarning)  # "once" repeats warnings when other code changes the filters
    _shown.clear()
    warnings.showwarning = _show
    try:
        _refuse_empty(arguments)
        with printed_logs():
            sys.argv[1:] = arguments  # given as `args`, patterns would not be expanded on Windows, nor by its shells
            status = app(prog_name="omega", standalone_mode=False)
        if status == 130:  # typer turns Ctrl-C into this status
            _report(KeyboardInterrupt())
        if sys.stdout is not None:
            sys.stdout.flush()
    except Terminated as ended:
        status = ended.status
    except (OmegaError, UsageError, KeyboardInterrupt, typer.Abort, *_OF_SURROUNDINGS, SystemExit) as problem:
        if standard_streams.is_broken_pipe(problem):
            standard_streams.discard_output()
            status = _BROKEN_PIPE
        elif isinstance(problem, SystemExit):
            raise
        else:
            if debug:
                traceback.print_exc()
            status = _report(_explained(problem))
    sys.exit(status if isinstance(status, int) else 0)


def _explained(problem: BaseException) -> BaseException:
    """The problem, or an OmegaError that explains it if it comes from the surroundings of the command."""
    if isinstance(problem, OSError) and problem.filename is not None:
        return OmegaError(f"cannot reach {problem.filename}: {problem.strerror or problem}.")
    if isinstance(problem, OSError) and "Error loading" in str(problem.strerror):  # by torch, on Windows
        advice = "Install the Microsoft Visual C++ Redistributable, or free memory"
        return OmegaError(f"PyTorch cannot be loaded: {str(problem.strerror).rstrip('.')}. {advice}.")
    if isinstance(problem, OSError):
        standard_streams.discard_output()
        return OmegaError(f"cannot write to standard output: {problem.strerror or problem}.")
    if isinstance(problem, _OF_SURROUNDINGS) and not isinstance(problem, OmegaError):
        return OmegaError(f"not enough memory, or a damaged installation: {problem or 'out of memory'}.")
    return problem


def _refuse_empty(arguments: list[str]) -> None:
    """Raise OmegaError for an empty argument, which as a path would be the current folder."""
    for position, argument in enumerate(arguments, 1):
        if not argument or (argument.startswith("--") and argument.endswith("=")):
            raise OmegaError(
                f"argument {position} is empty{f' after {argument}' if argument else ''}; leave it out or fill it in."
            )


def _end(number: int, _frame: FrameType | None) -> None:
    """Remove partial output and end with the exit status of the signal."""
    if os.getpid() != _command:  # a forked process, such as one that reads pictures for training
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
    """Print each warning of Omega once, in one line; other warnings go where Python sends them."""
    if issubclass(category, OmegaWarning):
        if str(message) not in _shown:
            _shown.add(str(message))
            say_warning(str(message))
    else:
        _python_shows(message, category, filename, lineno, file, line)


def _report(problem: BaseException) -> int:
    """Print an error in one line, and return the exit status."""
    if isinstance(problem, (KeyboardInterrupt, typer.Abort)):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C while Python ends would change the status
        say_error("stopped.")
        return 130
    message = problem.format_message() if hasattr(problem, "format_message") else str(problem)
    if type(problem).__name__ == "MissingParameter" and (about := getattr(getattr(problem, "param", None), "help", "")):
        message = f"{message.rstrip('.')}: {about[0].lower()}{about[1:]}"
    say_error(" ".join(message.split()))
    return getattr(problem, "status", 2)
