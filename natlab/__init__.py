"""natlab: see NAT traversal and libp2p hole punching happen.

    from natlab import Lab      a simulated internet with libp2p nodes, NAT boxes, tables and ladders
    from natlab import Node     one libp2p node on this computer's own sockets
    from natlab import LinkConfig, Jitter, Trace, GilbertElliott      what a link of a lab may be like

All are imported when first used: `import natlab` itself loads neither pandas nor the node.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from natlab.host import Node
    from natlab.lab import Lab
    from natlab.sim import GilbertElliott, Jitter, LinkConfig, Trace

__all__ = ["GilbertElliott", "Jitter", "Lab", "LinkConfig", "Node", "Trace"]

_HOMES = {
    "Lab": "natlab.lab",
    "Node": "natlab.host",
    **dict.fromkeys(("GilbertElliott", "Jitter", "LinkConfig", "Trace"), "natlab.sim"),
}


def __getattr__(name: str) -> object:
    """Imports a public name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'natlab' has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
