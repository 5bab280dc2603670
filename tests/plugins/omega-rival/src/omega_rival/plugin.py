from omega_core import Component, hookimpl


@hookimpl
def omega_register_quantizers() -> list[Component]:
    return [Component(name="omega", target="omega_quant.omega:OmegaQuantizer", summary="another Ω")]
