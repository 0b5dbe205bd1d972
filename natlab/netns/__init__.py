"""The kernel's own TCP and UDP as a place to run: network namespaces, joined by a wire that drives natlab's NAT box.

    namespace "alice"                                                           namespace "bob"
    real sockets  ── tun ──╮                                            ╭── tun ──  real sockets
    192.168.1.2            │  read bytes                    write bytes │            192.168.2.2
                           ▼                                            ▼
                        NatBox ── packet ── delay ── packet ──────── NatBox          (one process, one event loop)
                       11.0.0.1                                     12.0.0.1

`namespace.py` makes and removes the namespaces and opens sockets in them, `readdress.py` carries a NAT box's decision
over to the bytes of a packet, and `wire.py` is what lies between the TUN devices. `kernel_nat.py` is the other way
round: the kernel as the box, and natlab on both sides of it.

It needs Linux, root, /dev/net/tun and the `ip` command; `why_not` says what is missing.
"""

from natlab.netns.kernel_nat import KernelNat
from natlab.netns.namespace import Namespace, why_not
from natlab.netns.wire import Wire

__all__ = ["KernelNat", "Namespace", "Wire", "why_not"]
