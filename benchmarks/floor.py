"""The crypto floor: the primitives that libp2p's Noise needs, called through `cryptography`, and nothing else.

No protocol, no bytes moved, no objects but the library's. It is what no Python implementation of the same handshake can
go below, and it tells a slow protocol from a slow computer.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

REPEAT = 20
MESSAGE = 65535 - 16  # the most that one Noise message carries
NONCE = bytes(12)


def handshake_seconds() -> float:
    """Both ends of one Noise XX handshake with libp2p's identity proofs, one after the other as they must be."""
    identity = Ed25519PrivateKey.from_private_bytes(os.urandom(32))
    public = identity.public_key().public_bytes_raw()
    began = time.perf_counter()
    for _ in range(REPEAT):
        for _end in ("initiator", "responder"):
            one_end(identity, public)
    return (time.perf_counter() - began) / REPEAT


def one_end(identity: Ed25519PrivateKey, peer_identity: bytes) -> None:
    """Two key pairs, one signature, one verification, DH three times with its key derivation, four AEAD calls."""
    static, ephemeral = (X25519PrivateKey.from_private_bytes(os.urandom(32)) for _ in range(2))
    theirs = static.public_key().public_bytes_raw()
    ephemeral.public_key().public_bytes_raw()
    signed = b"noise-libp2p-static-key:" + theirs
    signature = identity.sign(signed)
    Ed25519PublicKey.from_public_bytes(peer_identity).verify(signature, signed)
    for _ in range(3):  # ee, es, se
        secret = ephemeral.exchange(X25519PublicKey.from_public_bytes(theirs))
        for _ in range(3):  # HKDF with two outputs
            secret = hmac.digest(secret, theirs, "sha256")
    for _ in range(2):  # the two static keys and the two payloads: encrypted at one end, decrypted at the other
        cipher = ChaCha20Poly1305(secret)
        cipher.decrypt(NONCE, cipher.encrypt(NONCE, signature, theirs), theirs)
    for _ in range(8):  # what MixHash hashes
        hashlib.sha256(signature + theirs).digest()


def ping_seconds() -> float:
    """A ping in its Yamux frame, encrypted and decrypted at both ends."""
    cipher, frame = ChaCha20Poly1305(bytes(32)), bytes(12 + 32)
    began = time.perf_counter()
    for _ in range(REPEAT):
        for _way in ("there", "back"):
            cipher.decrypt(NONCE, cipher.encrypt(NONCE, frame, None), None)
    return (time.perf_counter() - began) / REPEAT


def stream_seconds(size: int) -> float:
    """Encrypts and decrypts `size` bytes, one after the other; two computers, or cores, would do both at once."""
    cipher, plaintext = ChaCha20Poly1305(bytes(32)), bytes(MESSAGE)
    began = time.perf_counter()
    for _ in range(0, size, MESSAGE):
        cipher.decrypt(NONCE, cipher.encrypt(NONCE, plaintext, None), None)
    return time.perf_counter() - began
