"""What this distribution brings. This module is loaded for `omega --help`: it must not import torch."""

from omega_core import Component, hookimpl


@hookimpl
def omega_register___KIND__s() -> list[Component]:
    """Tell Omega what there is, and where to import it from when it is asked for."""
    return [
        Component(
            name="__NAME__",
            target="__PACKAGE__.__KIND__:__CLASS__",
            summary="__SUMMARY__",
        )
    ]
