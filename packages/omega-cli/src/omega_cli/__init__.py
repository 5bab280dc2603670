"""The command `omega`."""

from omega_core.lazy import lazily

__version__: str

__getattr__, __dir__, __all__ = lazily(__name__)
