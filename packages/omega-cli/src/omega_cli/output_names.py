"""The files that a command writes: a name for each output that no other one has, whatever else is in a folder."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePath

from omega_cli.account import Account
from omega_cli.input_files import Found
from omega_core.errors import OutputError
from omega_core.folders import Identity, identity_at
from omega_core.names import MAX_PART_BYTES, folded, marked, portable, shortened
from omega_core.places import Place, Url


@dataclass(frozen=True)
class Job:
    """A file to read and the file to make of it."""

    source: Place
    target: Place

    @property
    def names(self) -> tuple[str]:
        """The source, for messages and for the account of a run."""
        return (str(self.source),)


def plan_jobs(
    found: Sequence[Found], output: Place, suffix: str, account: Account, *, for_pack: bool = False
) -> list[Job]:
    """A job for each file, with its target under `output`, where folders keep their structure.

    found: the files to read.
    output: the folder of the targets.
    suffix: the suffix of the targets, with its dot.
    account: takes files for which there is no target: another input has all their names, or the target is an input.
    for_pack: whether names have to be valid on every system.

    Raises OutputError if no folder can be made at `output`.
    """
    check_folder(output)
    names = [candidates(file.relative, suffix, for_pack=for_pack) for file in found]
    inputs = {file.identity for file in found}
    jobs = []
    for file, name, possible in zip(found, distinct(names), names, strict=True):
        if name is None:
            account.fail(file.source, f"another input would become {output / possible[0]}, too; take it alone.")
        elif is_one_of(output / name, inputs):
            account.fail(file.source, f"it would replace {output / name}, which is to be read; name another folder.")
        else:
            jobs.append(Job(file.source, output / name))
    return jobs


def candidates(relative: PurePath, suffix: str, *, for_pack: bool = False) -> list[str]:
    """The possible names of the output of a file, from the best to the one that is taken when others have the same.

    relative: the path of the file in its folder, such as `d/a.jpg`.
    suffix: of the output, such as `.omega`; the names are `d/a.omega`, `d/a.jpg.omega` and `d/a.jpg~0c5b3f2e.omega`.
    for_pack: whether to escape what is not allowed on every system.
    """
    folder = relative.as_posix().removesuffix(relative.name)
    paths = [folder + name for name in (relative.stem, relative.name, marked(relative.name, relative.as_posix()))]
    parts = [(portable(path) if for_pack else path).rpartition("/") for path in paths]
    most = MAX_PART_BYTES - len(suffix)
    return [f"{folder}{slash}{shortened(name, most)}{suffix}" for folder, slash, name in parts]


def distinct(possible: Sequence[Sequence[str]]) -> list[str | None]:
    """Choose a name for each file, so that no two are the same on any system, whatever the order of the files.

    possible: for each file as many names, the best first. Of files with the same name, those take their next one that
        took the fewest steps so far. A name cannot be that of a folder in which another file is, either.

    None stands for a file whose last name another file has, too.
    """
    keys = [[folded(name) for name in names] for names in possible]
    step = [0] * len(possible)
    while True:
        files: dict[str, list[int]] = {}
        for file, names in enumerate(keys):
            files.setdefault(names[step[file]], []).append(file)
        # "/" as the lowest character: a folder comes right before what is in it
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


def check_folder(folder: Place) -> None:
    """Raise OutputError if a file is in the place of a folder or of one of its parents; stores need no folders."""
    if isinstance(folder, Url):
        return
    for place in (folder, *folder.parents):
        try:
            if place.is_dir():
                return
            if place.exists():
                raise OutputError(f"cannot write {folder}: {place} is not a folder.")
        except OSError as problem:
            raise OutputError(f"cannot write {folder}: {problem.strerror or problem}.") from problem


def is_one_of(path: Place, files: Collection[Identity | None]) -> bool:
    """Whether a path leads to one of some files, by any name."""
    try:
        return identity_at(path) in files
    except OSError:
        return False
