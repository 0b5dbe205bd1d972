"""The simulated internet: virtual time, hosts with UDP and TCP, links, routers. Deterministic, on any platform.

loop        virtual time under asyncio                 internet  the topology: hosts and NATs around a core
host        a computer: interfaces, the Network seam   router    the core, and NAT routers driving natlab.nat
udp         datagrams                                  links/    what happens on the way, as middleware
streams     TCP sockets over tcp, the state machine    capture   where packets are written down
ports       who may use which local port               line      IPv4 or IPv6 on a cable
addressing  who has which address                      vpn       tunnels
icmp        pings, and errors about what was sent      path_mtu  what a host learns of paths from them
sealed      what a loop here cannot reach: the real world

TCP is `tcp`, the states (RFC 9293), and a file for each of its parts: tcp_segment, tcp_sequence, tcp_state and
tcp_settings are its words; tcp_send, tcp_receive the two directions; tcp_rto, tcp_congestion how fast; tcp_keepalive,
tcp_icmp what else can end it.
"""

from natlab.sim.host import Host
from natlab.sim.internet import Internet
from natlab.sim.links import GilbertElliott, Jitter, LinkConfig, Trace
from natlab.sim.loop import SimLoop
from natlab.sim.router import NatRouter

__all__ = ["GilbertElliott", "Host", "Internet", "Jitter", "LinkConfig", "NatRouter", "SimLoop", "Trace"]
