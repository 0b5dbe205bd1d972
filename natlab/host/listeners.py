"""Where a node listens, and so from which port it dials.

Port reuse: dials leave from a port we listen on, so that a NAT uses for them the mapping by which others will reach us.
"""

from __future__ import annotations

from multiaddr import Multiaddr

from natlab.endpoint import Endpoint, parse_ip
from natlab.net import Network, TcpListener
from natlab.wire import address


class Listeners:
    """The listening sockets of one node.

    Args:
        reuse_port: whether they share their ports with dials.
    """

    def __init__(self, network: Network, *, reuse_port: bool) -> None:
        self._network = network
        self._reuse_port = reuse_port
        self._open: list[TcpListener] = []

    async def open(self, local: Endpoint) -> TcpListener:
        """Raises SocketError.

        With port reuse a second node could listen on the same endpoint, and dials would reach either. So a chosen port
        must first be free for a listener that shares with nobody.
        """
        if self._reuse_port and local.port:
            (await self._network.listen_tcp(local)).close()
        listener = await self._network.listen_tcp(local, reuse_port=self._reuse_port)
        self._open.append(listener)
        return listener

    def close(self) -> None:
        for listener in self._open:
            listener.close()

    def to_dial_from(self, remote: Endpoint) -> Endpoint | None:
        """An endpoint we listen on that can reach `remote`; None without one, or without port reuse."""
        if not self._reuse_port:
            return None
        for listener in self._open:
            ip = parse_ip(listener.local.ip)
            if listener.local.version != remote.version:
                continue
            if ip.is_unspecified or ip.is_loopback == remote.address.is_loopback:
                return listener.local
        return None

    def is_own(self, to: Multiaddr) -> bool:
        """Whether we listen there ourselves; dialling it from the listening port would even succeed (self-connect)."""
        if not address.is_direct_tcp(to):
            return False
        remote = address.to_endpoint(to)
        wildcards = (one.local for one in self._open if parse_ip(one.local.ip).is_unspecified)
        return any(listener.local == remote for listener in self._open) or (
            any(wildcard.port == remote.port for wildcard in wildcards) and remote.ip in self._network.addresses()
        )
