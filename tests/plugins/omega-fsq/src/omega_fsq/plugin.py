from omega_core import Component, hookimpl


@hookimpl
def omega_register_quantizers() -> list[Component]:
    return [
        Component(
            name="fsq",
            target="omega_fsq.quantizer:FiniteScalarQuantizer",
            summary="finite scalar quantization: bounded, then rounded to a few levels (Mentzer 2023)",
        )
    ]
