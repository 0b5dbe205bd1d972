"""Who has which address; what is asked for in vain is answered with what to change."""

from ipaddress import IPv4Network, IPv6Network

import pytest

from natlab.endpoint import parse_ip
from natlab.errors import LabError
from natlab.sim.addressing import PUBLIC_OCTETS, Lans, Public, Public6
from natlab.wire.address import is_public_ip


def test_public_addresses_are_public_and_lie_in_another_first_octet_while_these_last():
    public = Public()
    ips = [public.take("host")[0] for _ in range(2 * len(PUBLIC_OCTETS))]
    assert ips[:2] == ["11.0.0.1", "12.0.0.1"] and ips[len(PUBLIC_OCTETS)] == "11.0.0.2"
    assert len(set(ips)) == len(ips) and all(parse_ip(ip).is_global for ip in ips)
    assert len({ip.split(".")[0] for ip in ips[: len(PUBLIC_OCTETS)]}) == len(PUBLIC_OCTETS)


def test_a_pool_is_consecutive_and_nobody_elses():
    public = Public()
    public.take("relay", "11.0.0.3")
    assert public.take("carrier", count=4) == ("12.0.0.1", "12.0.0.2", "12.0.0.3", "12.0.0.4")
    assert public.take("small", count=2) == ("11.0.0.1", "11.0.0.2")


def test_an_address_that_was_given_up_is_free_for_whoever_asks_for_it():
    public = Public()
    ips = public.take("home")
    public.take("bob")
    public.give_back(ips)
    assert public.take("carol") != ips
    assert public.take("dave", ips[0]) == ips


def test_each_box_has_another_lan_and_after_192_168_comes_10():
    lans = Lans(Public())
    networks = [str(lans.behind_nat("box", None, ()).network) for _ in range(600)]
    assert networks[0] == "192.168.1.0/24" and networks[254:256] == ["192.168.255.0/24", "10.0.0.0/24"]
    assert len(set(networks)) == 600 and all(parse_ip(net.split("/")[0]).is_private for net in networks)


def test_a_chosen_lan_is_left_out_when_the_others_are_given():
    lans = Lans(Public())
    lans.behind_nat("one", "192.168.0.0/23", ())
    assert str(lans.behind_nat("two", None, ()).network) == "192.168.2.0/24"


def test_two_lans_behind_different_nats_may_be_the_same():
    lans = Lans(Public())
    one, two = (lans.behind_nat(name, "192.168.1.0/24", ()) for name in ("one", "two"))
    assert one.network == two.network


def test_a_carriers_lan_has_room_for_its_subscribers():
    lan = Lans(Public()).behind_nat("carrier", "100.64.0.0/10", ())
    assert [lan.take(f"home {n}")[0] for n in range(300)][253:255] == ["100.64.0.255", "100.64.1.0"]


def test_a_public_firewall_has_a_public_network_that_no_host_is_put_into():
    public = Public()
    lan = Lans(public).behind_firewall("firewall", None, (), is_public=True)
    assert (lan.network, lan.gateway, lan.take("alice")) == (IPv4Network("11.0.0.0/24"), "11.0.0.1", ("11.0.0.2",))
    ips = [public.take("host")[0] for _ in range(2 * len(PUBLIC_OCTETS))]
    assert not any(ip.startswith("11.") for ip in ips)


def test_public_ipv6_hosts_and_lans_are_public_and_lie_in_another_56_each():
    public = Public6()
    lans = [public.lan(f"home {n}") for n in range(20)]
    ips = [public.take("host")[0] for _ in range(20)] + [lan.take("alice")[0] for lan in lans]
    assert ips[0] == "2600:15::1" and lans[0].gateway == "2600:1:0:1::1" and ips[20] == "2600:1:0:1::2"
    assert len({IPv6Network(f"{ip}/56", strict=False) for ip in ips}) == 40
    assert all(is_public_ip(parse_ip(ip)) for ip in ips)


def test_a_chosen_ipv6_address_is_left_out_when_the_others_are_given():
    public = Public6()
    assert public.take("bob", "2600:1::9") == ("2600:1::9",)
    assert public.take("carol", "2a00::0001") == ("2a00::1",)
    assert public.take("alice") == ("2600:2::1",)


def ipv6_in_a_network_given_out():
    public = Public6()
    public.lan("home")
    public.take("alice", "2600:1:0:1::2")


def ipv6_exhausted():
    public = Public6()
    public._sites = 0xFFFE
    for n in range(2):
        public.lan(f"home {n}")


def full_lan():
    lan = Lans(Public()).behind_nat("home", None, ())
    for n in range(253):
        lan.take(f"h{n}")
    lan.take("one too many")


def full_internet():
    public = Public()
    for n in range(254 * len(PUBLIC_OCTETS) + 1):
        public.take(f"h{n}")


def pool_in_a_small_lan():
    Lans(Public()).behind_nat("carrier", "10.0.0.0/29", ()).take("home", count=6)


def taken_twice():
    public = Public()
    public.take("alice", "73.0.0.5")
    public.take("bob", "73.0.0.5")


def in_a_firewalls_network():
    public = Public()
    Lans(public).behind_firewall("dmz", None, (), is_public=True)
    public.take("alice", "11.0.0.9")


def lan_inside_lan():
    lans = Lans(Public())
    lans.behind_nat("home", "10.7.0.0/16", [lans.behind_nat("carrier", "10.0.0.0/8", ())])


def firewall_over_a_host():
    public = Public()
    public.take("relay")
    Lans(public).behind_firewall("dmz", "11.0.0.0/28", (), is_public=True)


def two_firewalls_one_network():
    lans = Lans(Public())
    for name in ("dmz", "other"):
        lans.behind_firewall(name, "11.0.0.0/28", (), is_public=True)


SENTENCES = {
    full_lan: "the LAN of home, 192.168.1.0/24, has 253 addresses, and all are taken: give the box a larger one",
    full_internet: "public addresses, and all are taken: build a smaller lab",
    pool_in_a_small_lan: "has 5 addresses, and no 6 consecutive ones are free",
    taken_twice: "73.0.0.5 is already alice's address: give each host its own",
    in_a_firewalls_network: "11.0.0.9 belongs to the network 11.0.0.0/24 behind dmz: put the host there (behind=)",
    ipv6_in_a_network_given_out: "2600:1:0:1::2 is in a network that has been given out",
    ipv6_exhausted: "home 1: this internet has 65535 IPv6 networks, and all are taken: build a smaller lab",
    lan_inside_lan: "home: its LAN 10.7.0.0/16 overlaps 10.0.0.0/8 of carrier",
    firewall_over_a_host: "dmz: 11.0.0.0/28 overlaps 11.0.0.1 on the internet: choose another lan=",
    two_firewalls_one_network: "other: its LAN 11.0.0.0/28 overlaps 11.0.0.0/28 of dmz",
    lambda: Lans(Public()).behind_nat("home", "8.8.8.0/24", ()): "hosts behind a NAT have private addresses",
    lambda: Lans(Public()).behind_firewall("dmz", "10.0.0.0/8", (), True): "so lan= is a public network, '11.0.0.0/24'",
    lambda: Lans(Public()).behind_nat("home", "10.0.0.0/30", ()): "has no room for hosts: lan= takes a /29 or larger",
}


@pytest.mark.parametrize("build", SENTENCES, ids=lambda build: build.__name__)
def test_what_cannot_be_had_is_a_lab_error_that_says_what_to_change(build):
    with pytest.raises(LabError) as error:
        build()
    assert SENTENCES[build] in str(error.value)


@pytest.mark.parametrize("wrong", ["10.0.0.0/33", "10.0.0.1/24", "fd00::/64", "home", 5, ["10.0.0.0/8"]])
def test_what_is_no_network_is_a_value_error(wrong):
    with pytest.raises(ValueError, match="home: lan= is an IPv4 network such as"):
        Lans(Public()).behind_nat("home", wrong, ())


@pytest.mark.parametrize("wrong", [3, True, b"\x0b\0\0\1", "relay", "11.0.0", "2600:7::1", ["11.0.0.1"]])
def test_what_is_no_address_is_a_value_error_with_an_example(wrong):
    with pytest.raises(ValueError, match=r"an IPv4 address is a text such as '73\.0\.0\.5', not"):
        Public().take("alice", wrong)


@pytest.mark.parametrize("wrong", [3, "11.0.0.1", "2600:7::1%eth0", "yes"])
def test_what_is_no_ipv6_address_is_a_value_error_with_an_example(wrong):
    with pytest.raises(ValueError, match="an IPv6 address is a text such as '2600:7::1', not"):
        Public6().take("alice", wrong)


@pytest.mark.parametrize("nobodys", ["0.1.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255", "0.0.0.0", "169.254.0.1"])
def test_an_address_that_no_single_host_can_have_is_refused(nobodys):
    with pytest.raises(ValueError, match="no address that one host can have"):
        Public().take("alice", nobodys)


def test_to_check_a_wish_is_not_to_take_it():
    for public, ip in ((Public(), "73.0.0.5"), (Public6(), "2600:1::9")):
        assert public.check(ip) == (ip,) and list(public) == []
    assert public.take("alice") == ("2600:1::1",)
