"""Names of output files: each output gets its own name, independent of the order of inputs."""

import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePath

from omega_cli.account import Account
from omega_cli.input_files import Found
from omega_core.errors import OutputError
from omega_core.folders import Identity, identity_at
from omega_core.locations import Location, Url
from omega_core.names import MAX_PART_BYTES, folded, marked, portable, shortened


@dataclass(frozen=True)
class Job:
    """A file to read and the file to write."""

    source: Location
    target: Location

    @property
    def names(self) -> tuple[str]:
        """The source, for messages and for the account of a run."""
        return (str(self.source),)


def plan_jobs(
    found: Sequence[Found], output: Location, suffix: str, account: Account, *, for_pack: bool = False
) -> list[Job]:
    """Plan a job for each file, with a target under `output` that keeps the structure of folders.

    found: the files to read.
    output: the folder of the targets.
    suffix: the suffix of the targets, with its dot.
    account: records files without a target as failed: all their names are taken, or the target is an input.
    for_pack: whether names must be valid on every operating system.

    Raises OutputError if `output` cannot be created as a folder.
    """
    check_folder(output)
    names = [candidates(file.relative, suffix, for_pack=for_pack) for file in found]
    inputs = {file.identity for file in found}
    jobs = []
    for file, name, possible in zip(found, distinct(names), names, strict=True):
        if name is None:
            account.fail(file.source, f"another input has the same output {output / possible[0]}; run it separately.")
        elif is_one_of(output / name, inputs):
            account.fail(
                file.source, f"it would replace {output / name}, which is also an input; choose another folder."
            )
        else:
            jobs.append(Job(file.source, output / name))
    return jobs


def candidates(relative: PurePath, suffix: str, *, for_pack: bool = False) -> list[str]:
    """The possible names of the output of a file, in order of preference.

    relative: the path of the file in its folder, such as `d/a.jpg`.
    suffix: the suffix of the output, such as `.omega`. The names are then `d/a.omega`, `d/a.jpg.omega` and
        `d/a.jpg~0c5b3f2e.omega`.
    for_pack: whether to escape characters and names that some operating system does not allow; on Windows, they are
        always escaped.
    """
    folder = relative.as_posix().removesuffix(relative.name)
    paths = [folder + name for name in (relative.stem, relative.name, marked(relative.name, relative.as_posix()))]
    escaped = for_pack or sys.platform == "win32"
    parts = [(portable(path) if escaped else path).rpartition("/") for path in paths]
    most = MAX_PART_BYTES - len(suffix)
    return [f"{folder}{slash}{shortened(name, most)}{suffix}" for folder, slash, name in parts]


def distinct(possible: Sequence[Sequence[str]]) -> list[str | None]:
    """Choose a name for each file. No two are the same on any operating system, and the order of files is irrelevant.

    possible: for each file the same number of names, in order of preference. If several files have the same name, those
        that have changed their name least often move to their next one. A name may not be a folder of another name.

    The result is None for a file whose last name is also the name of another file.
    """
    keys = [[folded(name) for name in names] for names in possible]
    step = [0] * len(possible)
    while True:
        files: dict[str, list[int]] = {}
        for file, names in enumerate(keys):
            files.setdefault(names[step[file]], []).append(file)
        # sorted with "/" as the lowest character, a folder comes directly before its contents
        ordered = sorted(files, key=lambda name: name.replace("/", "\0"))
        folders = {name for name, following in pairwise(ordered) if following.startswith(f"{name}/")}
        clashing = [same for name, same in files.items() if len(same) > 1 or name in folders]
        behind = [
            file
            for same in clashing
            for least in [min(step[file] for file in same)]
            for file in same
            if step[file] == least and least + 1 < len(possible[file])
        ]
        if not behind:
            break
        for file in behind:
            step[file] += 1
    none = {file for same in clashing for file in same}
    return [None if file in none else names[step[file]] for file, names in enumerate(possible)]


def check_folder(folder: Location) -> None:
    """Raise OutputError if a folder or one of its parents exists as a file. Stores need no folders."""
    if isinstance(folder, Url):
        return
    for location in (folder, *folder.parents):
        try:
            if location.is_dir():
                return
            if location.exists():
                raise OutputError(f"cannot write {folder}: {location} is not a folder.")
        except OSError as problem:
            raise OutputError(f"cannot write {folder}: {problem.strerror or problem}.") from problem


def is_one_of(path: Location, files: Collection[Identity | None]) -> bool:
    """Whether a path refers to one of the files, under any name."""
    try:
        return identity_at(path) in files
    except OSError:
        return False
