import json
import random
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.errors import DecodeError, ProtocolError, SecurityError
from natlab.wire.keys import MAX_KEY_BYTES, KeyType, PrivateKey, PublicKey
from natlab.wire.proto import keys_pb2

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "libp2p-specs-peer-ids.json").read_text())["keys"]
ENCODED = {name: bytes.fromhex(pair["public"]) for name, pair in VECTORS.items()}
MESSAGE = b"what is signed"


def secret(name: str) -> bytes:
    """The Data field of a private key in the vectors (same two fields as a public key)."""
    message = keys_pb2.PublicKey()
    message.ParseFromString(bytes.fromhex(VECTORS[name]["private"]))
    return message.Data


def signature(name: str) -> bytes:
    """A signature made by the spec's private key with the `cryptography` library alone."""
    match name:
        case "ED25519":
            return PrivateKey(secret(name)[:32]).sign(MESSAGE)
        case "SECP256K1":
            key = ec.derive_private_key(int.from_bytes(secret(name), "big"), ec.SECP256K1())
            return key.sign(MESSAGE, ec.ECDSA(SHA256()))
    key = load_der_private_key(secret(name), None)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(MESSAGE, padding.PKCS1v15(), SHA256())
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key.sign(MESSAGE, ec.ECDSA(SHA256()))


def test_the_vectors_cover_every_type() -> None:
    assert sorted(ENCODED) == sorted(kind.name for kind in KeyType)


@pytest.mark.parametrize("name", ENCODED)
class TestSpecVectors:
    def test_parses_and_encodes_back(self, name: str) -> None:
        key = PublicKey.from_bytes(ENCODED[name])
        assert key.type is KeyType[name]
        assert key.to_bytes() == ENCODED[name]

    def test_verifies_what_its_private_key_signed(self, name: str) -> None:
        PublicKey.from_bytes(ENCODED[name]).verify(MESSAGE, signature(name))

    def test_a_changed_message_or_signature_does_not_verify(self, name: str) -> None:
        key, signed = PublicKey.from_bytes(ENCODED[name]), signature(name)
        key.verify(MESSAGE, signed)  # what is remembered of it must not help the others
        for message, claimed in ((MESSAGE + b"!", signed), (MESSAGE, signed[:-1]), (MESSAGE, b"")):
            with pytest.raises(SecurityError):
                key.verify(message, claimed)


def test_the_spec_private_key_has_the_spec_public_key() -> None:
    assert PrivateKey(secret("ED25519")[:32]).public.to_bytes() == ENCODED["ED25519"]


def test_generated_keys_follow_the_seed() -> None:
    first, again = (PrivateKey.generate(random.Random(7)) for _ in range(2))
    assert first == again
    assert first != PrivateKey.generate(random.Random(8))
    first.public.verify(MESSAGE, first.sign(MESSAGE))


def test_a_private_key_does_not_show_its_seed() -> None:
    key = PrivateKey.generate(random.Random(7))
    assert key.seed.hex() not in repr(key) and str(key.seed) not in repr(key)


def test_a_seed_of_the_wrong_length() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        PrivateKey(b"short")


@pytest.mark.parametrize(
    ("encoded", "why"),
    [
        (b"", "without type"),
        (bytes.fromhex("0801"), "without type or data"),
        (bytes.fromhex("1200"), "without type or data"),
        (bytes.fromhex("08041200"), "type 4"),
        (bytes.fromhex("08011203616263"), "type 1"),
        (bytes.fromhex("0802122102") + b"\xff" * 32, "type 2"),
        (ENCODED["ECDSA"].replace(b"\x08\x03", b"\x08\x00", 1), "not an RSA key"),
        (ENCODED["RSA"].replace(b"\x08\x00", b"\x08\x03", 1), "not an ECDSA key"),
        (bytes(MAX_KEY_BYTES + 1), "at most"),
        (b"\x12\xff", "no protobuf"),
    ],
)
def test_bad_keys(encoded: bytes, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        PublicKey.from_bytes(encoded)


def test_a_small_rsa_key_is_refused() -> None:
    numbers = rsa.RSAPublicNumbers(65537, (1 << 1023) + 1155)
    data = numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    message = keys_pb2.PublicKey(Type=keys_pb2.RSA, Data=data)
    with pytest.raises(DecodeError, match="1024 bits"):
        PublicKey.from_bytes(message.SerializeToString())


@settings(deadline=None)
@given(st.sampled_from(list(ENCODED.values())), st.integers(0, 600), st.integers(0, 255), st.binary(max_size=64))
def test_any_bytes_give_a_key_or_our_error(valid: bytes, place: int, byte: int, junk: bytes) -> None:
    mutated = bytearray(valid)
    mutated[place % len(valid)] = byte
    for data in (bytes(mutated), valid[: place % len(valid)], junk):
        try:
            PublicKey.from_bytes(data).verify(MESSAGE, junk)
        except ProtocolError:
            continue
        raise AssertionError("junk verified as a signature")
