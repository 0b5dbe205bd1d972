"""A link of limited rate, and the queue in front of it.

    packets ──> [ waiting, first in first out │ being sent ] ── rate ──>
                  └── at most `limit` bytes ──┘
                  what finds no room is dropped: a drop-tail queue (RFC 7567 section 2)

A packet is sent bit by bit, so it leaves when its last byte does: `size / rate` seconds after the one before it, or
after it came if the link was idle. While a queue is full every packet waits `limit / rate` seconds: large buffers
lose little and delay much, which is RFC 7567's complaint about them.

When a packet will leave is known when it comes, so it is one heap entry, and the queue is a list of what has not
begun yet.

Not modelled: active queue management, ECN, a queue for each flow; headers below IP.
"""

from __future__ import annotations

from collections import deque
from math import ceil

from natlab.events import Verdict
from natlab.packet import Packet
from natlab.sim.capture import Tap
from natlab.sim.links.deliver import Deliver
from natlab.sim.loop import NANOSECONDS, SimLoop


def queued(loop: SimLoop, rate: float, limit: int, tap: Tap, then: Deliver) -> Deliver:
    """No more than `rate` bytes per second pass; up to `limit` bytes wait behind the packet that is being sent."""
    waiting: deque[tuple[int, int]] = deque()  # (when its sending begins, its size)
    waiting_bytes = 0
    idle_from = 0  # when all that is here has been sent

    def carry(packet: Packet) -> None:
        nonlocal waiting_bytes, idle_from
        now, size = loop.now_ns, packet.size
        while waiting and waiting[0][0] <= now:
            waiting_bytes -= waiting.popleft()[1]
        if idle_from > now:
            if waiting_bytes + size > limit:
                if tap.on:
                    tap.seen(packet, Verdict.LOST, f"the link's queue is full: {waiting_bytes} of {limit} bytes wait")
                return
            waiting.append((idle_from, size))
            waiting_bytes += size
        idle_from = max(now, idle_from) + ceil(size * NANOSECONDS / rate)
        loop.call_at_ns(idle_from, then, packet)

    return carry
