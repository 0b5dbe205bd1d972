"""Peer IDs: who a node is, derived from its public key, so that claiming one means proving it.

Specification: libp2p specs `peer-ids/peer-ids.md`, "Peer Ids". A peer ID is a multihash of the encoded public key:

    key up to 42 bytes (Ed25519, secp256k1)   00 <length> <the key itself>      identity: the key can be read back
    longer (RSA, ECDSA)                       12 20       <SHA-256, 32 bytes>

As text, two forms: base58btc of the multihash (`12D3Koo...`, `Qm...`), which is what we print, and a CIDv1 with the
`libp2p-key` multicodec, in multibase (`bafz...`, `k51...`):

    <multibase prefix> ( 01  72  <multihash> )
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import lru_cache

from natlab.errors import DecodeError
from natlab.wire.keys import PublicKey

MAX_INLINE_KEY = 42  # peer-ids.md: keys of at most 42 bytes use the identity multihash
_IDENTITY, _SHA256 = 0x00, 0x12  # multihash codes
_CID_HEADER = b"\x01\x72"  # CIDv1, multicodec libp2p-key
_MAX_TEXT = 128  # the longest form, 44 bytes in base32, takes 77 characters

REMEMBERED = 2048  # texts of peer IDs, and peer IDs of texts: base 58 takes long division

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class PeerId:
    """A peer ID. Make one with `from_public_key`, `from_bytes` or `parse`, which check it.

    Attributes:
        multihash: the bytes that go over the wire; `bytes(peer_id)` gives them too.
    """

    multihash: bytes

    @classmethod
    def from_public_key(cls, key: PublicKey) -> PeerId:
        encoded = key.to_bytes()
        if len(encoded) <= MAX_INLINE_KEY:
            return cls(bytes((_IDENTITY, len(encoded))) + encoded)
        return cls(bytes((_SHA256, 32)) + hashlib.sha256(encoded).digest())

    @classmethod
    def from_bytes(cls, data: bytes) -> PeerId:
        """Reads what `bytes(peer_id)` gave.

        Raises:
            DecodeError: not a multihash a key can have, or an inlined key that is none.
        """
        if len(data) < 2 or len(data) != 2 + data[1]:
            raise DecodeError("peer ID is no multihash")
        match data[0]:
            case 0x12 if data[1] == 32:
                return cls(bytes(data))
            case 0x00 if data[1] <= MAX_INLINE_KEY:
                PublicKey.from_bytes(bytes(data[2:]))
                return cls(bytes(data))
        raise DecodeError(f"peer ID with multihash code {data[0]:#x} and {data[1]} bytes")

    @classmethod
    def parse(cls, text: str) -> PeerId:
        """Reads either text form.

        Raises:
            ValueError: not a peer ID.
        """
        try:
            return _parse(text)
        except (ValueError, DecodeError) as error:
            raise ValueError(f"not a peer ID: {text[:_MAX_TEXT]!r} ({error})") from error

    @property
    def public_key(self) -> PublicKey | None:
        """The key, if the peer ID holds it whole (Ed25519, secp256k1)."""
        return PublicKey.from_bytes(self.multihash[2:]) if self.multihash[0] == _IDENTITY else None

    def matches(self, key: PublicKey) -> bool:
        """Whether this is the peer ID of `key`."""
        return PeerId.from_public_key(key) == self

    def __bytes__(self) -> bytes:
        return self.multihash

    def __str__(self) -> str:
        return _encode_digits(self.multihash, _BASE58)

    def __repr__(self) -> str:
        return f"PeerId({self})"


@lru_cache(maxsize=REMEMBERED)
def _parse(text: str) -> PeerId:
    return PeerId.from_bytes(_decode_text(text))


def _decode_text(text: str) -> bytes:
    """peer-ids.md, "Decoding": the first characters tell which form it is."""
    if not 2 <= len(text) <= _MAX_TEXT:
        raise ValueError("empty or too long")
    if text.startswith(("1", "Qm")):
        return _decode_digits(text, _BASE58)
    match text[0]:
        case "b":
            cid = base64.b32decode(text[1:].upper() + "=" * (-len(text[1:]) % 8))
        case "k":
            cid = _decode_digits(text[1:], _BASE36)
        case "z":
            cid = _decode_digits(text[1:], _BASE58)
        case prefix:
            raise ValueError(f"no known multibase prefix: {prefix!r}")
    if not cid.startswith(_CID_HEADER):
        raise ValueError("a CID, but not of a libp2p key")
    return cid.removeprefix(_CID_HEADER)


@lru_cache(maxsize=REMEMBERED)
def _encode_digits(data: bytes, alphabet: str) -> str:
    """The bytes as one big number in the alphabet's base; each leading zero byte becomes a leading zero digit."""
    number, digits = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, len(alphabet))
        digits = alphabet[digit] + digits
    zeros = len(data) - len(data.lstrip(b"\0"))
    return alphabet[0] * zeros + digits


def _decode_digits(text: str, alphabet: str) -> bytes:
    number = 0
    for character in text:
        number = number * len(alphabet) + alphabet.index(character)
    zeros = len(text) - len(text.lstrip(alphabet[0]))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
