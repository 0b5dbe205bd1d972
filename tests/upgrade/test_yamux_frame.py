import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.errors import ProtocolError
from natlab.upgrade.yamux_frame import HEADER_BYTES, Flag, FrameType, GoAwayCode, Header


@pytest.mark.parametrize(
    ("header", "encoded"),
    [
        (Header(FrameType.DATA, 0, 1, 100), "00 00 0000 00000001 00000064"),
        (Header(FrameType.WINDOW_UPDATE, Flag.SYN, 3, 0), "00 01 0001 00000003 00000000"),
        (Header(FrameType.WINDOW_UPDATE, Flag.ACK, 2, 262144), "00 01 0002 00000002 00040000"),
        (Header(FrameType.DATA, Flag.FIN, 5, 0), "00 00 0004 00000005 00000000"),
        (Header(FrameType.WINDOW_UPDATE, Flag.RST, 4294967295, 7), "00 01 0008 ffffffff 00000007"),
        (Header(FrameType.PING, Flag.SYN, 0, 0xDEADBEEF), "00 02 0001 00000000 deadbeef"),
        (Header(FrameType.GO_AWAY, 0, 0, GoAwayCode.PROTOCOL_ERROR), "00 03 0000 00000000 00000001"),
    ],
)
def test_written_by_hand_from_the_specification(header: Header, encoded: str) -> None:
    assert header.encode() == bytes.fromhex(encoded)
    assert Header.decode(bytes.fromhex(encoded)) == header


@pytest.mark.parametrize("encoded", ["01 00 0000 00000001 00000000", "00 04 0000 00000001 00000000"])
def test_another_version_or_type(encoded: str) -> None:
    with pytest.raises(ProtocolError, match="Yamux"):
        Header.decode(bytes.fromhex(encoded))


@given(st.binary(min_size=HEADER_BYTES, max_size=HEADER_BYTES))
def test_any_twelve_bytes_are_a_header_or_our_error(data: bytes) -> None:
    try:
        assert Header.decode(data).encode() == data
    except ProtocolError:
        assert data[0] != 0 or data[1] > 3
