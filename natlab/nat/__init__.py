"""The NAT box: a packet and a time in; a packet, or a drop with its reason, out.

    internal host                NatBox                         the internet
         │                         │                                 │
         │ ── outbound packet ───> │ which mapping?     mapping.py   │
         │                         │ which port?        ports.py     │
         │                         │ ── source rewritten ──────────> │
         │                         │                                 │
         │                         │ <────────── inbound packet ──── │
         │                         │ is it let in?      filtering.py │
         │ <─ destination rewritten│ how long yet?      timers.py, tcp_session.py
         │                         │

`box.py` is the walk through these questions, `config.py` the axes one can choose, `catalogue.py` names for choices and
who says so, `presets.py` the way from a name to its axes.
Nothing here waits, sends or reads a clock, so the simulated internet and a real TUN device drive the same box.

    table.py          all mappings and sessions, under every key     pool.py, ports.py   which address, which port
    timers.py         which packets keep a session alive             rest.py             ports that nobody gets yet
    tcp_session.py    what flags say of a connection                 tcp_window.py       what numbers say of it
    icmp_errors.py    what an error quotes, and whom it is for       answers.py          what the box itself says
    fragments.py      pieces of packets                              unsolicited.py      what came too early

Specifications: RFC 4787 (UDP), RFC 5382 (TCP), RFC 5508 (ICMP), RFC 6146 section 3.5.2.2 (the TCP state machine),
RFC 6888 (carriers), RFC 7422 (port blocks), RFC 7857 (their updates).

Not modelled: rewriting of payloads (RFC 4787 REQ-10 wants none).
"""

from natlab.nat.box import FOREVER, NatBox
from natlab.nat.config import (
    Behaviour,
    Fragments,
    Hairpinning,
    IcmpErrors,
    IcmpWhenFull,
    NatConfig,
    Pooling,
    PortAllocation,
    UdpRefresh,
    UnsolicitedSyn,
)
from natlab.nat.outcome import Drop, Hairpinned, Held, Wait
from natlab.nat.presets import PRESETS, configure

__all__ = [
    "FOREVER",
    "PRESETS",
    "Behaviour",
    "Drop",
    "Fragments",
    "Hairpinned",
    "Hairpinning",
    "Held",
    "IcmpErrors",
    "IcmpWhenFull",
    "NatBox",
    "NatConfig",
    "Pooling",
    "PortAllocation",
    "UdpRefresh",
    "UnsolicitedSyn",
    "Wait",
    "configure",
]
