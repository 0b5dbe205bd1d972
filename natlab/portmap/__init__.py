"""Asking the gateway for a port: the dialogues between a host and the NAT box in front of it.

| module | protocol | roles |
|---|---|---|
| `mapper` | whichever the gateway speaks | client: opens ports and keeps them open |
| `natpmp` | NAT-PMP, RFC 6886 | client, gateway |
| `pcp` | PCP, RFC 6887 | client, gateway |
| `igd` | UPnP Internet Gateway Device 1 and 2 | control point |
| `igd_gateway` | the same | gateway |
| `ssdp`, `http` | what UPnP runs over | who asks, who answers |
| `leases` | (sans-io) | the gateway's table of who was given which port |
| `gateway` | all of them | the gateway: its sockets, and its word after a reboot |
| `config` | | what a router's services are asked to be |

A reader opens a port so, and sees it in `lab.port_mappings` and `lab.mappings`:

    home = lab.nat("home", gateway=("nat-pmp", "pcp", "upnp"))
    alice = lab.host("alice", behind=home)
    mapping = lab.run(alice.map_port(4001, "tcp"))
"""

from natlab.portmap.config import GatewayConfig, Service
from natlab.portmap.gateway import Gateway
from natlab.portmap.leases import Denial, Lease, Leases, Wish
from natlab.portmap.mapper import PortMapper, PortMapping

__all__ = [
    "Denial",
    "Gateway",
    "GatewayConfig",
    "Lease",
    "Leases",
    "PortMapper",
    "PortMapping",
    "Service",
    "Wish",
]
