"""The versions of omega-core that a distribution requires."""

from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

CORE = "omega-core"


def core_range(distribution: str) -> str | None:
    """Return the versions of omega-core that a distribution requires, such as ">=0.1,<0.2"; None for any."""
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
    """Return why a distribution does not support the installed omega-core; "" if it does."""
    wanted, here = core_range(distribution), version(CORE)
    if not wanted or SpecifierSet(wanted).contains(here, prereleases=True):
        return ""
    return f"made for {CORE} {wanted}, not for {here}"
