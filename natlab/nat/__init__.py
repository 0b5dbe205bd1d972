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

`box.py` is the walk through these questions, `config.py` the axes one can choose, `presets.py` names for choices.
Nothing here waits, sends or reads a clock, so the simulated internet and a real TUN device drive the same box.

Specifications: RFC 4787 (UDP), RFC 5382 (TCP), RFC 6146 section 3.5.2.2 (the TCP state machine).

Not modelled yet: hairpinning, more than one external address, port parity, ICMP, mapping limits per host, filtering
without translation. Never modelled: rewriting of payloads, TCP sequence checks.
"""

from natlab.nat.box import Drop, NatBox
from natlab.nat.config import Behaviour, NatConfig, PortAllocation, UdpRefresh, UnsolicitedSyn
from natlab.nat.presets import PRESETS, configure

__all__ = [
    "PRESETS",
    "Behaviour",
    "Drop",
    "NatBox",
    "NatConfig",
    "PortAllocation",
    "UdpRefresh",
    "UnsolicitedSyn",
    "configure",
]
