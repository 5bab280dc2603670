"""The hooks with which plugins register components, one hook per kind, and models.

A distribution points an entry point of the group `omega` at a module that implements any of them:

    import omega_core

    @omega_core.hookimpl
    def omega_register_quantizers():
        return [omega_core.Component(name="mine", target="my_package.mine:Mine", summary="…")]

The module must not import torch, as `omega --help` loads it.
"""

from collections.abc import Iterable

import pluggy

from omega_core.plugins.components import BundledModel, Component

hookspec = pluggy.HookspecMarker("omega")
hookimpl = pluggy.HookimplMarker("omega")


@hookspec
def omega_register_architectures() -> Iterable[Component]:  # type: ignore[empty-body]
    """Architectures: the analysis and synthesis transforms (`omega_core.contracts.Architecture`)."""


@hookspec
def omega_register_quantizers() -> Iterable[Component]:  # type: ignore[empty-body]
    """Quantizers: latents to symbols and back (`omega_core.contracts.Quantizer`)."""


@hookspec
def omega_register_priors() -> Iterable[Component]:  # type: ignore[empty-body]
    """Priors: the probabilities of the symbols (`omega_core.contracts.Prior`)."""


@hookspec
def omega_register_coders() -> Iterable[Component]:  # type: ignore[empty-body]
    """Coders: symbols to bytes and back, without loss (`omega_core.contracts.Coder`)."""


@hookspec
def omega_register_datasets() -> Iterable[Component]:  # type: ignore[empty-body]
    """Datasets: the pictures to train on (`omega_core.contracts.Dataset`)."""


@hookspec
def omega_register_trainers() -> Iterable[Component]:  # type: ignore[empty-body]
    """Trainers: from a recipe to a model file (`omega_core.contracts.Trainer`)."""


@hookspec
def omega_register_codecs() -> Iterable[Component]:  # type: ignore[empty-body]
    """Codecs: other codecs that `omega evaluate` compares models with (`omega_core.contracts.BaselineCodec`)."""


@hookspec
def omega_register_models() -> Iterable[BundledModel]:  # type: ignore[empty-body]
    """Models: trained models in the distribution (`omega_core.BundledModel`)."""
