"""Bytes that have come, in their order, until somebody reads them.

Most are read as they came, and then nothing is copied. Only what has to wait is put together, and only what is read in
smaller pieces is cut; either takes time in proportion to its bytes, however small the pieces are.
"""

from __future__ import annotations


class Inbox:
    """What waits for a reader. `len` says how many bytes; whoever fills it bounds them."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: bytes | bytearray = b""

    def __len__(self) -> int:
        return len(self._held)

    def put(self, data: bytes | memoryview) -> None:
        """Adds `data` behind all that waits; keeps no view of it."""
        if not self._held:
            self._held = bytes(data)
            return
        self._held = _growing(self._held)
        self._held += data

    def take(self, limit: int) -> bytes:
        """The oldest bytes, at most `limit`; `b""` where none wait."""
        if len(self._held) <= limit:
            data, self._held = bytes(self._held), b""
            return data
        self._held = _growing(self._held)
        data = bytes(self._held[:limit])
        del self._held[:limit]
        return data

    def clear(self) -> None:
        self._held = b""


def _growing(held: bytes | bytearray) -> bytearray:
    """The form in which bytes can be added and removed without copying the others."""
    return held if isinstance(held, bytearray) else bytearray(held)
