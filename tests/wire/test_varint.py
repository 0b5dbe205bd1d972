import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.errors import DecodeError
from natlab.wire import varint


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        *((0, "00"), (1, "01"), (127, "7f"), (128, "8001"), (255, "ff01"), (300, "ac02"), (16384, "808001")),
        (2**63 - 1, "ffffffffffffffff7f"),
    ],
)
def test_the_examples_of_the_specification(value: int, encoded: str) -> None:
    data = bytes.fromhex(encoded)
    assert varint.encode(value) == data
    assert varint.decode(data) == (value, len(data))


@pytest.mark.parametrize("value", [-1, 2**63])
def test_what_does_not_fit_is_refused(value: int) -> None:
    with pytest.raises(ValueError, match="2\\*\\*63"):
        varint.encode(value)


@pytest.mark.parametrize("encoded", ["8000", "ff8000", "ffffffffffffffffff01", "808080808080808080"])
def test_not_shortest_or_too_long(encoded: str) -> None:
    with pytest.raises(DecodeError):
        varint.decode(bytes.fromhex(encoded))


@settings(deadline=None)
@given(st.integers(0, 2**63 - 1), st.binary(max_size=5), st.binary(max_size=5))
def test_round_trip_anywhere_in_a_buffer(value: int, before: bytes, behind: bytes) -> None:
    encoded = varint.encode(value)
    assert varint.decode(before + encoded + behind, len(before)) == (value, len(before) + len(encoded))
    for cut in range(len(encoded)):
        assert varint.decode(encoded[:cut]) is None


@settings(deadline=None)
@given(st.binary(max_size=12))
def test_whatever_decodes_encodes_to_the_same_bytes(data: bytes) -> None:
    try:
        decoded = varint.decode(data)
    except DecodeError:
        return
    if decoded is not None:
        value, end = decoded
        assert varint.encode(value) == data[:end]


def test_length_in_front() -> None:
    assert varint.prefixed(b"") == b"\0"
    assert varint.prefixed(bytes(300)) == b"\xac\x02" + bytes(300)
