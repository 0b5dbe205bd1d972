import base64
import contextlib
import hashlib
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.errors import DecodeError
from natlab.wire.keys import PrivateKey, PublicKey
from natlab.wire.peer_id import PeerId

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "libp2p-specs-peer-ids.json").read_text())
KEYS = {name: PublicKey.from_bytes(bytes.fromhex(pair["public"])) for name, pair in VECTORS["keys"].items()}
EXAMPLES = VECTORS["peer_ids"]


@pytest.mark.parametrize("name", ["ED25519", "SECP256K1"])
def test_a_short_key_is_in_the_peer_id(name: str) -> None:
    peer = PeerId.from_public_key(KEYS[name])
    assert bytes(peer) == bytes((0, len(KEYS[name].to_bytes()))) + KEYS[name].to_bytes()
    assert peer.public_key == KEYS[name]
    assert peer.matches(KEYS[name])


@pytest.mark.parametrize("name", ["RSA", "ECDSA"])
def test_a_long_key_is_hashed(name: str) -> None:
    peer = PeerId.from_public_key(KEYS[name])
    assert bytes(peer) == b"\x12\x20" + hashlib.sha256(KEYS[name].to_bytes()).digest()
    assert str(peer).startswith("Qm")
    assert peer.public_key is None
    assert peer.matches(KEYS[name]) and not peer.matches(KEYS["ED25519"])


def test_the_examples_of_the_specification() -> None:
    assert str(PeerId.parse(EXAMPLES["base58_identity"])) == EXAMPLES["base58_identity"]
    hashed = PeerId.parse(EXAMPLES["base58_sha256"])
    assert str(hashed) == EXAMPLES["base58_sha256"]
    assert PeerId.parse(EXAMPLES["cid_v1"]) == hashed


def test_a_peer_id_in_base36_and_base58_cids() -> None:
    """The same peer, as `ipfs key list --ipns-base` writes it; made here from the CID's bytes as one big number."""
    peer = PeerId.parse(EXAMPLES["base58_identity"])
    number = int.from_bytes(b"\x01\x72" + bytes(peer), "big")
    for prefix, alphabet in (
        ("k", "0123456789abcdefghijklmnopqrstuvwxyz"),
        ("z", "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"),
    ):
        text, rest = "", number
        while rest:
            rest, digit = divmod(rest, len(alphabet))
            text = alphabet[digit] + text
        assert PeerId.parse(prefix + text) == peer


def test_a_value() -> None:
    first, again, other = (PeerId.from_public_key(PrivateKey.generate(random.Random(s)).public) for s in (1, 1, 2))
    assert first == again and hash(first) == hash(again) and first != other
    assert repr(first) == f"PeerId({first})"


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "Qm", "hello", "1é", "bé", "baf!", "z" * 200, "Qm" + "0" * 44),
        "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5S",  # the last character is missing
        "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA ",
        "bafzbeie5745rpv2m6tjyuugywy4d5ewrq",
        "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",  # the CID of a file
    ],
)
def test_text_that_is_no_peer_id(text: str) -> None:
    with pytest.raises(ValueError, match="not a peer ID"):
        PeerId.parse(text)


def test_a_cid_must_be_of_a_libp2p_key() -> None:
    multihash = bytes(PeerId.parse(EXAMPLES["base58_sha256"]))
    for version, codec, good in ((1, 0x72, True), (1, 0x70, False), (0, 0x72, False)):
        text = "b" + base64.b32encode(bytes((version, codec)) + multihash).decode().lower().rstrip("=")
        if good:
            assert bytes(PeerId.parse(text)) == multihash
        else:
            with pytest.raises(ValueError, match="not of a libp2p key"):
                PeerId.parse(text)


@pytest.mark.parametrize("data", ["", "00", "0000", "1220", "1221" + "00" * 33, "1320" + "00" * 32, "002b" + "00" * 43])
def test_bytes_that_are_no_peer_id(data: str) -> None:
    with pytest.raises(DecodeError):
        PeerId.from_bytes(bytes.fromhex(data))


@settings(deadline=None)
@given(st.binary(min_size=32, max_size=32))
def test_every_ed25519_peer_id_survives_text_and_bytes(seed: bytes) -> None:
    peer = PeerId.from_public_key(PrivateKey(seed).public)
    assert PeerId.parse(str(peer)) == PeerId.from_bytes(bytes(peer)) == peer
    assert str(peer).startswith("12D3KooW")


@settings(deadline=None)
@given(st.text(max_size=80), st.binary(max_size=50))
def test_anything_gives_a_peer_id_or_our_error(text: str, data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert PeerId.parse(str(PeerId.parse(text))) == PeerId.parse(text)
    with contextlib.suppress(DecodeError):
        assert bytes(PeerId.from_bytes(data)) == data
