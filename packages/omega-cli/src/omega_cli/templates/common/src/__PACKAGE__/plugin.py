"""The components this package provides. Imported by every `omega` command, so do not import torch here."""

from omega_core import Component, hookimpl


@hookimpl
def omega_register___KIND__s() -> list[Component]:
    """Register the components by name. Omega imports a target only when it is used."""
    return [
        Component(
            name="__NAME__",
            target="__PACKAGE__.__KIND__:__CLASS__",
            summary="__SUMMARY__",
        )
    ]
