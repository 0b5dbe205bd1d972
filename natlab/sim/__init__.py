"""The simulated internet: virtual time, hosts with UDP and TCP, links, routers. Deterministic, on any platform.

loop        virtual time under asyncio                 internet  the topology: hosts and NATs around a core
host        a computer: interfaces, the Network seam   router    the core, and NAT routers driving natlab.nat
udp         datagrams                                  links     what happens on the way, as middleware
streams     TCP sockets over tcp, the state machine    capture   where packets are written down
ports       who may use which local port               waiting   how a coroutine waits for a socket
addressing  who has which address                      line      IPv4 or IPv6 on a cable
icmp        pings, and errors about what was sent      tcp_icmp  what these do to a TCP connection
vpn         tunnels
"""

from natlab.sim.host import Host
from natlab.sim.internet import Internet
from natlab.sim.links import GilbertElliott, Jitter, LinkConfig, Trace
from natlab.sim.loop import SimLoop
from natlab.sim.router import NatRouter

__all__ = ["GilbertElliott", "Host", "Internet", "Jitter", "LinkConfig", "NatRouter", "SimLoop", "Trace"]
