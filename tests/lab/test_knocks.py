"""Who was let in, as a table."""

from __future__ import annotations

from natlab import Lab
from natlab.lab.knocks import knocks


def test_each_box_tells_what_it_did_with_each_sender():
    lab = Lab(1)
    bob = lab.run(lab.host("bob").udp(7000))
    eve = lab.run(lab.host("eve").udp(9000))
    for box in ("home", "full-cone"):
        inside = lab.run(lab.host(f"inside {box}", behind=lab.nat(box)).udp(5000))
        lab.run(inside.send("hello", bob))
        door = lab.run(bob.receive()).source
        lab.run(bob.send("hello", door))
        lab.run(eve.send("knock", door))
    lab.nat("office")
    lab.advance(1.0)
    table = knocks(lab)
    assert table.to_dict("index") == {
        "home": {"bob:7000": "let in", "eve:9000": "dropped"},
        "full-cone": {"bob:7000": "let in", "eve:9000": "let in"},
        "office": {"bob:7000": "", "eve:9000": ""},
    }


def test_nobody_knocked():
    assert knocks(Lab(1)).empty


def test_a_host_behind_a_firewall_knocks_by_its_own_name():
    lab = Lab(1)
    lab.nat("home")
    eve = lab.run(lab.host("eve", lab.nat("firewall")).udp(9000))
    lab.run(eve.send("knock", "11.0.0.1:5000"))
    lab.advance(1.0)
    assert knocks(lab).loc["home", "eve:9000"] == "dropped"


def test_a_box_with_several_addresses_or_a_new_one_is_still_the_box_and_strangers_go_by_their_address():
    lab = Lab(1)
    home = lab.nat("home", external_addresses=3)
    bob = lab.run(lab.host("bob").udp(7000))
    inside = [lab.run(lab.host(f"inside {number}", behind=home).udp(5000)) for number in range(3)]
    for socket in inside:
        lab.run(socket.send("hello", bob))
        lab.run(bob.send("hello", lab.run(bob.receive()).source))
    office = lab.nat("office", external_addresses=2, pooling="arbitrary")
    for number in range(4):
        eve = lab.run(lab.host(f"eve {number}", behind=office).udp(9000))
        lab.run(eve.send("knock", f"{home.external_ip}:5000"))
    lab.advance(1.0)
    lab.reboot("home", new_address=True)
    known = knocks(lab).loc["home"]
    assert known["bob:7000"] == "let in" and set(known) == {"let in", "dropped"}
    assert {sender.partition(":")[0] for sender in known.index} == {"bob", "office", "13.0.0.2"}


def test_a_firewall_is_knocked_at_by_its_hosts_addresses_of_both_versions():
    lab = Lab(1)
    alice = lab.host("alice", behind=lab.nat("firewall", ipv6=True), ipv6=True)
    bob = lab.host("bob", ipv6=True)
    for ipv6 in (False, True):
        inside, outside = lab.run(alice.udp(5000, ipv6=ipv6)), lab.run(bob.udp(7000, ipv6=ipv6))
        lab.run(inside.send("hello", outside))
        lab.run(outside.send("hello", inside))
        lab.run(lab.run(bob.udp(9000, ipv6=ipv6)).send("knock", inside))
    lab.advance(1.0)
    assert knocks(lab).loc["firewall"].to_dict() == {"bob:7000": "let in", "bob:9000": "dropped"}
