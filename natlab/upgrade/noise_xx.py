"""Noise_XX_25519_ChaChaPoly_SHA256: two strangers agree on keys, and each proves to own a static key.

Specification: The Noise Protocol Framework, revision 34 (section numbers below are its).

    initiator                         responder       what each token does (section 5.3)
       │── e ───────────────────────────>│            e   send a fresh public key
       │<── e, ee, s, es ────────────────│            s   send the static public key, encrypted
       │── s, se ───────────────────────>│            ee  mix in DH(our e, their e); es, se likewise:
       │                                 │                the initiator's key is named first
       └──── split: one key each way ────┘

Every message ends with a payload. It is encrypted as soon as there is a key: from the second message on. `h` hashes
all that was sent, `ck` all that was agreed, so that a changed bit anywhere makes the next decryption fail.

Not modelled: other patterns, pre-shared keys, rekey (a connection would need 2**64 messages).
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from natlab.errors import DecodeError, SecurityError

PROTOCOL_NAME = b"Noise_XX_25519_ChaChaPoly_SHA256"  # exactly 32 bytes, so it is the first h as it is (section 5.2)
PATTERN = (("e",), ("e", "ee", "s", "es"), ("s", "se"))  # section 7.5, XX
MAX_MESSAGE = 65535  # section 3
DH_BYTES, TAG_BYTES = 32, 16


_aead = lru_cache(maxsize=32)(ChaCha20Poly1305)
"""The library's cipher for a key, while the key is in use: it takes 2 KiB, and most connections are idle."""


class CipherState:
    """A key and the number of messages it has been used for (section 5.1)."""

    __slots__ = ("_key", "_nonce")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._nonce = 0

    def encrypt(self, plaintext: bytes | memoryview, associated: bytes | None = None) -> bytes:
        return _aead(self._key).encrypt(self._next_nonce(), plaintext, associated)

    def decrypt(self, ciphertext: bytes | memoryview, associated: bytes | None = None) -> bytes:
        """Raises SecurityError where the tag does not fit: another key, another order, or a changed bit."""
        try:
            return _aead(self._key).decrypt(self._next_nonce(), ciphertext, associated)
        except InvalidTag as error:
            raise SecurityError("Noise message does not decrypt") from error

    def _next_nonce(self) -> bytes:
        nonce = struct.pack("<IQ", 0, self._nonce)  # section 12.3: zero:4 | counter:8, little-endian
        self._nonce += 1
        return nonce


class KeyPair:
    """A Curve25519 key pair (section 4.1).

    Args:
        secret: 32 bytes.

    Attributes:
        public: 32 bytes.
    """

    __slots__ = ("_secret", "public")

    def __init__(self, secret: bytes) -> None:
        self._secret = X25519PrivateKey.from_private_bytes(secret)
        self.public = self._secret.public_key().public_bytes_raw()

    def dh(self, public: bytes) -> bytes:
        """The secret shared with the owner of `public`.

        Raises:
            SecurityError: it is all zero, as with any point of low order (RFC 7748 section 6.1).
        """
        try:
            return self._secret.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError as error:
            raise SecurityError("the peer sent a key that makes the shared secret zero") from error


class SymmetricState:
    """What both ends have hashed and agreed so far (section 5.2)."""

    def __init__(self, prologue: bytes) -> None:
        self.h = self._ck = PROTOCOL_NAME
        self._cipher: CipherState | None = None
        self.mix_hash(prologue)

    def mix_hash(self, data: bytes) -> None:
        self.h = hashlib.sha256(self.h + data).digest()

    def mix_key(self, secret: bytes) -> None:
        self._ck, key = _hkdf(self._ck, secret)
        self._cipher = CipherState(key)

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        ciphertext = self._cipher.encrypt(plaintext, self.h) if self._cipher else plaintext
        self.mix_hash(ciphertext)
        return ciphertext

    def decrypt_and_hash(self, ciphertext: bytes) -> bytes:
        plaintext = self._cipher.decrypt(ciphertext, self.h) if self._cipher else ciphertext
        self.mix_hash(ciphertext)
        return plaintext

    @property
    def overhead(self) -> int:
        """By how many bytes encryption lengthens what is sent now."""
        return TAG_BYTES if self._cipher else 0

    def split(self) -> tuple[CipherState, CipherState]:
        """The keys for what the initiator sends, and for what the responder sends."""
        first, second = _hkdf(self._ck, b"")
        return CipherState(first), CipherState(second)


class XXHandshake:
    """One end of the handshake (HandshakeState, section 5.3): write and read messages in turn.

    Args:
        initiator: whether our end writes the first message.
        static, ephemeral: our keys; the ephemeral one must never be used again.
        prologue: data both ends must hold equal; empty in libp2p.

    Attributes:
        static_public: our static public key, 32 bytes.
        remote_static: the peer's, empty until its message with the `s` token was read.
    """

    def __init__(self, *, initiator: bool, static: KeyPair, ephemeral: KeyPair, prologue: bytes = b"") -> None:
        self._initiator = initiator
        self._ours = {"s": static, "e": ephemeral}
        self._remote = {"s": b"", "e": b""}
        self._symmetric = SymmetricState(prologue)
        self._messages = 0

    @property
    def static_public(self) -> bytes:
        return self._ours["s"].public

    @property
    def remote_static(self) -> bytes:
        return self._remote["s"]

    @property
    def handshake_hash(self) -> bytes:
        """What names this session once the handshake is complete (section 11.2, channel binding)."""
        return self._symmetric.h

    @property
    def complete(self) -> bool:
        return self._messages == len(PATTERN)

    def write_message(self, payload: bytes) -> bytes:
        """The next message of the pattern, with our payload at its end."""
        message = b""
        for token in PATTERN[self._messages]:
            match token:
                case "e":
                    self._symmetric.mix_hash(self._ours["e"].public)
                    message += self._ours["e"].public
                case "s":
                    message += self._symmetric.encrypt_and_hash(self.static_public)
                case _:
                    self._mix_shared_secret(token)
        self._messages += 1
        return message + self._symmetric.encrypt_and_hash(payload)

    def read_message(self, message: bytes) -> bytes:
        """Takes the peer's next message and returns its payload.

        Raises:
            DecodeError: too short for the pattern.
            SecurityError: it does not decrypt, or a key in it is no proper Curve25519 point.
        """
        for token in PATTERN[self._messages]:
            match token:
                case "e":
                    self._remote["e"], message = _cut(message, DH_BYTES)
                    self._symmetric.mix_hash(self._remote["e"])
                case "s":
                    encrypted, message = _cut(message, DH_BYTES + self._symmetric.overhead)
                    self._remote["s"] = self._symmetric.decrypt_and_hash(encrypted)
                case _:
                    self._mix_shared_secret(token)
        self._messages += 1
        return self._symmetric.decrypt_and_hash(message)

    def split(self) -> tuple[CipherState, CipherState]:
        """After the last message: the keys to send and to receive with."""
        first, second = self._symmetric.split()
        return (first, second) if self._initiator else (second, first)

    def _mix_shared_secret(self, token: str) -> None:
        """`es` is DH(initiator's e, responder's s): which of the two is ours depends on our role."""
        ours, theirs = (token[0], token[1]) if self._initiator else (token[1], token[0])
        self._symmetric.mix_key(self._ours[ours].dh(self._remote[theirs]))


def _hkdf(chaining_key: bytes, secret: bytes) -> tuple[bytes, bytes]:
    """HKDF with two outputs (section 4.3)."""
    temporary = _hmac(chaining_key, secret)
    first = _hmac(temporary, b"\x01")
    return first, _hmac(temporary, first + b"\x02")


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def _cut(message: bytes, length: int) -> tuple[bytes, bytes]:
    if len(message) < length:
        raise DecodeError("Noise handshake message is too short")
    return message[:length], message[length:]
