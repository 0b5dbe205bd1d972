"""What "linux" is named after, on the same bench: nft's masquerade keeps and breaks what the preset does, row by row.

Timers are compared in two steps, since the longest is five days: the kernel's own numbers are what is measured of the
preset, and with other, short numbers, what is measured of the kernel is those. The long form waits for UDP's.
"""

import asyncio
import re
import shutil

import pytest

from natlab import netns
from natlab.lab.report import CARRIERS_REQUIREMENTS, REQUIREMENTS, icmp, measure, tcp, udp
from natlab.lab.report.ground import Simulated
from natlab.lab.report.prober import ACK, Prober
from natlab.lab.seed import rng_for
from natlab.nat import configure
from natlab.netns.kernel_nat import MASQUERADE, KernelNat

TIMED = {
    "RFC 4787 REQ-5",
    "RFC 4787 REQ-5c",
    "RFC 4787 REQ-6",
    "RFC 5382 REQ-5",
    "RFC 5382 REQ-5, short",
    "RFC 5508 REQ-2",
    "RFC 5508 REQ-6, refresh",
    "RFC 7857 2.2",
    "RFC 7857 7.1",
}
PATIENCE = 0.5  # seconds; none of them is found
DROPPING = """
table ip natlab {
    chain postrouting { type nat hook postrouting priority srcnat; oifname "outside" masquerade; }
    chain input { type filter hook input priority filter; iifname "outside" ct state new,invalid drop; }
}
"""
RANDOM = MASQUERADE.replace("masquerade", "masquerade fully-random")
LIBERAL = {"net.netfilter.nf_conntrack_tcp_be_liberal": 1}

SHARES = """
table ip natlab {
    set hosts { type ipv4_addr; size 65535; flags dynamic; }
    chain forward {
        type filter hook forward priority filter
        iifname "inside" ct state new add @hosts { ip saddr ct count over 64 } REFUSED
    }
    chain postrouting { type nat hook postrouting priority srcnat; oifname "outside" masquerade; }
}
"""

KERNELS = {
    "masquerade": (("linux", {}), {}),
    "masquerade, input dropped": (
        ("linux", {"unsolicited_syn": "drop", "strays_take_ports": False}),
        {"rules": DROPPING},
    ),
    "masquerade, liberal": (("linux", {"checks_sequence_numbers": False}), {"settings": LIBERAL}),
    "masquerade fully-random": (("linux-random", {}), {"rules": RANDOM}),
}


@pytest.fixture(scope="module", autouse=True)
def kernel():
    if reason := netns.why_not():
        pytest.skip(reason)
    if shutil.which("nft") is None:
        pytest.skip("there is no `nft` command (package nftables)")


def simulated(preset="linux", **axes):
    return Simulated(configure(preset, **axes), lambda owner: rng_for(1, owner))


def words(finding):
    """The verdict and what was measured, but for the ports that chance has given."""
    return finding.verdict, re.sub(r":\d+|\d+ of", "...", finding.measured)


@pytest.mark.parametrize(
    "requirement", [each for each in REQUIREMENTS if each.name not in TIMED], ids=lambda each: each.name
)
@pytest.mark.parametrize("kernel_nat", KERNELS)
def test_the_preset_keeps_and_breaks_what_the_kernel_does(kernel_nat, requirement):
    (preset, axes), asked = KERNELS[kernel_nat]
    patience = 6.0 if requirement.name.startswith("RFC 5382 REQ-4") else PATIENCE
    (ours,) = measure(lambda: simulated(preset, **axes), [requirement])
    (theirs,) = measure(lambda: KernelNat(**asked, patience=patience), [requirement])
    assert words(ours.finding) == words(theirs.finding)


CARRIERS = {
    "64 mappings each": (("linux", {"mappings_per_host": 64}), SHARES.replace("REFUSED", "drop")),
    "64 each, host unreachable": (
        ("linux", {"mappings_per_host": 64, "icmp_when_full": "host-unreachable"}),
        SHARES.replace("REFUSED", "reject with icmp host-unreachable"),
    ),
    "64 each, prohibited, random ports": (
        ("linux-random", {"mappings_per_host": 64, "icmp_when_full": "prohibited"}),
        SHARES.replace("REFUSED", "reject with icmp admin-prohibited").replace("rade;", "rade fully-random;"),
    ),
}


@pytest.mark.parametrize(
    "requirement",
    [each for each in CARRIERS_REQUIREMENTS if each.rfc == 6888 or each.name == "RFC 5508 REQ-8"],
    ids=lambda each: each.name,
)
@pytest.mark.parametrize("kernel_nat", CARRIERS)
def test_as_a_carriers_box_too(kernel_nat, requirement):
    (preset, axes), rules = CARRIERS[kernel_nat]
    (ours,) = measure(lambda: simulated(preset, **axes), [requirement])
    (theirs,) = measure(lambda: KernelNat(rules=rules, patience=PATIENCE), [requirement])
    assert words(ours.finding) == words(theirs.finding)


POOLED = ("RFC 4787 REQ-2", "RFC 6888 REQ-2")
POOLS = {  # of two addresses: Linux picks one by the host's address, and by the remote's too unless told to persist
    "persistent": ({"external_addresses": 2}, "snat to 11.0.0.1-11.0.0.2 persistent"),
    "not persistent": ({"external_addresses": 2, "pooling": "arbitrary"}, "snat to 11.0.0.1-11.0.0.2"),
}


@pytest.mark.parametrize(
    "requirement", [each for each in CARRIERS_REQUIREMENTS if each.name in POOLED], ids=lambda each: each.name
)
@pytest.mark.parametrize("pool", POOLS)
def test_with_a_pool_of_addresses_too(pool, requirement):
    axes, statement = POOLS[pool]
    (ours,) = measure(lambda: simulated(**axes), [requirement])
    (theirs,) = measure(lambda: KernelNat(rules=MASQUERADE.replace("masquerade", statement)), [requirement])
    assert words(ours.finding) == words(theirs.finding)
    assert (ours.finding.verdict == "conforms") is (pool == "persistent")


# Timers


async def closed(talk):
    """Over at both ends: the last ACK has passed."""
    return await tcp.closing(talk) and await talk.out(ACK)


TIMERS = {  # of conntrack: what measures it, and a short number to measure
    "udp_timeout": (lambda prober: udp.closes_after(prober, answered=False), 4),
    "udp_timeout_stream": (lambda prober: udp.closes_after(prober, answered=True), 5),
    "tcp_timeout_syn_sent": (lambda prober: tcp.closes_after(prober, tcp.syn_sent, tcp.answered), 3),
    "tcp_timeout_established": (lambda prober: tcp.closes_after(prober, tcp.opened, tcp.spoken_to), 4),
    "tcp_timeout_close_wait": (lambda prober: tcp.closes_after(prober, tcp.half_closed, tcp.spoken_to), 2),
    "tcp_timeout_last_ack": (lambda prober: tcp.closes_after(prober, tcp.closing, tcp.last_fin_again), 4),
    "tcp_timeout_time_wait": (lambda prober: tcp.closes_after(prober, closed, tcp.last_fin_again), 3),
    "icmp_timeout": (icmp.closes_after, 3),
    "tcp_timeout_close": (lambda prober: tcp.closes_after(prober, tcp.reset, tcp.spoken_to), 2),
}
PREFIX = "net.netfilter.nf_conntrack_"


@pytest.mark.parametrize("timer", TIMERS)
def test_the_presets_timer_is_the_kernels_number(timer):
    search, _ = TIMERS[timer]
    with simulated() as box, KernelNat() as kernel:
        assert box.run(search(Prober(box))) == kernel.get(PREFIX + timer)


def test_the_kernels_number_is_what_is_measured_of_it():
    short = {PREFIX + timer: number for timer, (_, number) in TIMERS.items()}

    async def found(prober):
        return await asyncio.gather(*(search(prober) for search, _ in TIMERS.values()))

    for _ in range(3):  # again, if the computer was too busy to be on time
        with KernelNat(settings=short, patience=7.0) as kernel:
            seconds = kernel.run(found(Prober(kernel)))
        if seconds == list(short.values()):
            break
    assert dict(zip(short, seconds, strict=True)) == short


REFRESHES = ("RFC 4787 REQ-6", "RFC 5508 REQ-6, refresh", "RFC 7857 7.1")
SHORT = {"udp_timeout": 4, "udp_timeout_stream": 5, "icmp_timeout": 3}
SHORT_AXES = {"udp_unanswered_timeout": 4.0, "udp_timeout": 5.0, "icmp_query_timeout": 3.0}


def test_what_starts_a_timer_again_and_what_does_not():
    asked = [each for each in REQUIREMENTS if each.name in REFRESHES]

    async def found(prober):
        return await asyncio.gather(*(each.probe(prober) for each in asked))

    ours = [row.finding for row in measure(lambda: simulated(**SHORT_AXES), asked)]
    for _ in range(3):  # again, if the computer was too busy to be on time
        with KernelNat(settings={PREFIX + timer: number for timer, number in SHORT.items()}, patience=7.0) as kernel:
            theirs = kernel.run(found(Prober(kernel)))
        if theirs == ours:
            break
    assert theirs == ours and len(ours) == len(REFRESHES)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["RFC 4787 REQ-5", "RFC 4787 REQ-6"])
def test_udps_timers_in_real_time(name):
    asked = [each for each in REQUIREMENTS if each.name == name]
    (theirs,) = measure(lambda: KernelNat(patience=130.0), asked)
    (ours,) = measure(simulated, asked)
    assert theirs.finding == ours.finding
