from omega_core import Component, hookimpl


@hookimpl
def omega_register_coders() -> list[Component]:
    return [
        Component(
            name="huffman",
            target="omega_huffman.coder:HuffmanCoder",
            summary="whole bits a symbol, by how probable it is (Huffman 1952)",
        )
    ]
