"""The versions of omega-core that a distribution requires."""

from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

CORE = "omega-core"


def core_range(distribution: str) -> str | None:
    """What a distribution's metadata ask of omega-core, such as ">=0.1,<0.2"; None if they do not name it."""
    with suppress(PackageNotFoundError):
        for text in requires(distribution) or ():
            with suppress(InvalidRequirement):
                requirement = Requirement(text)
                if canonicalize_name(requirement.name) == CORE and (
                    requirement.marker is None or requirement.marker.evaluate()
                ):
                    return str(requirement.specifier)
    return None


def out_of_range(distribution: str) -> str:
    """What is wrong, where a distribution does not work with the omega-core that is here; otherwise nothing."""
    wanted, here = core_range(distribution), version(CORE)
    if not wanted or Requirement(f"{CORE}{wanted}").specifier.contains(here, prereleases=True):
        return ""
    return f"made for {CORE} {wanted}, not for {here}"
