from omega_core import Component, hookimpl


@hookimpl
def omega_register_quantizers() -> list[Component]:
    return [
        Component(
            name="residual-omega",
            target="omega_residual.quantizer:ResidualOmega",
            summary="Ω in two stages: the second quantizes what the first left over",
        )
    ]
