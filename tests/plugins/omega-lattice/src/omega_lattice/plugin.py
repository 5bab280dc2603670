from omega_core import Component, hookimpl


@hookimpl
def omega_register_quantizers() -> list[Component]:
    return [
        Component(
            name="lattice",
            target="omega_lattice.quantizer:LatticeQuantizer",
            summary="levels between −1 and 1, a third party's",
        )
    ]
