import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multiaddr import Multiaddr

from natlab.endpoint import Endpoint
from natlab.errors import DecodeError
from natlab.wire import address
from natlab.wire.peer_id import PeerId

RELAY = PeerId.parse("12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA")
PEER = PeerId.parse("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N")
DIRECT = "/ip4/11.0.0.1/tcp/4001"
CIRCUIT = f"{DIRECT}/p2p/{RELAY}/p2p-circuit"


@pytest.mark.parametrize("endpoint", [Endpoint("11.0.0.1", 4001), Endpoint("2600::1", 1)])
def test_an_endpoint_and_back(endpoint: Endpoint) -> None:
    made = address.from_endpoint(endpoint)
    assert str(made) == f"/ip{endpoint.version}/{endpoint.ip}/tcp/{endpoint.port}"
    assert address.to_endpoint(made) == endpoint
    assert address.to_endpoint(address.with_peer(made, PEER)) == endpoint
    assert address.is_direct_tcp(made)


@pytest.mark.parametrize(
    "text",
    [
        *(CIRCUIT, f"{CIRCUIT}/p2p/{PEER}", "/ip4/11.0.0.1/udp/4001/quic-v1", "/dns4/example.com/tcp/4001"),
        *("/ip4/11.0.0.1", "/ip4/11.0.0.1/tcp/4001/ws", f"/p2p/{PEER}"),
    ],
)
def test_addresses_without_a_tcp_endpoint(text: str) -> None:
    parsed = address.parse(text)
    assert not address.is_direct_tcp(parsed)
    with pytest.raises(ValueError, match="direct TCP"):
        address.to_endpoint(parsed)


def test_the_peer_at_the_end() -> None:
    bare = address.parse(DIRECT)
    full = address.with_peer(bare, PEER)
    assert address.peer_of(bare) is None
    assert address.peer_of(full) == PEER
    assert address.without_peer(full) == address.without_peer(bare) == bare
    assert address.peer_of(address.with_peer(full, RELAY)) == RELAY


def test_a_circuit_is_put_together_and_taken_apart() -> None:
    relay = address.parse(f"{DIRECT}/p2p/{RELAY}")
    assert str(address.via_relay(relay)) == CIRCUIT
    full = address.via_relay(relay, PEER)
    assert str(full) == f"{CIRCUIT}/p2p/{PEER}"
    assert address.split_relay(full) == (relay, PEER)
    assert address.split_relay(address.parse(CIRCUIT)) == (relay, None)
    assert address.is_relayed(full) and not address.is_relayed(relay)
    assert address.peer_of(address.parse(CIRCUIT)) is None
    assert str(address.without_peer(full)) == CIRCUIT


def test_a_relay_without_peer_id_or_behind_a_relay() -> None:
    for text in (DIRECT, f"{CIRCUIT}/p2p/{PEER}"):
        with pytest.raises(ValueError, match="relay's address"):
            address.via_relay(address.parse(text))


@pytest.mark.parametrize("text", [DIRECT, f"{CIRCUIT}/p2p/{PEER}/p2p-circuit", f"{CIRCUIT}/p2p/{PEER}/tcp/1"])
def test_not_a_circuit_through_one_relay(text: str) -> None:
    with pytest.raises(ValueError, match=r"one relay|more than a peer"):
        address.split_relay(address.parse(text))


def test_a_bare_circuit_has_no_relay() -> None:
    assert address.split_relay(address.parse(f"/p2p-circuit/p2p/{PEER}")) == (Multiaddr(""), PEER)


@pytest.mark.parametrize(
    ("first", "public"),
    [("ip4/11.0.0.1", True), ("ip4/1.2.3.4", True), ("ip4/192.0.0.64", True), ("ip4/172.32.0.1", True)]
    + [(f"ip4/{ip}", False) for ip in ("0.0.0.0", "10.1.1.1", "100.64.0.1", "127.0.0.1", "169.254.1.1", "172.16.0.1")]
    + [(f"ip4/{ip}", False) for ip in ("192.0.0.63", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1")]
    + [(f"ip4/{ip}", False) for ip in ("198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "255.255.255.255")]
    + [("ip6/2600::1", True), ("ip6/64:ff9b::b00:1", True), ("ip6/64:ff9b:1::1", True)]
    + [(f"ip6/{ip}", False) for ip in ("::1", "fe80::1", "fc00::1", "2001:db8::1", "ff02::1", "4000::1")]
    + [("dns4/example.com", True), ("dnsaddr/bootstrap.libp2p.io", True)]
    + [(f"dns/{name}", False) for name in ("localhost", "a.localhost", "printer.local", "x.test", "y.invalid")]
    + [
        ("dns/router.home.arpa", False),
        ("dns/LOCALHOST", False),
        ("dns/localhost.", False),
        ("dns/1.0.0.10.in-addr.arpa", False),
    ],
)
def test_public_by_the_rule_of_go_multiaddr(first: str, public: bool) -> None:
    assert address.is_public(address.parse(f"/{first}/tcp/4001")) is public


def test_a_public_ip_alone() -> None:
    assert address.is_public_ip(ipaddress.ip_address("11.0.0.1"))
    assert not address.is_public_ip(ipaddress.ip_address("::"))
    assert not address.is_public(address.parse(f"/p2p/{PEER}"))


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "hello", "11.0.0.1:4001", "ip4/11.0.0.1", "/nosuch/1", "/ip6zone/x", "/p2p/hello"),
        *("/ip4/11.0.0", "/ip4/١.2.3.4/tcp/1", "/ip4/11.0.0.1/tcp/99999", "/ip4/11.0.0.1/tcp"),
        "/ip4/11.0.0.1/tcp/4001/p2p/Qm",
    ],
)
def test_text_that_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="not a multiaddr"):
        address.parse(text)


@pytest.mark.parametrize("data", [b"", b"\x04", b"\x04\x0b\x00\x00", b"\xff" * 9, b"\x04\x0b\0\0\1\x06\1", bytes(2000)])
def test_bytes_that_are_no_address(data: bytes) -> None:
    with pytest.raises(DecodeError):
        address.decode(data)


@pytest.mark.parametrize("port", ["\u0663", "8_0", "+80", " 80", "-1", "65536", "80x", "", "8" * 5000])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_port_is_written_in_up_to_five_digits(transport: str, port: str) -> None:
    with pytest.raises(ValueError, match="not a multiaddr") as error:
        address.parse(f"/ip4/11.0.0.1/{transport}/{port}")
    assert len(str(error.value)) < 1200


def test_an_address_has_at_most_1024_bytes() -> None:
    longest = bytes(address.parse("/tcp/1")) * (address.MAX_ADDRESS_BYTES // 3)
    assert bytes(address.decode(longest)) == longest
    with pytest.raises(DecodeError, match="1026 bytes"):
        address.decode(longest + longest[:3])


def test_unknown_protocols_of_a_peer_are_left_out() -> None:
    known = bytes(address.parse(DIRECT))
    assert address.decode_known([known, b"\xf0\x7f", known]) == (address.parse(DIRECT),) * 2


SAMPLES = [DIRECT, CIRCUIT, f"{CIRCUIT}/p2p/{PEER}", "/ip6/2600::1/udp/4001/quic-v1", "/dns4/example.com/tcp/443/wss"]


@settings(max_examples=3 * settings.default.max_examples)
@given(st.sampled_from(SAMPLES), st.integers(0, 200), st.integers(0, 255), st.binary(max_size=60))
def test_any_bytes_give_a_usable_address_or_our_error(text: str, place: int, byte: int, junk: bytes) -> None:
    valid = bytes(Multiaddr(text))
    assert bytes(address.decode(valid)) == valid
    mutated = bytearray(valid)
    mutated[place % len(valid)] = byte
    for data in (bytes(mutated), valid[: place % len(valid)], junk):
        try:
            decoded = address.decode(data)
        except DecodeError:
            continue
        assert bytes(decoded) == data
        assert address.parse(str(decoded)) == decoded
        (
            address.is_public(decoded),
            address.is_relayed(decoded),
            address.peer_of(decoded),
            address.is_direct_tcp(decoded),
        )


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["ip4", "ip6", "tcp", "p2p", "p2p-circuit", "dns", "1", "::1", str(PEER), "", "\0", "é"]))
)
def test_any_text_gives_an_address_or_a_value_error(words: list[str]) -> None:
    try:
        parsed = address.parse("/" + "/".join(words))
    except ValueError:
        return
    assert address.decode(bytes(parsed)) == parsed
