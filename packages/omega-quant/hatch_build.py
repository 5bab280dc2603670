"""The pins of this package to the others of the project, which have the same version: those in VERSION."""

from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class Pins(MetadataHookInterface):
    """Fills in dependencies, with the version of this package where they say `{version}`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the fields that the table of the hook in pyproject.toml has."""

        def pinned(texts: list[str]) -> list[str]:
            return [text.format(version=metadata["version"]) for text in texts]

        metadata["dependencies"] = pinned(self.config["dependencies"])
        extras = self.config.get("optional-dependencies")
        if extras is not None:
            metadata["optional-dependencies"] = {extra: pinned(texts) for extra, texts in extras.items()}
