"""noise-libp2p (signatures; bodies follow)."""

from __future__ import annotations

import random
from collections.abc import Sequence

from natlab.wire.keys import PrivateKey, PublicKey
from natlab.wire.peer_id import PeerId

PROTOCOL_ID = "/noise"


class Handshake:
    """One end of the XX handshake. Loop: write `data_to_send()`, then `receive` what comes, until `channel` is there.
    Write `data_to_send()` once more then: the initiator's third message.

    Args:
        identity: our identity key, which signs the Noise static key.
        rng: where the static and ephemeral keys come from.
        initiator: whether we speak first.
        expected: who must be at the other end; None accepts anyone.
        muxers: protocol IDs of our stream multiplexers, best first; empty for no early negotiation.

    Attributes:
        channel: the encrypted channel, None until the handshake is complete.
    """

    channel: Channel | None

    def __init__(
        self,
        identity: PrivateKey,
        rng: random.Random,
        *,
        initiator: bool,
        expected: PeerId | None = None,
        muxers: Sequence[str] = (),
    ) -> None:
        raise NotImplementedError

    def data_to_send(self) -> bytes:
        """Bytes to write now; they are handed out once."""
        raise NotImplementedError

    def receive(self, data: bytes) -> None:
        """Takes what the peer sent, in pieces of any size; `b""` says that it has closed its side.

        Raises:
            DecodeError: a message or payload that does not parse.
            SecurityError: a message does not decrypt, a signature does not verify, or it is not the expected peer.
            NegotiationError: both ends sent stream_muxers, and have none in common.
            ClosedError: closed before the handshake was complete.
        """
        raise NotImplementedError


class Channel:
    """What the handshake results in: an encrypted connection to a peer whose identity is proven.

    Attributes:
        peer: who is at the other end.
        peer_key: its identity key.
        muxer: the stream multiplexer agreed on in the handshake; None: negotiate one with multistream-select.
    """

    peer: PeerId
    peer_key: PublicKey
    muxer: str | None

    def encrypt(self, data: bytes) -> bytes:
        """Transport messages that carry `data`, each with its length in front; `data` of any size."""
        raise NotImplementedError

    def decrypt(self, data: bytes) -> bytes:
        """Takes bytes from the wire, in pieces of any size, and returns what they complete: plaintext, perhaps none.

        Call it with `b""` right after the handshake: transport messages may have come along with its last message.

        Raises:
            SecurityError: a message does not decrypt; the connection is of no more use.
        """
        raise NotImplementedError
