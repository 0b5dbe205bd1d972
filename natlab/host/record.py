"""A node's pen: its name and its clock, so that an event is one short line where it happens."""

from __future__ import annotations

import asyncio

from natlab.events import Event, Journal


class Recorder:
    """Writes one node's events into a journal, if there is one.

    Args:
        journal: None records nothing.
        place: the node's name.
    """

    def __init__(self, journal: Journal | None, place: str) -> None:
        self._journal = journal
        self.place = place

    @property
    def here(self) -> tuple[float, str]:
        """The first two fields of every event: the loop's time in seconds, and the place."""
        return asyncio.get_running_loop().time(), self.place

    def wants(self, kind: type[Event]) -> bool:
        """Ask before building an event that costs something to build."""
        return self._journal is not None and self._journal.wants(kind)

    def emit(self, event: Event) -> None:
        if self._journal is not None:
            self._journal.emit(event)
