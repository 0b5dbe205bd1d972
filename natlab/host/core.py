"""What all services of one node share. A service takes it whole and uses what it needs."""

from __future__ import annotations

from dataclasses import dataclass

from natlab.host.addresses import OwnAddresses
from natlab.host.peerstore import Peerstore
from natlab.host.protocols import Protocols
from natlab.host.record import Recorder
from natlab.host.swarm import Swarm
from natlab.net import Network
from natlab.wire.keys import PrivateKey
from natlab.wire.peer_id import PeerId


@dataclass(frozen=True, slots=True)
class Core:
    """The parts of a node below its services.

    Attributes:
        key, peer: its identity.
        network: where it lives; `network.now()` is Unix time.
    """

    key: PrivateKey
    peer: PeerId
    network: Network
    recorder: Recorder
    protocols: Protocols
    own: OwnAddresses
    peerstore: Peerstore
    swarm: Swarm
