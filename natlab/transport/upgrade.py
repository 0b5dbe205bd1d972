"""The upgrader: from a bare byte stream to an encrypted one that carries many streams.

Specification: libp2p specs `connections/README.md`, "Upgrading Connections"; `noise/README.md`, "Multiplexer
Negotiation".

    initiator                                           responder
      │<══ multistream-select: /noise ══════════════════════>│
      │<══ Noise XX: who is there, proven ══════════════════>│     both may name their muxers in it
      │<══ multistream-select: /yamux/1.0.0 (encrypted) ════>│     only if they did not
      │<══ Yamux ═══════════════════════════════════════════>│     the initiator's streams are odd

The stream below may be a TCP connection or a relayed circuit; nothing here knows. Who is the *initiator* is the
caller's choice: normally whoever dialled, but on a connection that both ends dialled (simultaneous open) DCUtR decides
it, and two initiators, or two responders, wait for each other until the time is up.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from natlab.errors import UnreachableError
from natlab.net import ByteStream
from natlab.transport import negotiate
from natlab.upgrade import noise, yamux
from natlab.wire.keys import PrivateKey
from natlab.wire.peer_id import PeerId

ACCEPT_TIMEOUT = 15.0
"""Seconds for the whole upgrade of an accepted connection. Source: go-libp2p `p2p/net/upgrader/upgrader.go`."""
DIAL_TIMEOUT = 60.0
"""Seconds for the whole upgrade of a dialled connection. Source: the same."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a node brings to every handshake.

    Attributes:
        key: its identity.
        rng: where its other keys come from.
        static: its Noise key.
    """

    key: PrivateKey
    rng: random.Random
    static: noise.StaticKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "static", noise.StaticKey(self.key, self.rng, [yamux.PROTOCOL_ID]))


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What an upgrade results in: the peer's proven identity, and the layers to run a connection on."""

    peer: PeerId
    stream: SecureStream
    session: yamux.Session


class SecureStream:
    """A byte stream through an encrypted channel.

    Attributes:
        unsent: encrypted, and not yet taken by the stream below.
    """

    __slots__ = ("_ahead", "_below", "_channel", "unsent")

    def __init__(self, below: ByteStream, channel: noise.Channel) -> None:
        self.unsent = b""
        self._below = below
        self._channel = channel
        self._ahead = channel.decrypt(b"")  # what came along with the last message of the handshake

    async def read(self) -> bytes:
        """The next plaintext, at least one byte; `b""` once the peer has closed its side."""
        while not self._ahead:
            data = await self._below.read()
            if not data:
                return b""
            self._ahead = self._channel.decrypt(data)
        data, self._ahead = self._ahead, b""
        return data

    async def write(self, data: bytes) -> None:
        """Encrypts and writes. Never cancel it: half a message would be the last the peer understands."""
        await self._below.write(self._channel.encrypt(data))

    def read_now(self) -> bytes | None:
        """What `read` would return; None where it would wait."""
        if self._ahead:
            data, self._ahead = self._ahead, b""
            return data
        while received := self._below.read_now(noise.MAX_ON_WIRE):
            if data := self._channel.decrypt(received):
                return data
        return received

    def write_now(self, data: bytes) -> int:
        """Encrypts and writes; what there is no room for becomes `unsent`, and goes before what comes later.

        Returns:
            How many bytes the stream below has taken.
        """
        self.unsent += self._channel.encrypt(data)
        written = 0
        while self.unsent and (taken := self._below.write_now(self.unsent)):
            self.unsent = self.unsent[taken:]
            written += taken
        return written

    def watch(self, changed: Callable[[], None] | None) -> None:
        """As `natlab.net.ByteStream.watch`."""
        self._below.watch(changed)

    def unread(self, data: bytes) -> None:
        self._ahead = data + self._ahead

    def reset(self) -> None:
        self._below.reset()


async def upgrade(
    below: ByteStream, credentials: Credentials, *, initiator: bool, expected: PeerId | None = None
) -> Upgraded:
    """Upgrades `below`, and resets it if that goes wrong in any way, cancellation included.

    Args:
        expected: who must be at the other end; None accepts anyone.

    Raises:
        SecurityError: it is somebody else, or cannot prove who it is.
        NegotiationError: no security protocol or muxer in common.
        ProtocolError: what the peer says is none of these protocols.
        ClosedError: the peer hung up.
        UnreachableError: not finished within `ACCEPT_TIMEOUT` or `DIAL_TIMEOUT`.
    """
    seconds = DIAL_TIMEOUT if initiator else ACCEPT_TIMEOUT
    try:
        async with asyncio.timeout(seconds):
            return await _upgrade(below, credentials, initiator, expected)
    except TimeoutError as error:
        below.reset()
        raise UnreachableError(f"the handshake did not finish within {seconds:g} s") from error
    except BaseException:
        below.reset()
        raise


async def _upgrade(below: ByteStream, credentials: Credentials, initiator: bool, expected: PeerId | None) -> Upgraded:
    buffered = negotiate.Buffered(below)
    await _agree(buffered, initiator, noise.PROTOCOL_ID)
    handshake = noise.Handshake(credentials.static, credentials.rng, initiator=initiator, expected=expected)
    await negotiate.drive(handshake, buffered, lambda: handshake.channel is not None)
    channel = handshake.channel
    assert channel is not None
    secure = SecureStream(below, channel)
    if channel.muxer is None:
        await _agree(secure, initiator, yamux.PROTOCOL_ID)
    return Upgraded(channel.peer, secure, yamux.Session(client=initiator))


async def _agree(stream: negotiate.Unreadable, initiator: bool, protocol: str) -> None:
    """There is only one protocol to choose from: the peer speaks it, or the upgrade fails."""
    if initiator:
        await negotiate.propose(stream, [protocol])
    else:
        await negotiate.answer(stream, protocol.__eq__)
