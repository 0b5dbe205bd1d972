"""noise-libp2p: a Noise XX handshake in which each end also proves its libp2p identity, then an encrypted channel.

Specification: libp2p specs `noise/README.md` (r5); `connections/inlined-muxer-negotiation.md`.

    initiator                                        responder
       │── e ──────────────────────────────────────────>│
       │<── e, ee, s, es,  payload ─────────────────────│   the initiator now knows whom it speaks with
       │── s, se,  payload ────────────────────────────>│   ... and the responder too
       │<══ encrypted both ways ═══════════════════════>│

    payload (protobuf):  identity_key    the sender's public key, from which its peer ID follows
                         identity_sig    that key's signature over "noise-libp2p-static-key:" + Noise static key
                         extensions      stream_muxers: the stream multiplexers it speaks, best first

    on the wire:         length:2 | Noise message          big-endian, at most 65535 bytes

Early muxer negotiation: if both ends sent stream_muxers, the first of the initiator's that the responder has is
agreed, and no multistream-select follows. If one end sent none (rust-libp2p), `Channel.muxer` is None and
multistream-select must choose.

Not modelled: webtransport_certhashes; other Noise patterns.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

from google.protobuf.message import DecodeError as ProtobufDecodeError

from natlab.errors import ClosedError, DecodeError, NegotiationError, SecurityError
from natlab.upgrade.noise_xx import MAX_MESSAGE, TAG_BYTES, CipherState, KeyPair, XXHandshake
from natlab.wire.keys import PrivateKey, PublicKey
from natlab.wire.peer_id import PeerId
from natlab.wire.proto.noise_pb2 import NoiseExtensions, NoiseHandshakePayload

PROTOCOL_ID = "/noise"
SIGNATURE_PREFIX = b"noise-libp2p-static-key:"
MAX_PLAINTEXT = MAX_MESSAGE - TAG_BYTES
_LENGTH = struct.Struct(">H")
MAX_ON_WIRE = _LENGTH.size + MAX_MESSAGE


class StaticKey:
    """Our Noise static key, with the payload that proves it ours.

    "A given libp2p peer will have one or more static Noise keypairs throughout its lifetime" (noise/README.md): one
    serves a node for life here, so that it is signed, and that peers who meet it again check the signature, only once.

    Args:
        identity: our identity key, which signs it.
        rng: where it comes from; `random.SystemRandom()` on a real network.
        muxers: protocol IDs of our stream multiplexers, best first; empty for no early negotiation.
    """

    __slots__ = ("muxers", "pair", "payload")

    def __init__(self, identity: PrivateKey, rng: random.Random, muxers: Sequence[str] = ()) -> None:
        self.pair = KeyPair(rng.randbytes(32))
        self.muxers = list(muxers)
        self.payload = NoiseHandshakePayload(
            identity_key=identity.public.to_bytes(),
            identity_sig=identity.sign(SIGNATURE_PREFIX + self.pair.public),
            extensions=NoiseExtensions(stream_muxers=self.muxers) if muxers else None,
        ).SerializeToString(deterministic=True)


class Handshake:
    """One end of the handshake. Write `data_to_send()`, `receive` what comes, and so on until `channel` is there;
    then write `data_to_send()` once more (the initiator's last message).

    Args:
        static: our static key.
        rng: where the ephemeral key comes from; `random.SystemRandom()` on a real network.
        initiator: whether we speak first: the dialer does, unless DCUtR's roles say otherwise.
        expected: who must be at the other end; None accepts anyone.

    Attributes:
        channel: the encrypted channel, None until the handshake is complete.
    """

    def __init__(
        self, static: StaticKey, rng: random.Random, *, initiator: bool, expected: PeerId | None = None
    ) -> None:
        self.channel: Channel | None = None
        self._static = static
        self._initiator = initiator
        self._expected = expected
        self._noise = XXHandshake(initiator=initiator, static=static.pair, ephemeral=KeyPair(rng.randbytes(32)))
        self._received = bytearray()
        self._to_send = bytearray()
        self._first_message_due = not initiator
        if initiator:
            self._send(b"")

    def data_to_send(self) -> bytes:
        """Bytes to write now; they are handed out once."""
        data = bytes(self._to_send)
        self._to_send.clear()
        return data

    def receive(self, data: bytes) -> None:
        """Takes what the peer sent, in pieces of any size; `b""` says that it has closed its side.

        Raises:
            DecodeError: a message or payload that does not parse.
            SecurityError: a message does not decrypt, a signature does not verify, or it is not the expected peer.
            NegotiationError: both ends sent stream_muxers, and have none in common.
            ClosedError: closed before the handshake was complete.
        """
        if self.channel is not None:
            self.channel.received += data
            return
        if not data:
            raise ClosedError("the peer closed the connection during the Noise handshake")
        self._received += data
        while self.channel is None and (message := _take_message(self._received)) is not None:
            self._on_message(message)

    def _on_message(self, message: bytes) -> None:
        payload = self._noise.read_message(message)
        if self._first_message_due:  # it carries nothing but e: there is no key yet to hide a payload
            self._first_message_due = False
            self._send(self._static.payload)
            return
        key, peer, their_muxers = self._verify(payload)
        if self._initiator:
            self._send(self._static.payload)
        ours = self._static.muxers
        muxer = _choose(ours, their_muxers) if self._initiator else _choose(their_muxers, ours)
        send, receive = self._noise.split()
        self.channel = Channel(peer, key, muxer, send, receive, bytes(self._received))

    def _send(self, payload: bytes) -> None:
        self._to_send += _framed(self._noise.write_message(payload))

    def _verify(self, encoded: bytes) -> tuple[PublicKey, PeerId, list[str]]:
        """Who the peer has proven to be, and the muxers it speaks."""
        payload = NoiseHandshakePayload()
        try:
            payload.ParseFromString(encoded)
        except ProtobufDecodeError as error:
            raise DecodeError("Noise handshake payload is no protobuf message") from error
        key = PublicKey.from_bytes(payload.identity_key)
        key.verify(SIGNATURE_PREFIX + self._noise.remote_static, payload.identity_sig)
        peer = PeerId.from_public_key(key)
        if self._expected not in (None, peer):
            raise SecurityError(f"expected peer {self._expected}, but {peer} answered")
        return key, peer, list(payload.extensions.stream_muxers)


class Channel:
    """What the handshake results in: an encrypted connection to a peer whose identity is proven.

    Attributes:
        peer: who is at the other end.
        peer_key: its identity key.
        muxer: the stream multiplexer agreed on in the handshake; None: negotiate one with multistream-select.
        received: the beginning of a message whose rest has not come yet.
    """

    __slots__ = ("_receive", "_send", "muxer", "peer", "peer_key", "received")

    def __init__(
        self,
        peer: PeerId,
        peer_key: PublicKey,
        muxer: str | None,
        send: CipherState,
        receive: CipherState,
        received: bytes,
    ) -> None:
        self.peer = peer
        self.peer_key = peer_key
        self.muxer = muxer
        self._send = send
        self._receive = receive
        self.received = received

    def encrypt(self, data: bytes | memoryview) -> bytes:
        """Transport messages that carry `data`, each with its length in front; `data` may have any size."""
        if len(data) > MAX_PLAINTEXT:
            view = memoryview(data)
            return b"".join(self.encrypt(view[at : at + MAX_PLAINTEXT]) for at in range(0, len(view), MAX_PLAINTEXT))
        return _LENGTH.pack(len(data) + TAG_BYTES) + self._send.encrypt(data) if data else b""

    def decrypt(self, data: bytes) -> bytes:
        """Takes bytes from the wire, in pieces of any size, and returns the plaintext they complete, perhaps none.

        Call it with `b""` right after the handshake: transport messages may have come along with its last message.

        Raises:
            SecurityError: a message does not decrypt; the connection is of no more use.
        """
        received = memoryview(self.received + data if self.received else data)
        plaintexts, start, available = list[bytes](), 0, len(received)
        while (body := start + _LENGTH.size) <= available:
            end = body + _LENGTH.unpack_from(received, start)[0]
            if end > available:
                break
            plaintexts.append(self._receive.decrypt(received[body:end]))
            start = end
        self.received = bytes(received[start:])
        return b"".join(plaintexts)


def _choose(initiators: Sequence[str], responders: Sequence[str]) -> str | None:
    """inlined-muxer-negotiation.md: the first item of the initiator's list that both support."""
    if not initiators or not responders:
        return None
    for muxer in initiators:
        if muxer in responders:
            return muxer
    raise NegotiationError("no stream multiplexer in common")


def _framed(message: bytes) -> bytes:
    return _LENGTH.pack(len(message)) + message


def _take_message(buffer: bytearray) -> bytes | None:
    """Removes the first message from `buffer`; None while it is incomplete."""
    if len(buffer) < _LENGTH.size:
        return None
    end = _LENGTH.size + _LENGTH.unpack_from(buffer)[0]
    if len(buffer) < end:
        return None
    message = bytes(buffer[_LENGTH.size : end])
    del buffer[:end]
    return message
