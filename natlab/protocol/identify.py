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
from functools import lru_cache

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
        record: its signed peer record, verified; None if unsaid or of a kind unknown here.
    """

    agent_version: str = ""
    protocol_version: str = ""
    public_key: PublicKey | None = None
    listen_addresses: tuple[Multiaddr, ...] = ()
    protocols: tuple[str, ...] = ()
    observed_address: Multiaddr | None = None
    record: PeerRecord | None = None

    def updated_by(self, push: Identity) -> Identity:
        """What is known after a push: what it left out stays as it was."""
        said = {name: getattr(push, name) for name in Identity.__slots__ if getattr(push, name)}
        return replace(self, **said)


async def tell(stream: Stream, own: Identity, signed_record: bytes = b"") -> None:
    """The part of the peer being identified, and of the one that pushes: says everything, then closes.

    Args:
        signed_record: `PeerRecord.seal`'s, in place of `own.record`.

    Raises:
        ValueError: `own` takes more than `MAX_OWN` bytes; fewer addresses or protocols are needed.
        ClosedError: the stream was reset.
        UnreachableError: the peer did not take it within `IDENTIFY_TIMEOUT`.
    """
    async with dialogue(stream, IDENTIFY_TIMEOUT, "identify"):
        for message in to_messages(own, signed_record):
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


def to_messages(own: Identity, signed_record: bytes = b"") -> list[Identify]:
    """What `tell` sends: one message, or two if the signed record does not fit into the first.

    Raises:
        ValueError: more than `MAX_OWN` bytes.
    """
    message = Identify(
        publicKey=own.public_key.to_bytes() if own.public_key else None,
        listenAddrs=[listened.to_bytes() for listened in own.listen_addresses],
        protocols=own.protocols,
        observedAddr=own.observed_address.to_bytes() if own.observed_address else None,
        protocolVersion=own.protocol_version or None,
        agentVersion=own.agent_version or None,
    )
    if message.ByteSize() > MAX_OWN:
        raise ValueError(f"identify: {message.ByteSize()} bytes, {MAX_OWN} at most; name fewer addresses or protocols")
    if not signed_record:
        return [message]
    record = Identify(signedPeerRecord=signed_record)
    if message.ByteSize() + record.ByteSize() > MAX_FIRST:
        return [message, record]
    message.MergeFrom(record)
    return [message]


def from_message(message: Identify, peer: PeerId) -> Identity:
    """Checks and takes apart what `peer` said.

    Raises:
        SecurityError: see `listen`.
        DecodeError: the public key is none.
    """
    key = PublicKey.from_bytes(message.publicKey) if message.publicKey else None
    if key is not None and not peer.matches(key):
        raise SecurityError(f"{peer} identifies itself with the key of {PeerId.from_public_key(key)}")
    observed = address.decode_known([message.observedAddr])
    return Identity(
        agent_version=_shared(message.agentVersion),
        protocol_version=_shared(message.protocolVersion),
        public_key=key,
        listen_addresses=address.decode_known(message.listenAddrs[:MAX_ADDRESSES]),
        protocols=tuple(map(_shared, message.protocols[:MAX_PROTOCOLS])),
        observed_address=observed[0] if observed else None,
        record=_open_record(message.signedPeerRecord, peer),
    )


@lru_cache(maxsize=256)
def _shared(text: str) -> str:
    """The same text, as one object with that of other peers: most say the same."""
    return text


def _open_record(envelope: bytes, peer: PeerId) -> PeerRecord | None:
    """The record, if it is of the kind we know; RFC 0003 asks that it be signed by the peer it is about."""
    try:
        record = PeerRecord.unseal(envelope)
    except DecodeError:
        return None
    if record.peer != peer:
        raise SecurityError(f"{peer} identifies itself with the peer record of {record.peer}")
    return record


async def _read_merged(stream: Stream) -> Identify:
    """Merges the messages as protobuf does: lists grow, the last of a single field counts."""
    merged = None
    for _ in range(MAX_MESSAGES):
        message = await read_message_or_end(stream, Identify, MAX_MESSAGE)
        if message is None:
            break
        if merged is None:
            merged = message
        else:
            merged.MergeFrom(message)
    else:
        if await stream.read(1):
            raise ProtocolError(f"identify: more than {MAX_MESSAGES} messages")
    if merged is None:
        raise ClosedError("the peer closed the stream without identifying itself")
    return merged
