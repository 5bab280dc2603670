from omega_core import Component, hookimpl


@hookimpl
def omega_register_coders() -> list[Component]:
    return [
        Component(
            name="rans",
            target="omega_rans.coder:RansCoder",
            summary="asymmetric numeral systems (Duda 2009), with constriction",
        )
    ]
