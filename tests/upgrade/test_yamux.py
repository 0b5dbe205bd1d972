import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.errors import ClosedError, ProtocolError, RefusedError
from natlab.upgrade.yamux import (
    ACK_BACKLOG,
    INITIAL_WINDOW,
    MAX_DATA,
    MAX_INBOUND_STREAMS,
    MAX_UNREAD,
    MAX_WINDOW,
    Event,
    GoAwayCode,
    GoneAway,
    PingAnswered,
    Session,
    StreamFinished,
    StreamOpened,
    StreamOverrun,
    StreamReadable,
    StreamReset,
    StreamWritable,
)
from natlab.upgrade.yamux_frame import HEADER_BYTES, Flag, FrameType, Header

DATA, WINDOW, PING, GO_AWAY = FrameType


class Pair:
    """A client and a server back to back."""

    def __init__(self) -> None:
        self.client, self.server = Session(client=True), Session(client=False)

    def to_server(self) -> list[Event]:
        return self.server.receive(self.client.data_to_send())

    def to_client(self) -> list[Event]:
        return self.client.receive(self.server.data_to_send())

    def opened(self) -> int:
        """A stream that the client opened, acknowledged."""
        stream = self.client.open_stream()
        assert self.to_server() == [StreamOpened(stream)]
        assert self.to_client() == []
        return stream


def frame(kind: FrameType, flags: int, stream: int, length: int = 0, data: bytes = b"") -> bytes:
    return Header(kind, flags, stream, length).encode() + data


def frames(data: bytes) -> list[Header]:
    """The headers in what a session sends."""
    found = []
    while data:
        header = Header.decode(data[:HEADER_BYTES])
        found.append(header)
        data = data[HEADER_BYTES + (header.length if header.type is DATA else 0) :]
    return found


class TestOpening:
    def test_client_numbers_are_odd_and_server_numbers_even(self) -> None:
        pair = Pair()
        assert [pair.client.open_stream() for _ in range(3)] == [1, 3, 5]
        assert [pair.server.open_stream() for _ in range(3)] == [2, 4, 6]

    def test_syn_is_answered_with_ack(self) -> None:
        pair = Pair()
        pair.client.open_stream()
        syn = pair.client.data_to_send()
        assert frames(syn) == [Header(WINDOW, Flag.SYN, 1, 0)]
        pair.server.receive(syn)
        assert frames(pair.server.data_to_send()) == [Header(WINDOW, Flag.ACK, 1, 0)]

    def test_data_may_travel_with_the_syn(self) -> None:
        server = Session(client=False)
        assert server.receive(frame(DATA, Flag.SYN, 1, 2, b"hi")) == [StreamOpened(1), StreamReadable(1)]
        assert server.read(1) == b"hi"

    def test_at_most_256_unacknowledged_streams(self) -> None:
        pair = Pair()
        for _ in range(ACK_BACKLOG):
            pair.client.open_stream()
        with pytest.raises(RefusedError):
            pair.client.open_stream()
        pair.to_server()
        pair.to_client()
        assert pair.client.open_stream() == 2 * ACK_BACKLOG + 1

    def test_a_reset_stream_no_longer_counts_as_unacknowledged(self) -> None:
        pair = Pair()
        for _ in range(2 * ACK_BACKLOG):
            pair.client.reset(pair.client.open_stream())

    def test_more_streams_than_the_limit_are_refused_with_rst(self) -> None:
        server = Session(client=False)
        for index in range(MAX_INBOUND_STREAMS):
            server.receive(frame(WINDOW, Flag.SYN, 2 * index + 1))
        server.data_to_send()
        late = 2 * MAX_INBOUND_STREAMS + 1
        assert server.receive(frame(DATA, Flag.SYN, late, 3, b"abc") + frame(PING, Flag.SYN, 0, 5)) == []
        assert frames(server.data_to_send()) == [Header(WINDOW, Flag.RST, late, 0), Header(PING, Flag.ACK, 0, 5)]
        server.reset(1)
        assert server.receive(frame(WINDOW, Flag.SYN, late + 2)) == [StreamOpened(late + 2)]


class TestData:
    def test_bytes_arrive_in_order_both_ways(self) -> None:
        pair = Pair()
        stream = pair.opened()
        assert pair.client.write(stream, b"ping") == 4
        assert pair.server.write(stream, b"pong") == 4
        assert pair.to_server() == [StreamReadable(stream)]
        assert pair.to_client() == [StreamReadable(stream)]
        assert pair.server.read(stream, 3) + pair.server.read(stream) == b"ping"
        assert pair.client.read(stream) == b"pong"
        assert pair.client.read(stream) == b""

    def test_what_nobody_reads_is_bounded_over_all_streams(self) -> None:
        pair = Pair()
        full = [pair.opened() for _ in range(MAX_UNREAD // INITIAL_WINDOW)]
        for stream in full:
            assert pair.client.write(stream, bytes(INITIAL_WINDOW)) == INITIAL_WINDOW
        assert StreamOverrun(full[-1]) not in pair.to_server()
        one_more = pair.opened()
        pair.client.write(one_more, b"x")
        assert pair.to_server() == [StreamReadable(one_more), StreamOverrun(one_more)]
        assert pair.to_client() == [StreamReset(one_more, 0)]
        assert len(pair.server.read(full[0], 1)) == 1
        pair.client.write(pair.opened(), b"y")
        assert not any(isinstance(event, StreamOverrun) for event in pair.to_server())

    def test_what_comes_for_a_stream_nobody_reads_any_more_is_skipped(self) -> None:
        pair = Pair()
        stream = pair.opened()
        pair.server.close_write(stream)
        pair.server.close_read(stream)
        assert pair.to_client() == [StreamFinished(stream)]
        pair.client.write(stream, bytes(1000))
        pair.client.close_write(stream)
        assert pair.to_server() == [] and pair.to_client() == []
        assert pair.opened() == stream + 2

    def test_frames_carry_at_most_16_kib(self) -> None:
        pair = Pair()
        stream = pair.opened()
        pair.client.write(stream, bytes(2 * MAX_DATA + 1))
        assert [header.length for header in frames(pair.client.data_to_send())] == [MAX_DATA, MAX_DATA, 1]

    def test_every_cut_of_the_bytes_gives_the_same(self) -> None:
        wire = (
            frame(WINDOW, Flag.SYN, 1)
            + frame(DATA, 0, 1, 3, b"abc")
            + frame(PING, Flag.SYN, 0, 9)
            + frame(DATA, Flag.FIN, 1, 2, b"de")
        )
        for cut in range(len(wire) + 1):
            server = Session(client=False)
            events = server.receive(wire[:cut]) + server.receive(wire[cut:])
            assert list(dict.fromkeys(events)) == [StreamOpened(1), StreamReadable(1), StreamFinished(1)]
            assert server.read(1) == b"abcde"
            assert frames(server.data_to_send())[-1] == Header(PING, Flag.ACK, 0, 9)

    def test_the_fin_of_a_frame_counts_when_its_data_is_complete(self) -> None:
        server = Session(client=False)
        assert StreamFinished(1) not in server.receive(frame(DATA, Flag.SYN | Flag.FIN, 1, 2, b"a"))
        assert server.receive(b"b") == [StreamReadable(1), StreamFinished(1)]


class TestWindow:
    def test_a_writer_stops_at_256_kib(self) -> None:
        pair = Pair()
        stream = pair.opened()
        assert pair.client.write(stream, bytes(INITIAL_WINDOW + 5)) == INITIAL_WINDOW
        assert pair.client.write(stream, b"x") == 0

    def test_reading_half_of_it_opens_the_window_again_and_doubles_it(self) -> None:
        pair = Pair()
        stream = pair.opened()
        pair.client.write(stream, bytes(INITIAL_WINDOW))
        pair.to_server()
        pair.server.read(stream, INITIAL_WINDOW // 2 - 1)
        assert pair.to_client() == []
        pair.server.read(stream, 1)
        assert pair.to_client() == [StreamWritable(stream)]
        assert pair.client.write(stream, bytes(MAX_WINDOW)) == INITIAL_WINDOW // 2 + INITIAL_WINDOW

    def test_it_grows_to_1_mib_and_no_further(self) -> None:
        pair = Pair()
        stream = pair.opened()
        most = 0
        for _ in range(20):
            sent = pair.client.write(stream, bytes(2 * MAX_WINDOW))
            pair.to_server()
            most = max(most, sent)
            assert len(pair.server.read(stream, 2 * MAX_WINDOW)) == sent
            pair.to_client()
        assert most == MAX_WINDOW

    def test_after_the_fin_no_window_is_granted(self) -> None:
        pair = Pair()
        stream = pair.opened()
        pair.client.write(stream, bytes(INITIAL_WINDOW))
        pair.client.close_write(stream)
        pair.to_server()
        pair.server.read(stream, INITIAL_WINDOW)
        assert pair.server.data_to_send() == b""

    def test_data_beyond_the_window_is_a_protocol_error(self) -> None:
        server = Session(client=False)
        server.receive(frame(WINDOW, Flag.SYN, 1))
        server.data_to_send()
        with pytest.raises(ProtocolError, match="were allowed"):
            server.receive(frame(DATA, 0, 1, INITIAL_WINDOW + 1))
        assert frames(server.data_to_send()) == [Header(GO_AWAY, 0, 0, GoAwayCode.PROTOCOL_ERROR)]

    def test_a_window_beyond_32_bits_is_a_protocol_error(self) -> None:
        server = Session(client=False)
        server.receive(frame(WINDOW, Flag.SYN, 1))
        with pytest.raises(ProtocolError, match="32 bits"):
            server.receive(frame(WINDOW, 0, 1, 2**32 - 1))

    def test_the_peer_may_grant_more_with_its_ack(self) -> None:
        client = Session(client=True)
        stream = client.open_stream()
        assert client.receive(frame(WINDOW, Flag.ACK, stream, 1000)) == [StreamWritable(stream)]
        assert client.write(stream, bytes(MAX_WINDOW)) == INITIAL_WINDOW + 1000


class TestEnding:
    def test_half_closed_and_then_over(self) -> None:
        pair = Pair()
        stream = pair.opened()
        pair.client.write(stream, b"question")
        pair.client.close_write(stream)
        pair.client.close_write(stream)
        assert pair.to_server() == [StreamReadable(stream), StreamFinished(stream)]
        with pytest.raises(ClosedError):
            pair.client.write(stream, b"more")
        assert pair.server.read(stream) == b"question"
        pair.server.write(stream, b"answer")
        pair.server.close_write(stream)
        assert pair.to_client() == [StreamReadable(stream), StreamFinished(stream)]
        assert pair.client.read(stream) == b"answer"
        for end in (pair.client, pair.server):
            assert end.read(stream) == b""
            with pytest.raises(ClosedError):
                end.write(stream, b"x")

    def test_what_came_before_the_fin_can_still_be_read(self) -> None:
        server = Session(client=False)
        server.receive(frame(DATA, Flag.SYN | Flag.FIN, 1, 3, b"abc"))
        server.close_write(1)
        assert server.read(1) == b"abc"
        server.data_to_send()
        server.reset(1)
        assert server.data_to_send() == b"", "the stream is over; there is nothing to reset"

    def test_fin_on_a_window_update(self) -> None:
        """go-yamux closes that way."""
        server = Session(client=False)
        server.receive(frame(WINDOW, Flag.SYN, 1))
        assert server.receive(frame(WINDOW, Flag.FIN, 1)) == [StreamFinished(1)]

    def test_data_after_the_fin_is_a_protocol_error(self) -> None:
        server = Session(client=False)
        server.receive(frame(DATA, Flag.SYN | Flag.FIN, 1))
        with pytest.raises(ProtocolError, match="after its FIN"):
            server.receive(frame(DATA, 0, 1, 1, b"x"))

    def test_a_reset_carries_its_code(self) -> None:
        pair = Pair()
        stream = pair.opened()
        pair.client.write(stream, b"lost")
        pair.server.reset(stream, 77)
        pair.server.reset(stream, 78)
        assert pair.to_client() == [StreamReset(stream, 77)]
        assert pair.to_server() == [], "data that was under way when the stream was reset is skipped"
        with pytest.raises(ClosedError):
            pair.client.write(stream, b"x")

    def test_a_reset_on_a_data_frame_has_no_code(self) -> None:
        server = Session(client=False)
        server.receive(frame(WINDOW, Flag.SYN, 1))
        assert server.receive(frame(DATA, Flag.RST, 1, 2, b"xx")) == [StreamReset(1, 0)]
        assert server.receive(frame(PING, 2, 0, 1)) == [PingAnswered(1)]


class TestSession:
    def test_a_ping_comes_back_with_its_own_number(self) -> None:
        """rust-yamux ends the connection otherwise."""
        pair = Pair()
        first, second = pair.client.ping(), pair.client.ping()
        assert first != second
        pair.to_server()
        assert pair.to_client() == [PingAnswered(first), PingAnswered(second)]

    def test_after_our_go_away_streams_are_refused(self) -> None:
        pair = Pair()
        stream = pair.opened()
        pair.server.go_away()
        pair.server.go_away()
        late = pair.client.open_stream()
        pair.client.write(stream, b"goes on")
        assert pair.to_client() == [GoneAway(GoAwayCode.NORMAL)]
        assert pair.to_server() == [StreamReadable(stream)]
        assert pair.to_client() == [StreamReset(late, 0)]
        for end in (pair.client, pair.server):
            with pytest.raises(ClosedError, match="no new streams"):
                end.open_stream()

    @pytest.mark.parametrize(
        "wire",
        [
            frame(WINDOW, Flag.SYN, 2),
            frame(WINDOW, Flag.SYN, 1) * 2,
            frame(DATA, 0, 0, 1),
            frame(WINDOW, 0, 0, 1),
            b"\x01" + bytes(11),
            b"\x00\x04" + bytes(10),
            b"GET / HTTP/1.1\r\n",
        ],
        ids=["our number", "twice", "data for session", "window of session", "version", "type", "HTTP"],
    )
    def test_rules_a_client_may_break(self, wire: bytes) -> None:
        server = Session(client=False)
        with pytest.raises(ProtocolError):
            server.receive(wire)
        assert frames(server.data_to_send())[-1] == Header(GO_AWAY, 0, 0, GoAwayCode.PROTOCOL_ERROR)

    def test_frames_for_streams_that_are_not_there_are_skipped(self) -> None:
        server = Session(client=False)
        wire = frame(DATA, 0, 9, 2, b"xx") + frame(WINDOW, 0, 9, 5) + frame(WINDOW, Flag.RST, 9) + frame(DATA, 4, 9)
        assert server.receive(wire) == []
        assert server.data_to_send() == b""

    def test_data_for_a_stream_not_there_is_skipped_even_if_we_open_it_meanwhile(self) -> None:
        client = Session(client=True)
        client.receive(frame(DATA, 0, 1, 2**32 - 1, b"before"))
        assert client.open_stream() == 1
        assert client.receive(b"behind") == []
        assert client.read(1) == b""


HEADERS = st.builds(
    frame,
    st.sampled_from(FrameType),
    st.integers(0, 15),
    st.integers(0, 6),
    st.one_of(st.integers(0, 8), st.sampled_from([INITIAL_WINDOW, INITIAL_WINDOW + 1, 2**32 - 1])),
    st.binary(max_size=8),
)


@settings(max_examples=3 * settings.default.max_examples)
@given(st.booleans(), st.lists(st.one_of(HEADERS, st.binary(min_size=1, max_size=40)), max_size=25))
def test_any_frames_and_garbage_give_our_errors_only(client: bool, pieces: list[bytes]) -> None:
    session = Session(client=client)
    streams = {session.open_stream()}
    try:
        for piece in pieces:
            for event in session.receive(piece):
                if isinstance(event, StreamOpened):
                    streams.add(event.stream)
            for stream in sorted(streams):
                assert len(session.read(stream)) <= len(piece)
    except ProtocolError:
        assert frames(session.data_to_send())[-1].type is GO_AWAY
    else:
        frames(session.data_to_send())


@given(st.integers(0, 2**32), st.integers(1, 120))
def test_two_sessions_agree_whatever_they_do_and_however_the_bytes_are_cut(seed: int, steps: int) -> None:
    """What one end has written is what the other has read, in order, and nobody ever sees a protocol error."""
    rng = random.Random(seed)
    ends = [Session(client=True), Session(client=False)]
    wires = [bytearray(), bytearray()]  # under way to the client, to the server
    written: dict[tuple[int, int], bytearray] = {}
    read: dict[tuple[int, int], bytearray] = {}
    streams: list[int] = []
    cut_off: set[int] = set()
    for _ in range(steps):
        who = rng.randrange(2)
        end, stream = ends[who], rng.choice(streams) if streams else 0
        match rng.randrange(8):
            case 0 if len(streams) < 6:
                streams.append(end.open_stream())
            case 1 | 2 if stream:
                data = rng.randbytes(rng.choice([1, 1000, 200_000]))
                try:
                    taken = end.write(stream, data)
                except ClosedError:
                    continue
                written.setdefault((stream, who), bytearray()).extend(data[:taken])
            case 3 | 4 if stream:
                read.setdefault((stream, 1 - who), bytearray()).extend(end.read(stream, rng.choice([1, 500, 300_000])))
            case 5 if stream:
                end.close_write(stream)
            case 6 if stream and rng.random() < 0.2:
                cut_off.add(stream)
                end.reset(stream)
            case 7:
                end.ping()
        wires[1 - who] += end.data_to_send()
        size = rng.choice([0, 1, 11, 12, 13, 5000, 1_000_000])
        end.receive(bytes(wires[who][:size]))
        del wires[who][:size]
    deliver_all(ends, wires)
    for stream in streams:
        for who in (0, 1):
            read.setdefault((stream, 1 - who), bytearray()).extend(ends[who].read(stream, 1 << 30))
    for key, data in read.items():
        sent = written.get(key, bytearray())
        assert sent.startswith(data) if key[0] in cut_off else sent == data


def deliver_all(ends: list[Session], wires: list[bytearray]) -> None:
    while wires[0] or wires[1]:
        for who in (0, 1):
            ends[who].receive(bytes(wires[who]))
            wires[who].clear()
            wires[1 - who] += ends[who].data_to_send()


def test_a_long_transfer_through_small_reads() -> None:
    pair = Pair()
    stream = pair.opened()
    data, received, position = random.Random(6).randbytes(3_000_000), bytearray(), 0
    while len(received) < len(data):
        position += pair.client.write(stream, data[position:])
        pair.to_server()
        while chunk := pair.server.read(stream, 10_007):
            received += chunk
        pair.to_client()
    assert received == data
