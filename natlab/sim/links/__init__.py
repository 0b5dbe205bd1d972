"""What a link does to a packet, as middleware: each function wraps the next place a packet goes to.

    host ──> mtu ──> queue ──> loss ──> duplication ──> reordering ──> delay ──> router

    mtu           no packet longer than that                                 each in a file of its own
    queue         a limited rate, and packets that wait for their turn
    loss          each by chance, or in bursts
    duplication   copies
    reordering    packets that come late
    delay         fixed, varying, or as measured somewhere

One direction is one such chain, with only those parts that its `LinkConfig` asks for: a link that only delays is one
function, and a packet on it one entry of the loop's heap. No task, no object. A `Link` is the two chains of one place,
and can be cut and healed.

Every packet that comes in goes out, or is written down as LOST with the reason, or is still on its way. All chances
of a link come from one `random.Random`, so they repeat with the lab's seed.

Not modelled: links that damage packets, several links to one place, partitions other
than by cutting links: hosts on one side of a cut link still reach each other.
"""

from natlab.sim.links.config import Delay, LinkConfig, LinkConfigs, both_ways
from natlab.sim.links.delay import Jitter, Trace
from natlab.sim.links.deliver import Deliver
from natlab.sim.links.link import Link, Plug, chain
from natlab.sim.links.loss import GilbertElliott
from natlab.sim.links.mtu import TooBig

__all__ = [
    "Delay",
    "Deliver",
    "GilbertElliott",
    "Jitter",
    "Link",
    "LinkConfig",
    "LinkConfigs",
    "Plug",
    "TooBig",
    "Trace",
    "both_ways",
    "chain",
]
