import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.errors import DecodeError, ProtocolError, SecurityError
from natlab.upgrade.noise_xx import KeyPair, XXHandshake

VECTOR = json.loads(
    (Path(__file__).parents[1] / "vectors" / "cacophony-noise-xx-25519-chachapoly-sha256.json").read_text()
)


def end(role: str) -> XXHandshake:
    static, ephemeral, prologue = (
        bytes.fromhex(VECTOR[f"{role}_{name}"]) for name in ("static", "ephemeral", "prologue")
    )
    pairs = {"static": KeyPair(static), "ephemeral": KeyPair(ephemeral)}
    return XXHandshake(initiator=role == "init", prologue=prologue, **pairs)


def test_the_published_vector() -> None:
    messages = [(bytes.fromhex(m["payload"]), bytes.fromhex(m["ciphertext"])) for m in VECTOR["messages"]]
    initiator, responder = writer, reader = end("init"), end("resp")
    for payload, ciphertext in messages[:3]:
        assert writer.write_message(payload) == ciphertext
        assert reader.read_message(ciphertext) == payload
        writer, reader = reader, writer
    assert initiator.complete and responder.complete
    assert initiator.handshake_hash.hex() == responder.handshake_hash.hex() == VECTOR["handshake_hash"]
    assert initiator.remote_static == responder.static_public
    assert responder.remote_static == initiator.static_public
    sending, receiving = responder.split(), initiator.split()  # the vector goes on with the responder
    for payload, ciphertext in messages[3:]:
        assert sending[0].encrypt(payload) == ciphertext
        assert receiving[1].decrypt(ciphertext) == payload
        sending, receiving = receiving, sending


def test_too_short_for_the_pattern() -> None:
    with pytest.raises(DecodeError, match="too short"):
        end("resp").read_message(bytes(31))


def test_another_prologue_does_not_decrypt() -> None:
    initiator = XXHandshake(initiator=True, static=KeyPair(bytes(32)), ephemeral=KeyPair(b"e" * 32))
    responder = end("resp")
    responder.read_message(initiator.write_message(b""))
    with pytest.raises(SecurityError, match="does not decrypt"):
        initiator.read_message(responder.write_message(b""))


@pytest.mark.parametrize("point", [0, 1])
def test_a_low_order_point_is_refused(point: int) -> None:
    """RFC 7748 section 6.1: such a public key makes the shared secret zero, whatever ours is."""
    responder = end("resp")
    responder.read_message(point.to_bytes(32, "little"))
    with pytest.raises(SecurityError, match="zero"):
        responder.write_message(b"")


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 255), st.binary(max_size=200))
def test_no_changed_message_passes(place: int, change: int, junk: bytes) -> None:
    responder = end("resp")
    responder.read_message(end("init").write_message(b""))
    message = responder.write_message(b"payload")
    place %= len(message)
    flipped = message[:place] + bytes((message[place] ^ change,)) + message[place + 1 :]
    # X25519 ignores the top bit of a public key (RFC 7748 section 5), but the hash of the handshake does not.
    for attempt in (flipped, message[:place], junk):
        initiator = end("init")
        initiator.write_message(b"")
        with pytest.raises(ProtocolError):
            initiator.read_message(attempt)
