"""Pins the other packages of the project to the version of this package, which is in VERSION."""

from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class Pins(MetadataHookInterface):
    """Sets the dependencies, with `{version}` replaced by the version of this package."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the fields in the table of the hook in pyproject.toml."""

        def pinned(texts: list[str]) -> list[str]:
            return [text.format(version=metadata["version"]) for text in texts]

        metadata["dependencies"] = pinned(self.config["dependencies"])
        extras = self.config.get("optional-dependencies")
        if extras is not None:
            metadata["optional-dependencies"] = {extra: pinned(texts) for extra, texts in extras.items()}
