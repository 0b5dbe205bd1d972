"""IP pooling (RFC 4787 section 4.1, RFC 6888 REQ-2)."""

from __future__ import annotations

import random

import pytest

from natlab.nat.config import NatConfig, Pooling
from natlab.nat.pool import Pool

IPS = ["11.0.0.1", "11.0.0.2", "11.0.0.3"]


def pool(**axes: object) -> Pool:
    return Pool(NatConfig(external_addresses=3, **axes), IPS, random.Random(1))  # type: ignore[arg-type]


def test_rfc_4787_req_2_paired_keeps_a_host_on_one_address_and_spreads_the_hosts() -> None:
    paired = pool()
    for n in range(2, 20):
        assert len({paired.share_of(f"192.168.1.{n}").ip for _ in range(5)}) == 1
    assert {paired.share_of(f"192.168.1.{n}").ip for n in range(2, 20)} == set(IPS)


def test_arbitrary_shows_one_host_under_several_addresses() -> None:
    arbitrary = pool(pooling=Pooling.ARBITRARY)
    assert {arbitrary.share_of("192.168.1.2").ip for _ in range(50)} == set(IPS)


def test_blocks_go_on_on_the_next_address() -> None:
    blocks = pool(port_block=30_000)  # two on each address
    shares = [blocks.share_of(f"192.168.1.{n}") for n in range(6)]
    assert len({(share.ip, share.ports) for share in shares}) == 6
    assert blocks.share_of("192.168.1.6") == shares[0]
    first, second = (pool(port_block=1000).share_of(ip) for ip in ("100.64.0.0", "100.64.0.1"))
    assert second.ports.start - first.ports.start == 1000 and first.ip == second.ip


@pytest.mark.parametrize("size", [1, 1000, 64_512])
def test_a_block_lies_within_the_dynamic_ports(size: int) -> None:
    for n in range(100):
        ports = pool(port_block=size).share_of(f"10.0.0.{n}").ports
        assert len(ports) == size and ports[0] >= 1024 and ports[-1] <= 65535
