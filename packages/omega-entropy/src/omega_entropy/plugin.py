"""The components of omega-entropy."""

from omega_core import Component, hookimpl


@hookimpl
def omega_register_priors() -> list[Component]:
    return [
        Component(
            name="static",
            target="omega_entropy.priors.static:StaticPrior",
            summary="a table of relative frequencies, counted while training",
        ),
        Component(
            name="context",
            target="omega_entropy.priors.context:ContextPrior",
            summary="tables that a small integer network selects from earlier symbols: best for photos",
        ),
        Component(
            name="regression",
            target="omega_entropy.priors.regression:RegressionPrior",
            summary="tables that regressions on earlier symbols select, counted after training",
        ),
        Component(
            name="factorized",
            target="omega_entropy.priors.factorized:FactorizedPrior",
            summary="a learned density for each channel (Ballé 2018)",
        ),
    ]


@hookimpl
def omega_register_coders() -> list[Component]:
    return [
        Component(
            name="range",
            target="omega_core.coders.range:RangeCoder",
            summary="range coding with constriction: the default",
        ),
        Component(
            name="torchac",
            target="omega_entropy.coders.torchac:TorchacCoder",
            summary="arithmetic coding with torchac, as in the paper's research code (GPL-3, optional)",
            install="the extra torchac of omega-entropy, and a C++ compiler",
        ),
        Component(
            name="fixed",
            target="omega_core.coders.fixed:FixedCoder",
            summary="symbols packed into ⌈log2 S⌉ bits each: a fixed bitrate",
        ),
        Component(
            name="raw",
            target="omega_core.coders.raw:RawCoder",
            summary="symbols as they are, 32 bits each: for the quantizer identity",
        ),
    ]
