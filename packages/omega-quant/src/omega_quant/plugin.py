"""The components of omega-quant."""

from omega_core import Component, hookimpl


@hookimpl
def omega_register_quantizers() -> list[Component]:
    return [
        Component(
            name="omega",
            target="omega_quant.omega:OmegaQuantizer",
            summary="one-hot max (Ω): learned activations, no codebook (Löhdefink 2022)",
        ),
        Component(
            name="integer",
            target="omega_quant.integer:IntegerQuantizer",
            summary="rounding, with uniform noise while training (Ballé 2018)",
        ),
        Component(
            name="identity",
            target="omega_quant.identity:IdentityQuantizer",
            summary="no quantization: the distortion bound of a transform",
        ),
    ]
