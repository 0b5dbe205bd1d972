"""Identify: who I am, where I listen, what I speak, and where I see you.

Spec: libp2p/specs `identify/README.md`, r1 2021-08-09; signed peer records: RFC 0003.

    asking peer                                      peer being identified
    │ ── opens /ipfs/id/1.0.0 ───────────────────────────> │
    │ <─ Identify ──────────────────────────────────────── │    observedAddr: the asker, as seen from there
    │ <─ Identify with only the signed record ──────────── │    if both together exceed 2 KiB
    │ <─ closes ────────────────────────────────────────── │

    peer whose information changed                   the other peer
    │ ── opens /ipfs/id/push/1.0.0 ──────────────────────> │
    │ ── Identify (one or more), then closes ────────────> │    "missing fields should be ignored"

`observedAddr` is how a peer behind a NAT learns the external endpoint of its mapping: hole punching lives on it.

The second message is go-libp2p's way (`p2p/protocol/identify/id.go`): old peers read one message of at most 2 KiB,
newer ones merge up to ten until the end of the stream. So everything but the record goes into the first.

*Not modelled*: rate limits, and rust-libp2p's older kind of signed record, which is skipped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from multiaddr import Multiaddr

from natlab.errors import ClosedError, DecodeError, ProtocolError, SecurityError
from natlab.net import Stream
from natlab.protocol.framing import dialogue, read_message_or_end, write_message
from natlab.wire import address
from natlab.wire.envelope import PeerRecord
from natlab.wire.keys import PublicKey
from natlab.wire.peer_id import PeerId
from natlab.wire.proto.identify_pb2 import Identify

IDENTIFY_ID = "/ipfs/id/1.0.0"
PUSH_ID = "/ipfs/id/push/1.0.0"
IDENTIFY_TIMEOUT = 5.0
"""Seconds for the whole exchange. Source, as for all numbers here: go-libp2p `p2p/protocol/identify/id.go`."""
MAX_MESSAGE = 8192
"""Bytes of one message that is read."""
MAX_MESSAGES = 10
"""Messages merged from one stream."""
MAX_FIRST = 2048
"""Bytes of a message that also carries the signed record; above, the record follows in its own."""
MAX_OWN = 4096
"""Bytes of what we say without the record (also the most that rust-libp2p reads)."""
MAX_ADDRESSES = 500
"""Listen addresses taken from a peer."""
MAX_PROTOCOLS = 1024
"""Protocols taken from a peer."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a peer says about itself, and about us.

    Attributes:
        agent_version: free text, e.g. `kubo/0.22.0/`; "" if unsaid.
        protocol_version: free text; "" if unsaid.
        public_key: None if unsaid.
        listen_addresses: where it says it listens; those we cannot parse are left out.
        protocols: what it accepts streams for.
        observed_address: our end of the connection as the peer sees it; None if unsaid.
        signed_record: the envelope of its peer record, b"" if unsaid.
    """

    agent_version: str = ""
    protocol_version: str = ""
    public_key: PublicKey | None = None
    listen_addresses: tuple[Multiaddr, ...] = ()
    protocols: tuple[str, ...] = ()
    observed_address: Multiaddr | None = None
    signed_record: bytes = b""

    def updated_by(self, push: Identity) -> Identity:
        """What is known after a push: what it left out stays as it was."""
        said = {name: getattr(push, name) for name in Identity.__slots__ if getattr(push, name)}
        return replace(self, **said)


async def tell(stream: Stream, own: Identity) -> None:
    """The part of the peer being identified, and of the one that pushes: says everything, then closes.

    Raises:
        ValueError: `own` has more than `MAX_OWN` bytes of addresses and protocols.
        ClosedError: the stream was reset.
        UnreachableError: the peer did not take it within `IDENTIFY_TIMEOUT`.
    """
    async with dialogue(stream, IDENTIFY_TIMEOUT, "identify"):
        for message in to_messages(own):
            await write_message(stream, message)
        await stream.close_write()


async def listen(stream: Stream, peer: PeerId) -> Identity:
    """The part of the asking peer, and of the one pushed to: reads to the end of the stream.

    Args:
        peer: whom the connection's security handshake has proven.

    Raises:
        SecurityError: the public key or the signed record is somebody else's, or its signature does not verify.
        DecodeError: a message is too large or does not parse.
        ProtocolError: more than `MAX_MESSAGES` messages.
        ClosedError: the stream was reset, or ended before any message.
        UnreachableError: not finished within `IDENTIFY_TIMEOUT`.
    """
    async with dialogue(stream, IDENTIFY_TIMEOUT, "identify"):
        merged = await _read_merged(stream)
        await stream.close_write()
        return from_message(merged, peer)
