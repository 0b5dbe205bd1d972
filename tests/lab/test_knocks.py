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
