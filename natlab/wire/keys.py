"""Identity keys: the long-lived key pair a node is known by.

Specification: libp2p specs `peer-ids/peer-ids.md`, "Keys".

| Type | Data of the public key | signature |
|---|---|---|
| RSA 0 | DER, SubjectPublicKeyInfo (PKIX) | RSASSA-PKCS1-v1_5 over SHA-256 |
| Ed25519 1 | the 32 bytes | RFC 8032 |
| Secp256k1 2 | compressed point, 33 bytes | ECDSA over SHA-256, DER |
| ECDSA 3 | DER, SubjectPublicKeyInfo (PKIX) | ECDSA over SHA-256, DER |

A node of ours has an Ed25519 key; it must understand all four in others.

Not modelled: key files, signing with anything but Ed25519.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from google.protobuf.message import DecodeError as ProtobufDecodeError

from natlab.errors import DecodeError, SecurityError
from natlab.wire.proto import keys_pb2

MAX_KEY_BYTES = 2048  # an RSA key of MAX_RSA_BITS takes 1100
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192  # go-libp2p core/crypto/rsa_common.go

_Key = Ed25519PublicKey | rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class KeyType(IntEnum):
    RSA = 0
    ED25519 = 1
    SECP256K1 = 2
    ECDSA = 3


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The half of an identity that others see.

    Attributes:
        type: which of the four algorithms.
        data: the key itself, in the format of its type (table above).
    """

    type: KeyType
    data: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> PublicKey:
        """Parses the protobuf `PublicKey` and checks that the key in it is one.

        Raises:
            DecodeError: no such message, an unknown type, or no valid key of that type.
        """
        if len(data) > MAX_KEY_BYTES:
            raise DecodeError(f"public key of {len(data)} bytes; at most {MAX_KEY_BYTES} are accepted")
        return _parse(data)

    @classmethod
    def from_message(cls, message: keys_pb2.PublicKey) -> PublicKey:
        """The same for a message already parsed, as envelopes carry it.

        Raises:
            DecodeError: an unknown type, or no valid key of that type.
        """
        if not (message.HasField("Type") and message.HasField("Data")):
            raise DecodeError("public key without type or data")
        try:
            key = cls(KeyType(message.Type), message.Data)
            _load(key)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise DecodeError(f"public key of type {message.Type}: {error}") from error
        return key

    def to_message(self) -> keys_pb2.PublicKey:
        return keys_pb2.PublicKey(Type=keys_pb2.KeyType.Name(self.type), Data=self.data)

    def to_bytes(self) -> bytes:
        """The deterministic encoding that peer IDs are derived from (peer-ids.md): Type, then Data, both present."""
        return _encode(self)

    def verify(self, message: bytes, signature: bytes) -> None:
        """Checks a signature by this key.

        Raises:
            SecurityError: the signature is not this key's over `message`.
        """
        try:
            _verify(self, message, signature)
        except InvalidSignature as error:
            raise SecurityError(f"signature does not verify with this {self.type.name} key") from error


# One connection needs a peer's key half a dozen times, each time as its bytes.


@lru_cache(maxsize=64)
def _parse(data: bytes) -> PublicKey:
    message = keys_pb2.PublicKey()
    try:
        message.ParseFromString(data)
    except ProtobufDecodeError as error:
        raise DecodeError("public key is no protobuf message") from error
    return PublicKey.from_message(message)


@lru_cache(maxsize=64)
def _encode(key: PublicKey) -> bytes:
    return key.to_message().SerializeToString(deterministic=True)


@lru_cache(maxsize=32)
def _verify(key: PublicKey, message: bytes, signature: bytes) -> None:
    """Raises InvalidSignature. Remembers what is right: a peer shows the same Noise key and record again and again."""
    match loaded := _load(key):
        case Ed25519PublicKey():
            loaded.verify(signature, message)
        case rsa.RSAPublicKey():
            loaded.verify(signature, message, padding.PKCS1v15(), SHA256())
        case ec.EllipticCurvePublicKey():
            loaded.verify(signature, message, ec.ECDSA(SHA256()))


@lru_cache(maxsize=64)
def _load(key: PublicKey) -> _Key:
    """The library's key, checked.

    Raises ValueError or UnsupportedAlgorithm.
    """
    match key.type:
        case KeyType.ED25519:
            return Ed25519PublicKey.from_public_bytes(key.data)
        case KeyType.SECP256K1:
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), key.data)
        case KeyType.RSA:
            return _load_rsa(key.data)
        case KeyType.ECDSA:
            loaded = load_der_public_key(key.data)
            if not isinstance(loaded, ec.EllipticCurvePublicKey):
                raise ValueError("not an ECDSA key")
            return loaded


def _load_rsa(data: bytes) -> rsa.RSAPublicKey:
    key = load_der_public_key(data)
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("not an RSA key")
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise ValueError(f"RSA key of {key.key_size} bits")
    return key


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """An Ed25519 identity.

    Attributes:
        seed: the 32 secret bytes (RFC 8032 section 5.1.5).
        public: what others see of it.
    """

    seed: bytes
    public: PublicKey = field(init=False, compare=False)
    _signer: Ed25519PrivateKey = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.seed) != 32:
            raise ValueError(f"an Ed25519 seed has 32 bytes, not {len(self.seed)}")
        signer = Ed25519PrivateKey.from_private_bytes(self.seed)
        object.__setattr__(self, "_signer", signer)
        object.__setattr__(self, "public", PublicKey(KeyType.ED25519, signer.public_key().public_bytes_raw()))

    def __repr__(self) -> str:
        return f"PrivateKey(of {self.public.data.hex()})"

    @classmethod
    def generate(cls, rng: random.Random) -> PrivateKey:
        """A new key: from the lab's seed, or from `random.SystemRandom()` for use on a real network."""
        return cls(rng.randbytes(32))

    def sign(self, message: bytes) -> bytes:
        """The signature, 64 bytes; the same for the same message."""
        return self._signer.sign(message)
