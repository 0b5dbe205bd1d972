"""Who has which address: public ones, LANs behind NAT boxes, networks behind firewalls.

    public hosts and NAT boxes   11.0.0.1, 12.0.0.1, ... 223.0.0.1, 11.0.0.2, ...   each in another first octet
    a NAT box with a pool        14.0.0.1 to 14.0.0.4                               consecutive
    a LAN behind a NAT box       192.168.1.0/24, 192.168.2.0/24, ... then 10.0.0.0/24, ...; the box is .1
    the LAN of a public firewall 15.0.0.0/24                                        public addresses, the firewall is .1
    public IPv6 hosts            2600:1::1, 2600:2::1, ...                          each in a /32 of its own
    an IPv6 LAN                  2600:3:0:1::/64                                    in the box's /56; the box is ::1

Public addresses are ones that libp2p takes for public (go-multiaddr `manet.IsPublicAddr`): the ranges reserved for
documentation, which a tutorial would pick, silently switch hole punching off. Each public host lives in another first
octet, because js-libp2p counts AutoNAT verdicts by first octet; go-libp2p counts IPv6 observers by /56, which is what
a household gets (RFC 6177). IPv6 addresses are public on LANs too: nothing translates them.

Any network or address may be chosen instead, as long as a packet's way stays clear: `lan="100.64.0.0/10"` is what
carriers use between their NAT and their subscribers' (RFC 6598). Two LANs behind different NAT boxes may have the same
addresses, as in real life; a LAN and a network that it is reached through may not.

An address that was given up is not given to somebody else unless asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from natlab.errors import LabError

__all__ = ["PUBLIC_OCTETS", "Addresses", "Lan", "Lans", "Public", "Public6"]

# First octets without any network that `manet.IsPublicAddr`, or js-libp2p's rule, calls special.
PUBLIC_OCTETS = tuple(octet for octet in range(11, 224) if octet not in (100, 127, 169, 172, 192, 198, 203))

PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
"""What a LAN behind a NAT may be made of: RFC 1918, RFC 6598."""
THIS_NETWORK = IPv4Network("0.0.0.0/8")  # nobody's addresses (RFC 6890)


class Addresses:
    """Addresses to give out, and who has them.

    Attributes:
        owner: whose they are, for messages.
        version: of IP.
    """

    def __init__(self, owner: str, version: int = 4) -> None:
        self.owner = owner
        self.version = version
        self._holder: dict[str, str] = {}
        self._start = 0  # all candidates before this one are taken

    def take(self, who: str, wanted: str | None = None, count: int = 1) -> tuple[str, ...]:
        """Gives `count` consecutive addresses, from `wanted` on or the next free ones.

        Raises:
            ValueError: `wanted` is no address that a host can have here.
            LabError: somebody has it, or none are left.
        """
        ips = self._free(count) if wanted is None else self.check(wanted, count)
        self._holder.update(dict.fromkeys(ips, who))
        return ips

    def give_back(self, ips: Sequence[str]) -> None:
        for ip in ips:
            del self._holder[ip]

    def __iter__(self) -> Iterator[str]:
        """All that are taken."""
        return iter(self._holder)

    def check(self, wanted: str, count: int = 1) -> tuple[str, ...]:
        """What `take` would give for these wishes, or raise; nobody has it yet."""
        ips = _run(_host_address(wanted, self.version), count)
        for ip in ips:
            self._check(ip)
            if ip in self._holder:
                raise LabError(f"{ip} is already {self._holder[ip]}'s address: give each host its own")
        return ips

    def _free(self, count: int) -> tuple[str, ...]:
        while self._start < self._size() and self._is_taken(self._candidate(self._start)):
            self._start += 1
        for number in range(self._start, self._size()):
            ips = _run(ip_address(self._candidate(number)), count)
            if not any(map(self._is_taken, ips)):
                return ips
        raise LabError(self._exhausted(count))

    def _is_taken(self, ip: str) -> bool:
        return ip in self._holder

    def _size(self) -> int:
        raise NotImplementedError

    def _candidate(self, number: int) -> str:
        raise NotImplementedError

    def _check(self, ip: str) -> None:
        raise NotImplementedError

    def _exhausted(self, count: int) -> str:
        raise NotImplementedError


class Public(Addresses):
    """The addresses of the internet itself."""

    def __init__(self) -> None:
        super().__init__("the internet")
        self.networks: dict[IPv4Network | IPv6Network, str] = {}  # behind firewalls, with whose they are

    def network(self, who: str) -> IPv4Network:
        """The next free /24, for hosts behind a firewall."""
        for octet in PUBLIC_OCTETS:
            network = IPv4Network(f"{octet}.0.0.0/24")
            if not any(map(network.overlaps, self.networks)) and not _first_within(network, self):
                return network
        raise LabError(
            f"{who}: a firewall takes a public network of its own, and none is left: choose one, lan='11.0.1.0/24'"
        )

    def _size(self) -> int:
        return 254 * len(PUBLIC_OCTETS)

    def _candidate(self, number: int) -> str:
        """11.0.0.1, 12.0.0.1, ...: another first octet each time, while they last."""
        last, octet = divmod(number, len(PUBLIC_OCTETS))
        return f"{PUBLIC_OCTETS[octet]}.0.0.{last + 1}"

    def _is_taken(self, ip: str) -> bool:
        return ip in self._holder or self._behind(ip) is not None

    def _behind(self, ip: str) -> str | None:
        return next((f"{net} behind {who}" for net, who in self.networks.items() if ip_address(ip) in net), None)

    def _check(self, ip: str) -> None:
        network = self._behind(ip)
        if network is not None:
            raise LabError(f"{ip} belongs to the network {network}: put the host there (behind=), or choose another")

    def _exhausted(self, count: int) -> str:
        return f"this internet has {self._size()} public addresses, and {_none_left(count)}: build a smaller lab"


class Public6(Addresses):
    """The IPv6 addresses of the internet itself."""

    def __init__(self) -> None:
        super().__init__("the internet", 6)
        self._sites = 0
        self._chosen: list[str] = []  # beginnings of addresses that somebody asked for

    def lan(self, owner: str) -> Lan:
        """The first /64 of the next /56."""
        return Lan(owner, IPv6Network(f"2600:{self._next_site(owner):x}:0:1::/64"))

    def _next_site(self, who: str) -> int:
        while self._sites < 0xFFFF:
            self._sites += 1
            if f"2600:{self._sites:x}" not in self._chosen:
                return self._sites
        raise LabError(f"{who}: this internet has {0xFFFF} IPv6 networks, and all are taken: build a smaller lab")

    def _free(self, count: int) -> tuple[str, ...]:
        return _run(IPv6Address(f"2600:{self._next_site('the internet'):x}::1"), count)

    def _check(self, ip: str) -> None:
        """Any address may be chosen that the networks given out do not contain."""
        first, second = ip.split(":")[:2]
        if first == "2600" and 0 < int(second or "0", 16) <= self._sites and ip not in self._holder:
            raise LabError(f"{ip} is in a network that has been given out: choose another, or let the lab choose")

    def take(self, who: str, wanted: str | None = None, count: int = 1) -> tuple[str, ...]:
        ips = super().take(who, wanted, count)
        if wanted is not None:
            self._chosen.append(":".join(ips[0].split(":")[:2]))
        return ips


class Lan(Addresses):
    """The addresses behind one box; the first is the box's own.

    Attributes:
        network: all of them.
        gateway: the box's own.
    """

    def __init__(self, owner: str, network: IPv4Network | IPv6Network) -> None:
        super().__init__(owner, network.version)
        self.network = network
        self.gateway = str(network[1])

    def _size(self) -> int:
        return self.network.num_addresses - 3

    def _candidate(self, number: int) -> str:
        return str(self.network[2 + number])

    def _is_taken(self, ip: str) -> bool:
        return ip in self._holder or ip_address(ip) not in self.network or ip == str(self.network[-1])

    def _check(self, ip: str) -> None:
        network = self.network
        if ip_address(ip) not in network:
            raise ValueError(f"a host behind {self.owner} has an address in {network}, not {ip}")
        if ip in (str(network[0]), self.gateway, str(network[-1])):
            raise LabError(
                f"{ip} is taken: {self.gateway} is {self.owner} itself, {network[0]} and {network[-1]} are "
                "the network as a whole"
            )

    def _exhausted(self, count: int) -> str:
        return (
            f"the LAN of {self.owner}, {self.network}, has {self._size()} addresses, and {_none_left(count)}: "
            "give the box a larger one, e.g. lan='10.0.0.0/8'"
        )


class Lans:
    """Gives each box its LAN."""

    def __init__(self, public: Public) -> None:
        self._public = public
        self._made = 0
        self._chosen: list[IPv4Network] = []

    def behind_nat(self, owner: str, wanted: str | None, around: Sequence[Lan]) -> Lan:
        """A LAN of private addresses.

        Args:
            wanted: e.g. "10.0.0.0/8"; None for the next free one.
            around: the LANs of the boxes outside this one, nearest first.

        Raises:
            ValueError: not an IPv4 network.
            LabError: it overlaps one that packets pass on their way out, is too small, or is not private.
        """
        network = self._next_private(owner) if wanted is None else _chosen_network(owner, wanted)
        if not any(network.subnet_of(private) for private in PRIVATE):
            raise LabError(
                f"{owner}: hosts behind a NAT have private addresses, so lan= is in {', '.join(map(str, PRIVATE))}, "
                f"not {network}"
            )
        return self._made_of(owner, network, wanted, around)

    def behind_firewall(self, owner: str, wanted: str | None, around: Sequence[Lan], is_public: bool) -> Lan:
        """A network whose hosts keep their addresses outside. `is_public`: no NAT is around. Otherwise as above."""
        if wanted is not None:
            network = _chosen_network(owner, wanted)
        else:
            network = self._public.network(owner) if is_public else self._next_private(owner)
        for addresses in (self._public, *around) if is_public else around:
            taken = _first_within(network, addresses)
            if taken:
                raise LabError(f"{owner}: {network} overlaps {taken} on {addresses.owner}: choose another lan=")
        if is_public:
            if any(map(network.overlaps, PRIVATE)):
                raise LabError(f"{owner} does not translate, so lan= is a public network, '11.0.0.0/24', not {network}")
            _check_apart(owner, network, self._public.networks)
            self._public.networks[network] = owner
        return self._made_of(owner, network, wanted, around)

    def _made_of(self, owner: str, network: IPv4Network, wanted: str | None, around: Sequence[Lan]) -> Lan:
        _check_apart(owner, network, {lan.network: lan.owner for lan in around})
        if wanted is not None:
            self._chosen.append(network)
        return Lan(owner, network)

    def _next_private(self, owner: str) -> IPv4Network:
        """Each box another one, although they need not differ: tables are easier to read."""
        while self._made < 255 + 65536:
            self._made += 1
            third = self._made if self._made < 256 else self._made - 256
            start = f"192.168.{third}" if self._made < 256 else f"10.{third // 256}.{third % 256}"
            network = IPv4Network(f"{start}.0/24")
            if not any(map(network.overlaps, self._chosen)):
                return network
        raise LabError(f"{owner}: there are {255 + 65536} LANs already: choose one, lan='192.168.1.0/24'")


def _host_address(wanted: str, version: int) -> IPv4Address | IPv6Address:
    """The address written in a text, if one host can have it."""
    try:
        ip = ip_address(wanted if isinstance(wanted, str) and "%" not in wanted else "")
    except ValueError:
        ip = None
    if ip is None or ip.version != version:
        example = "'73.0.0.5'" if version == 4 else "'2600:7::1'"
        raise ValueError(f"an IPv{version} address is a text such as {example}, not {wanted!r}")
    is_special = ip.is_loopback or ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_link_local
    if is_special or ip in THIS_NETWORK:
        raise ValueError(f"{ip} is no address that one host can have on a network: choose another")
    return ip


def _chosen_network(owner: str, wanted: str) -> IPv4Network:
    try:
        network = IPv4Network(wanted if isinstance(wanted, str) else "")
    except ValueError as error:
        why = ": its host bits are not 0" if "host bits" in str(error) else ""
        raise ValueError(f"{owner}: lan= is an IPv4 network such as '10.0.0.0/8', not {wanted!r}{why}") from error
    if network.num_addresses < 8:
        raise LabError(f"{owner}: {network} has no room for hosts: lan= takes a /29 or larger")
    return network


def _check_apart(owner: str, network: IPv4Network, others: Mapping[IPv4Network | IPv6Network, str]) -> None:
    for other, whose in others.items():
        if network.overlaps(other):
            raise LabError(
                f"{owner}: its LAN {network} overlaps {other} of {whose}, so packets would not find their way: "
                "choose another lan="
            )


def _first_within(network: IPv4Network, addresses: Addresses) -> str | None:
    return next((ip for ip in addresses if IPv4Address(ip) in network), None)


def _run(first: IPv4Address | IPv6Address, count: int) -> tuple[str, ...]:
    return tuple(str(first + number) for number in range(count))


def _none_left(count: int) -> str:
    return "all are taken" if count == 1 else f"no {count} consecutive ones are free"
