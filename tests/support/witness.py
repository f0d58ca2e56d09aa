"""An engine that remembers what it was to emit and to publish."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.engine import NO_LABELS, Engine

if TYPE_CHECKING:
    from collections.abc import Mapping


class Witness(Engine):
    """Remembers what it was to emit and to publish."""

    def __init__(self) -> None:
        super().__init__()
        self.emitted: list[tuple[str, str, dict[str, Any]]] = []
        self.published: list[tuple[str, str]] = []

    def emit(
        self,
        event: str,
        its_id: str,
        payload: dict[str, Any],
        kind: str = "recording",
        labels: Mapping[str, str] = NO_LABELS,  # noqa: ARG002
    ) -> None:
        """Remember an event."""
        self.emitted.append((event, f"{kind}.{its_id}", payload))

    def publish_markdown(self, what: str, key: str, markdown: str, description: str) -> None:  # noqa: ARG002
        """Remember a text."""
        self.published.append((key, markdown))

    def resources(self, event: str) -> list[str]:
        """Return the resources of the events of a name."""
        return [resource for name, resource, _ in self.emitted if name == event]
