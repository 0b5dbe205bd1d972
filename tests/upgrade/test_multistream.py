from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.errors import ClosedError, DecodeError, NatlabError, NegotiationError, ProtocolError
from natlab.upgrade.multistream import MAX_MESSAGE, MAX_PROPOSALS, Dialer, Listener, encode

HEADER = b"\x13/multistream/1.0.0\n"
NA = b"\x03na\n"


def negotiate(proposals: Sequence[str], supported: Sequence[str]) -> tuple[Dialer, Listener, int]:
    """Both ends back to back, and how often the dialer wrote."""
    dialer, listener = Dialer(proposals), Listener(supported.__contains__)
    writes = 0
    while dialer.protocol is None:
        listener.receive(dialer.data_to_send())
        writes += 1
        dialer.receive(listener.data_to_send())
    return dialer, listener, writes


def listening(*supported: str) -> Listener:
    return Listener(supported.__contains__)


def test_the_first_proposal_travels_with_the_header() -> None:
    assert Dialer(["/noise", "/tls/1.0.0"]).data_to_send() == HEADER + b"\x07/noise\n"


def test_the_listener_answers_the_header_with_its_own_before_any_proposal() -> None:
    """Some dialers wait for it (py-libp2p); nobody waits for a listener that speaks first."""
    listener = listening("/noise")
    assert listener.data_to_send() == b""
    listener.receive(HEADER)
    assert listener.data_to_send() == HEADER
    listener.receive(encode("/noise"))
    assert listener.data_to_send() == encode("/noise")


def test_agreed_in_one_round_trip() -> None:
    dialer, listener, writes = negotiate(["/noise"], ["/tls/1.0.0", "/noise"])
    assert dialer.protocol == listener.protocol == "/noise"
    assert writes == 1


def test_the_dialer_goes_on_until_it_hears_yes() -> None:
    dialer, listener, writes = negotiate(["/libp2p/simultaneous-connect", "/tls/1.0.0", "/noise"], ["/noise"])
    assert dialer.protocol == listener.protocol == "/noise"
    assert writes == 3


def test_simultaneous_connect_and_ls_are_answered_na() -> None:
    listener = listening("/noise")
    listener.receive(HEADER + encode("/libp2p/simultaneous-connect") + encode("ls"))
    assert listener.data_to_send() == HEADER + NA + NA
    assert listener.protocol is None


def test_nothing_in_common() -> None:
    with pytest.raises(NegotiationError, match="/b, the last of our proposals"):
        negotiate(["/a", "/b"], ["/noise"])


def test_what_follows_the_agreed_line_is_kept() -> None:
    """rust-libp2p sends its last proposal together with the protocol's first bytes."""
    listener = listening("/noise")
    listener.receive(HEADER + encode("/noise") + b"\x00\x20first")
    listener.receive(b" second")
    assert listener.rest == b"\x00\x20first second"
    dialer = Dialer(["/noise"])
    dialer.receive(HEADER + encode("/noise") + b"third")
    assert dialer.rest == b"third"


def test_bytes_are_handed_out_once() -> None:
    dialer = Dialer(["/noise"])
    assert dialer.data_to_send() and not dialer.data_to_send()


def test_any_way_to_cut_the_bytes_gives_the_same() -> None:
    data = HEADER + encode("/tls/1.0.0") + encode("/noise") + b"rest"
    for cut in range(len(data) + 1):
        listener = listening("/noise")
        for piece in (data[:cut], data[cut:]):
            if piece:
                listener.receive(piece)
        assert (listener.protocol, listener.rest) == ("/noise", b"rest")
    listener = listening("/noise")
    for byte in data:
        listener.receive(bytes((byte,)))
    assert (listener.protocol, listener.rest) == ("/noise", b"rest")


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (encode("/multistream/2.0.0"), ProtocolError),
        (b"\x12GET / HTTP/1.1\r\n\r\n", ProtocolError),
        (HEADER + HEADER, ProtocolError),
        (HEADER + encode("/tls/1.0.0"), ProtocolError),
        (HEADER + b"\x02na", DecodeError),
        (HEADER + b"\x00", DecodeError),
        (HEADER + b"\x02\xff\n", DecodeError),
        (b"\x81\x08", DecodeError),
        (b"\xff" * 9, DecodeError),
        (b"", ClosedError),
        (HEADER + NA, NegotiationError),
    ],
)
def test_what_a_dialer_does_not_accept(data: bytes, error: type[NatlabError]) -> None:
    with pytest.raises(error) as caught:
        Dialer(["/noise"]).receive(data)
    assert type(caught.value) is error


def test_closed_halfway() -> None:
    listener = listening("/noise")
    listener.receive(HEADER[:5])
    with pytest.raises(ClosedError):
        listener.receive(b"")


def test_a_listener_says_na_so_often_and_no_more() -> None:
    listener = listening("/noise")
    listener.receive(HEADER + encode("/x") * MAX_PROPOSALS)
    with pytest.raises(NegotiationError):
        listener.receive(encode("/x"))


def test_a_message_has_at_most_1024_bytes() -> None:
    longest = "/" + "x" * (MAX_MESSAGE - 2)
    assert negotiate([longest], [longest])[0].protocol == longest
    for bad in (longest + "x", "/a\n/b"):
        with pytest.raises(ValueError, match="not a protocol ID"):
            Dialer([bad])


def test_a_dialer_needs_a_proposal() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Dialer([])


@settings(max_examples=2 * settings.default.max_examples)
@given(st.booleans(), st.binary(max_size=80), st.lists(st.binary(min_size=1, max_size=40), max_size=6))
def test_garbage_gives_our_errors_only(dialling: bool, mutation: bytes, pieces: list[bytes]) -> None:
    place = mutation[0] % len(HEADER) if mutation else 0
    end = Dialer(["/a", "/noise"]) if dialling else listening("/noise")
    try:
        end.receive(HEADER[:place] + mutation[1:] + HEADER[place:])
        for piece in pieces:
            end.receive(piece)
    except NatlabError:
        return
    assert len(end.data_to_send()) <= len(HEADER) * (MAX_PROPOSALS + 2)


@settings(deadline=None)
@given(st.lists(st.from_regex(r"/[a-z0-9./]{1,30}", fullmatch=True), min_size=1, max_size=5, unique=True), st.data())
def test_the_dialers_first_choice_that_the_listener_has(proposals: list[str], data: st.DataObject) -> None:
    supported = data.draw(st.lists(st.sampled_from(proposals), min_size=1))
    dialer, listener, _ = negotiate(proposals, supported)
    assert dialer.protocol == listener.protocol == next(each for each in proposals if each in supported)
