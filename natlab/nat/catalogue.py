"""NAT boxes by the names people use for them: the axes of each, and who says so.

    EI endpoint-independent, AD address-dependent, APD address-and-port-dependent; seconds without traffic that a UDP
    mapping lives before and after an answer, and an open TCP connection

    name                 mapping  filtering  ports        UDP       TCP     stranger's SYN  hairpins  evidence
    rfc-compliant        EI       AD         preserving   300/300   7440    drop            yes       standard
    home                 EI       APD        preserving   300/300   7440    drop            yes       typical
    office               EI       AD         random       300/300   7440    drop            yes       typical
    linux                APD      APD        overlapping  30/120    432000  rst             no        measured
    linux-random         APD      APD        random       30/120    432000  rst             no        measured
    pfsense              APD      APD        random       60/60     86400   drop            no        documented
    pfsense-static-port  APD      APD        overloading  60/60     86400   drop            no        documented
    enterprise           APD      APD        random       30/30     3600    drop            no        documented
    cgnat                EI       EI         random       300/300   7440    drop            yes       standard
    mobile               APD      APD        random       60/60     1800    drop            no        typical
    cloud                EI       APD        preserving   30/180    432000  drop            yes       documented
    firewall             none     APD        none         300/300   7440    drop            none      typical
    simple-security      none     EI         none         300/300   7440    wait            none      standard
    hotel                APD      APD        random       30/60     600     rst             no        typical
    full-cone            EI       EI         preserving   300/300   7440    drop            yes       word
    symmetric            APD      APD        random       300/300   7440    drop            no        word

Evidence. "standard": what an RFC asks for. "measured": by ourselves, on Linux 6.18. "documented": its makers' manual.
"typical": a plausible box of its kind, the measure of no product. "word": a class that people speak of, made flesh.

"full-cone" and "symmetric" are words of RFC 3489 that RFC 4787 gave up, since each fixes both axes at once.
"pfsense-static-port" looks endpoint-independent from outside, because a host keeps its port towards everybody; but the
port is not its own. "cloud" has eight addresses: it is one to one for eight hosts. "firewall" and "simple-security"
translate nothing: hosts behind them are seen at their own addresses.

"linux" looks endpoint-independent from outside too, until two hosts want one port towards one remote, or a datagram
comes too early (`ports.py`, `unsolicited.py`). It gives an unanswered UDP mapping 30 s where RFC 4787 REQ-5 demands
120, a TCP connection that opens 120 s where RFC 5382 REQ-5 demands 240, a ping 30 s where RFC 5508 REQ-2 demands 60,
and a stranger's SYN an RST at once where RFC 5382 REQ-4 wants silence. A host inside that has the box's own address is
cut off, ICMP errors about nothing leak out, and a flood of first pieces shuts out all others for a while. Its rule for
UDP conversations is in `timers.py`. All that it keeps and breaks is measured by `natlab.lab.report`, and a test holds
that against nft itself.

Not modelled, of Linux: that a ping's replies start its timer again, the TCP timers for a SYN received (60 s) and the
time from a FIN to its acknowledgement (120 s). Of pf: 30 s once a second datagram has gone
unanswered, 30 s from a SYN's first answer; a static port that is taken for the same remote fails there, here the later
host wins. Of PAN-OS: 5 s until the SYN-ACK. Of RFC 6092 REC-34: the code of its ICMPv6 error, "prohibited".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from natlab.nat.config import (
    Behaviour,
    Fragments,
    Hairpinning,
    IcmpWhenFull,
    NatConfig,
    PortAllocation,
    UdpRefresh,
    UnsolicitedSyn,
)

__all__ = ["CATALOGUE", "Evidence", "Preset"]


class Evidence(StrEnum):
    """Why the axes of a preset are as they are; explained at the top of this file."""

    STANDARD = "standard"
    MEASURED = "measured"
    DOCUMENTED = "documented"
    TYPICAL = "typical"
    WORD = "word"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One entry of the catalogue.

    Attributes:
        stands_for: what it is, in a line.
        evidence: see `Evidence`.
        source: who says that the axes are so.
        config: the axes.
        also_called: other words that people type for it; they lead to a hint.
    """

    stands_for: str
    evidence: Evidence
    source: str
    config: NatConfig
    also_called: tuple[str, ...] = ()


_EI, _AD, _APD = Behaviour

_LINUX = NatConfig(
    mapping=_APD,  # of conntrack entries; in effect endpoint-independent
    filtering=_APD,
    port_allocation=PortAllocation.OVERLAPPING,
    udp_timeout=120.0,
    udp_unanswered_timeout=30.0,
    udp_stream_after=2.0,
    udp_refresh=UdpRefresh.BOTH,
    tcp_established_timeout=432_000.0,
    tcp_transitory_timeout=120.0,
    tcp_closing_timeout=60.0,
    tcp_last_ack_timeout=30.0,
    tcp_reset_timeout=10.0,
    checks_sequence_numbers=True,
    unsolicited_syn=UnsolicitedSyn.RST,
    icmp_query_timeout=30.0,
    icmp_errors_leak=True,
    icmp_when_full=IcmpWhenFull.SILENCE,
    fragments=Fragments.FIRST_COME,
    confuses_addresses=True,
    hairpinning=Hairpinning.NONE,
    strays_take_ports=True,
)

_PF = NatConfig(
    mapping=_APD,
    filtering=_APD,
    port_allocation=PortAllocation.RANDOM,
    udp_timeout=60.0,  # udp.multiple
    udp_unanswered_timeout=60.0,  # udp.first
    udp_refresh=UdpRefresh.BOTH,
    tcp_established_timeout=86_400.0,
    tcp_transitory_timeout=120.0,  # tcp.first
    tcp_closing_timeout=900.0,
    tcp_time_wait_timeout=45.0,  # tcp.finwait
    tcp_reset_timeout=90.0,  # tcp.closed
    icmp_query_timeout=20.0,  # icmp.first
    checks_sequence_numbers=True,
    hairpinning=Hairpinning.NONE,
)

_SYMMETRIC = NatConfig(
    mapping=_APD,
    filtering=_APD,
    port_allocation=PortAllocation.RANDOM,
    hairpinning=Hairpinning.NONE,
)

CATALOGUE: Mapping[str, Preset] = MappingProxyType(
    {
        "rfc-compliant": Preset(
            stands_for="a NAT that keeps every requirement of RFC 4787 and RFC 5382",
            evidence=Evidence.STANDARD,
            source="RFC 4787 REQ-1 to REQ-9, RFC 5382 REQ-1 to REQ-8; of two filterings the stricter",
            config=NatConfig(
                filtering=_AD,
                port_parity=True,
                udp_timeout=300.0,
                udp_unanswered_timeout=300.0,
                tcp_established_timeout=7440.0,
                tcp_transitory_timeout=240.0,
                unsolicited_syn=UnsolicitedSyn.DROP,
                hairpinning=Hairpinning.EXTERNAL_SOURCE,
            ),
            also_called=("rfc", "rfc4787", "rfc-4787", "compliant", "conformant", "behave"),
        ),
        "home": Preset(
            stands_for="a router at home",
            evidence=Evidence.TYPICAL,
            source="the filtering of RFC 3489's port restricted cone; what Tailscale's vnet calls an easy NAT",
            config=NatConfig(filtering=_APD, hairpinning=Hairpinning.EXTERNAL_SOURCE),
            also_called=("router", "home-router", "port-restricted-cone", "port-restricted", "easy", "fritzbox", "dsl"),
        ),
        "office": Preset(
            stands_for="a router in a small office, with random ports and milder filtering",
            evidence=Evidence.TYPICAL,
            source="the mildest filtering that still keeps strangers out; what Tailscale's vnet calls easyaf",
            config=NatConfig(
                filtering=_AD, port_allocation=PortAllocation.RANDOM, hairpinning=Hairpinning.EXTERNAL_SOURCE
            ),
            also_called=("restricted-cone", "address-restricted-cone", "address-restricted", "easyaf"),
        ),
        "linux": Preset(
            stands_for="nft or iptables masquerade with Linux's default timers",
            evidence=Evidence.MEASURED,
            source="measured on Linux 6.18 with nft 1.0.6 (masquerade, no input rule)",
            config=_LINUX,
            also_called=("masquerade", "iptables", "nftables", "netfilter", "conntrack", "openwrt", "docker"),
        ),
        "linux-random": Preset(
            stands_for="the same with `masquerade random` or `fully-random`",
            evidence=Evidence.MEASURED,
            source="measured on Linux 6.18 with nft 1.0.6 (masquerade random): each connection draws a port",
            config=replace(_LINUX, port_allocation=PortAllocation.RANDOM, strays_take_ports=False),
            also_called=("masquerade-random", "random-fully", "fully-random"),
        ),
        "pfsense": Preset(
            stands_for="pfSense or another pf firewall as installed: outbound NAT rewrites every source port",
            evidence=Evidence.DOCUMENTED,
            source="pfSense documentation, Static Port and NAT Reflection; pf.conf(5): set timeout, keep state",
            config=_PF,
            also_called=("pf", "opnsense", "freebsd", "openbsd", "bsd"),
        ),
        "pfsense-static-port": Preset(
            stands_for="the same with the option Static Port: source ports stay",
            evidence=Evidence.DOCUMENTED,
            source="pfSense documentation, Static Port; pf.conf(5): static-port",
            config=replace(_PF, port_allocation=PortAllocation.OVERLOADING),
            also_called=("static-port", "pf-static-port"),
        ),
        "enterprise": Preset(
            stands_for="a company's firewall that translates many hosts to one address, port by port and flow by flow",
            evidence=Evidence.DOCUMENTED,
            source="Palo Alto Networks PAN-OS 10.1 documentation: Persistent NAT for DIPP (off by default: "
            '"DIPP NAT uses symmetric NAT"), Source NAT, Session Timeouts',
            config=replace(
                _SYMMETRIC,
                udp_timeout=30.0,
                udp_unanswered_timeout=30.0,
                udp_refresh=UdpRefresh.BOTH,
                tcp_established_timeout=3600.0,
                tcp_transitory_timeout=10.0,  # TCP handshake
                tcp_closing_timeout=120.0,  # TCP half closed
                tcp_time_wait_timeout=15.0,
                tcp_reset_timeout=30.0,  # unverified RST
                icmp_query_timeout=6.0,
            ),
            also_called=("corporate", "company", "palo-alto", "pan-os", "dipp", "campus", "university"),
        ),
        "cgnat": Preset(
            stands_for="a carrier's NAT for many subscribers, each with a block of ports",
            evidence=Evidence.STANDARD,
            source="RFC 6888 REQ-1, REQ-2 (paired), REQ-4 and REQ-5 (limits), REQ-7 (filtering), REQ-11 (what a host "
            "without a port is told); RFC 7422 (blocks); 1000 ports and mappings for each subscriber are typical",
            config=NatConfig(
                filtering=_EI,
                port_allocation=PortAllocation.RANDOM,
                external_addresses=2,
                port_block=1000,
                mappings_per_host=1000,
                icmp_when_full=IcmpWhenFull.HOST_UNREACHABLE,
                hairpinning=Hairpinning.EXTERNAL_SOURCE,
            ),
            also_called=("cgn", "carrier-grade", "carrier", "lsn", "isp", "provider"),
        ),
        "mobile": Preset(
            stands_for="a mobile carrier that is hard to punch: another port for each remote, short timers",
            evidence=Evidence.TYPICAL,
            source="a third of mobile providers map so (Klinec and Matyas, SIN 2014); some end idle TCP connections "
            "early (Wang et al., SIGCOMM 2011); the numbers here are nobody's",
            config=replace(
                _SYMMETRIC,
                external_addresses=4,
                udp_timeout=60.0,
                udp_unanswered_timeout=60.0,
                tcp_established_timeout=1800.0,
            ),
            also_called=("cellular", "phone", "lte", "4g", "5g"),
        ),
        "cloud": Preset(
            stands_for="a cloud's one-to-one NAT: an address for each host, behind a security group",
            evidence=Evidence.DOCUMENTED,
            source="Amazon VPC documentation, Internet gateways (one-to-one NAT); Amazon EC2 documentation, Security "
            "group connection tracking (30 s, 180 s after a second exchange, 432,000 s; before Nitro v6)",
            config=NatConfig(
                filtering=_APD,
                external_addresses=8,
                udp_timeout=180.0,
                udp_unanswered_timeout=30.0,
                udp_stream_after=0.001,  # the second exchange, whenever it comes
                udp_refresh=UdpRefresh.BOTH,
                tcp_established_timeout=432_000.0,
                hairpinning=Hairpinning.EXTERNAL_SOURCE,
            ),
            also_called=("aws", "ec2", "vpc", "elastic-ip", "one-to-one", "one2one", "1-1", "azure", "gcp"),
        ),
        "firewall": Preset(
            stands_for="a firewall that lets answers in and nobody else, and translates nothing",
            evidence=Evidence.TYPICAL,
            source='what Tailscale\'s "How NAT traversal works" calls a stateful firewall',
            config=NatConfig(filtering=_APD, translates=False),
            also_called=("stateful-firewall", "stateful", "no-nat", "packet-filter"),
        ),
        "simple-security": Preset(
            stands_for="what a home router should do for IPv6: no NAT, and strangers let in once a port has spoken",
            evidence=Evidence.STANDARD,
            source="RFC 6092 REC-14, REC-16, REC-17 (UDP), REC-31, REC-33 to REC-35 (TCP)",
            config=NatConfig(filtering=_EI, translates=False, unsolicited_syn=UnsolicitedSyn.WAIT),
            also_called=("ipv6", "rfc6092", "rfc-6092", "ipv6-home", "cpe"),
        ),
        "hotel": Preset(
            stands_for="the Wi-Fi of a hotel: guests kept apart, few mappings each, and not for long",
            evidence=Evidence.TYPICAL,
            source="nobody's measure: what makes such networks hard to punch, all at once",
            config=replace(
                _SYMMETRIC,
                udp_timeout=60.0,
                udp_unanswered_timeout=30.0,
                tcp_established_timeout=600.0,
                tcp_transitory_timeout=30.0,
                unsolicited_syn=UnsolicitedSyn.RST,
                mappings_per_host=64,
            ),
            also_called=("wifi", "guest", "airport", "cafe", "train"),
        ),
        "full-cone": Preset(
            stands_for="anybody may send to a port once it is open",
            evidence=Evidence.WORD,
            source="RFC 3489 section 5",
            config=NatConfig(filtering=_EI, hairpinning=Hairpinning.EXTERNAL_SOURCE),
            also_called=("fullcone", "open"),
        ),
        "symmetric": Preset(
            stands_for="another port for each remote, and only that remote may answer",
            evidence=Evidence.WORD,
            source="RFC 3489 section 5; what Tailscale's vnet calls a hard NAT",
            config=_SYMMETRIC,
            also_called=("hard", "strict", "bidirectional"),
        ),
    }
)
