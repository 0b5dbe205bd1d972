"""Which routers know an address, and how a cable is plugged at them."""

from natlab.nat import NatConfig
from natlab.sim.line import Line, plug_at
from natlab.sim.router import Router


def router(name):
    return Router(name, "192.0.0.8", None, lambda: 0)


def test_an_address_is_known_out_to_the_next_box_that_translates(world):
    core = router("core")
    nat = world.nat("nat", NatConfig())
    outer = world.nat("outer", NatConfig(translates=False), behind=nat)
    inner = world.nat("inner", NatConfig(translates=False), behind=outer)
    known = [[knows.name for knows, _ in Line(box, core).on_the_way()] for box in (None, nat, outer, inner)]
    assert known == [["core"], ["nat"], ["outer", "nat"], ["inner", "outer", "nat"]]


def test_all_that_is_reached_by_a_cable_is_plugged_elsewhere_with_it():
    one, other = router("one"), router("other")
    first, second, third = [], [], []
    one.attach("a", first.append)
    other.attach("b", first.append)
    other.attach("c", second.append)
    plug = plug_at([one, other], first.append)
    plug(third.append)
    assert one.way_to("a") == other.way_to("b") == third.append and other.way_to("c") == second.append
    plug(first.append)
    assert one.way_to("a") == first.append
