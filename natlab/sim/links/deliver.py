"""What all middleware of a link has in common: it takes a packet, and it is given the next place."""

from __future__ import annotations

from collections.abc import Callable

from natlab.packet import Packet

Deliver = Callable[[Packet], None]
