"""Signed envelopes, and the two records libp2p puts in them: peer records and reservation vouchers.

Specifications: libp2p specs `RFC/0002-signed-envelopes.md`, `RFC/0003-routing-records.md`, and
`relay/circuit-v2.md` ("Reservation Vouchers").

The signature covers three fields, each with its length in front as a varint:

    | length | domain | length | payload_type | length | payload |

The domain is never sent: both ends know what they are doing, and a signature made for one purpose does not verify for
another.

| record | domain | payload_type | signed by |
|---|---|---|---|
| peer record | `libp2p-peer-record` | 03 01 | the peer it describes |
| voucher | `libp2p-relay-rsvp` | 03 02 | the relay |

Not modelled: the older `libp2p-routing-state` domain that rust-libp2p's identify still signs with.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from google.protobuf.message import DecodeError as ProtobufDecodeError
from multiaddr import Multiaddr

from natlab.errors import DecodeError, SecurityError
from natlab.wire import address, varint
from natlab.wire.keys import PrivateKey, PublicKey
from natlab.wire.peer_id import PeerId
from natlab.wire.proto import envelope_pb2

MAX_ENVELOPE_BYTES = 8192  # go-libp2p identify: signedIDSize, the largest message an envelope arrives in
MAX_RECORD_ADDRESSES = 500  # go-libp2p identify: connectedPeerMaxAddrs

PEER_RECORD_DOMAIN, PEER_RECORD_TYPE = "libp2p-peer-record", b"\x03\x01"
VOUCHER_DOMAIN, VOUCHER_TYPE = "libp2p-relay-rsvp", b"\x03\x02"


def seal(key: PrivateKey, domain: str, payload_type: bytes, payload: bytes) -> bytes:
    """Signs `payload` for `domain`: the encoded envelope."""
    message = envelope_pb2.Envelope(
        public_key=key.public.to_message(),
        payload_type=payload_type,
        payload=payload,
        signature=key.sign(_signed_bytes(domain, payload_type, payload)),
    )
    return message.SerializeToString(deterministic=True)


def unseal(data: bytes, domain: str, payload_type: bytes) -> tuple[PublicKey, bytes]:
    """Checks an envelope: who signed it, and the payload.

    Raises:
        DecodeError: no envelope, or its payload has another type.
        SecurityError: the signature does not verify for this domain.
    """
    if len(data) > MAX_ENVELOPE_BYTES:
        raise DecodeError(f"envelope of {len(data)} bytes; at most {MAX_ENVELOPE_BYTES} are accepted")
    message = envelope_pb2.Envelope()
    try:
        message.ParseFromString(data)
    except ProtobufDecodeError as error:
        raise DecodeError("envelope is no protobuf message") from error
    if message.payload_type != payload_type:
        raise DecodeError(f"envelope of type {message.payload_type[:32].hex()}, expected {payload_type.hex()}")
    key = PublicKey.from_message(message.public_key)
    key.verify(_signed_bytes(domain, payload_type, message.payload), message.signature)
    return key, message.payload


def _signed_bytes(domain: str, payload_type: bytes, payload: bytes) -> bytes:
    return varint.prefixed(domain.encode()) + varint.prefixed(payload_type) + varint.prefixed(payload)


@dataclass(frozen=True, slots=True)
class PeerRecord:
    """Where a peer says it can be reached (RFC 0003).

    Attributes:
        peer: whom it describes.
        seq: grows with every new record; of two, the higher counts.
        addresses: without the peer's own `/p2p/...`.
    """

    peer: PeerId
    seq: int
    addresses: tuple[Multiaddr, ...]

    def seal(self, key: PrivateKey) -> bytes:
        """The record in an envelope signed with the peer's own key."""
        message = envelope_pb2.PeerRecord(
            peer_id=bytes(self.peer),
            seq=self.seq,
            addresses=[envelope_pb2.PeerRecord.AddressInfo(multiaddr=bytes(known)) for known in self.addresses],
        )
        return seal(key, PEER_RECORD_DOMAIN, PEER_RECORD_TYPE, message.SerializeToString(deterministic=True))

    @staticmethod
    def unseal(data: bytes) -> PeerRecord:
        """Checks and reads an envelope with a peer record. Addresses of kinds unknown here are left out.

        Raises:
            DecodeError: no such envelope or record.
            SecurityError: not signed by the peer it describes.
        """
        return _unseal_record(data)


@lru_cache(maxsize=32)  # a peer says the same over each of its connections
def _unseal_record(data: bytes) -> PeerRecord:
    key, payload = unseal(data, PEER_RECORD_DOMAIN, PEER_RECORD_TYPE)
    message = envelope_pb2.PeerRecord()
    try:
        message.ParseFromString(payload)
    except ProtobufDecodeError as error:
        raise DecodeError("peer record is no protobuf message") from error
    peer = PeerId.from_bytes(message.peer_id)
    if not peer.matches(key):
        raise SecurityError(f"peer record of {peer} signed by {PeerId.from_public_key(key)}")
    encoded = [info.multiaddr for info in message.addresses[:MAX_RECORD_ADDRESSES]]
    return PeerRecord(peer, message.seq, address.decode_known(encoded))


@dataclass(frozen=True, slots=True)
class Voucher:
    """A relay's promise to relay for a peer (circuit-v2.md, "Reservation Vouchers").

    Attributes:
        relay: who promises.
        peer: to whom.
        expiration: Unix time in seconds.
    """

    relay: PeerId
    peer: PeerId
    expiration: int

    def seal(self, key: PrivateKey) -> bytes:
        """The voucher in an envelope signed with the relay's key."""
        message = envelope_pb2.Voucher(relay=bytes(self.relay), peer=bytes(self.peer), expiration=self.expiration)
        return seal(key, VOUCHER_DOMAIN, VOUCHER_TYPE, message.SerializeToString(deterministic=True))

    @classmethod
    def unseal(cls, data: bytes) -> Voucher:
        """Checks and reads an envelope with a voucher.

        Raises:
            DecodeError: no such envelope or voucher.
            SecurityError: not signed by the relay it names.
        """
        key, payload = unseal(data, VOUCHER_DOMAIN, VOUCHER_TYPE)
        message = envelope_pb2.Voucher()
        try:
            message.ParseFromString(payload)
        except ProtobufDecodeError as error:
            raise DecodeError("voucher is no protobuf message") from error
        relay, peer = PeerId.from_bytes(message.relay), PeerId.from_bytes(message.peer)
        if not relay.matches(key):
            raise SecurityError(f"voucher of {relay} signed by {PeerId.from_public_key(key)}")
        return cls(relay, peer, message.expiration)
