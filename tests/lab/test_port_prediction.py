"""The odds of guessing a port: the formula against the published numbers, and against a real box."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET

import pytest

from natlab.errors import LabError
from natlab.lab.port_prediction import (
    PORTS,
    PUBLISHED,
    compare,
    compare_two_hard,
    first_hit,
    first_hits,
    odds,
    odds_two_hard,
    picture,
    two_hard,
)


@pytest.fixture(scope="module")
def hits():
    return first_hits(1, tries=200)


def test_the_formula_gives_the_published_odds():
    """D. Anderson's calculator (danderson/nat-birthday-paradox): 49.98, 63.94, 98.35 and 99.97 %."""
    assert [round(100 * odds(probes), 2) for probes in PUBLISHED] == [49.98, 63.94, 98.35, 99.97]
    assert all(abs(odds(probes) - published) < 0.005 for probes, published in PUBLISHED.items())


def test_the_formula_for_two_hard_sides_gives_the_published_odds():
    """The calculator: 54,000 give 50.38 %, 65,536 64.37 %, 170,000 99.90 %; 256 and 2048 give 0.01 %."""
    assert [round(100 * odds_two_hard(n), 1) for n in (54_000, 65_536, 170_000)] == [50.4, 64.4, 99.9]
    assert round(100 * odds_two_hard(256, 2048), 2) == 0.01


@pytest.mark.parametrize("sockets", [1, 2, 3])
@pytest.mark.parametrize("probes", [0, 1, 3, 5])
def test_the_formula_counts_what_can_be_counted(probes, sockets):
    """Five ports: all ways to have doors, all ways to probe."""
    doors, guesses = ([set(some) for some in itertools.combinations(range(5), n)] for n in (sockets, probes))
    met = [bool(mine & theirs) for mine in doors for theirs in guesses]
    assert odds(probes, sockets, 5) == pytest.approx(sum(met) / len(met))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: odds(1, 0),
        lambda: odds(1, 70_000),
        lambda: odds(-1),
        lambda: odds(1.5),
        lambda: odds(1, 1, 0),
        lambda: first_hit(7, probes=70_000),
        lambda: first_hit(7, sockets=70_000),
        lambda: first_hits(7, tries=-1),
        lambda: first_hits(7, tries="many"),
        lambda: two_hard(7, -1),
        lambda: two_hard(7, 1, ports=100_000),
    ],
)
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match=r"is a whole number, .* not"):
        wrong()


def test_a_real_box_has_these_odds(hits):
    """Four standard deviations: 200 tries keep within them but once in 10,000 runs, and the seed is fixed."""
    for probes in (32, 100, *PUBLISHED):
        measured = sum(hit is not None and hit <= probes for hit in hits) / len(hits)
        assert abs(measured - odds(probes)) < 4 * (odds(probes) * (1 - odds(probes)) / len(hits)) ** 0.5 + 0.005


def test_the_table_and_the_picture_say_it(hits):
    table = compare(hits)
    assert list(table.probes) == list(PUBLISHED) and table.agrees.all()
    assert (table.low <= table.measured).all() and (table.measured <= table.high).all()
    figure = picture(hits)
    words = [text.text for text in ET.fromstring(figure.svg).iter("{http://www.w3.org/2000/svg}text")]
    assert {"formula", "published", "200 tries, with 95 % confidence", "probes", "chance to meet"} <= set(words)
    assert "of 9 intervals hold the formula" in figure.alt


def test_no_tries_no_table():
    with pytest.raises(LabError, match="without a try"):
        compare([])


def test_fewer_doors_are_found_later():
    late, early = (sum(hit or 2048 for hit in first_hits(1, tries=25, sockets=n)) for n in (64, 256))
    assert late > early


def test_two_hard_sides_have_the_odds_of_the_formula():
    table = compare_two_hard(1, [32, 107, 128], tries=60)
    errors = (table.measured - table.formula).abs()
    assert (errors < 4 * (table.formula * (1 - table.formula) / 60) ** 0.5).all()


def test_two_hard_sides_run_out_of_ports():
    """Each packet's mapping occupies a port, so 63 % is the most that a box of any size reaches."""
    with pytest.raises(LabError, match="a box has 128"):
        two_hard(1, 129)
    assert odds_two_hard(128, ports=128) == pytest.approx(odds_two_hard(len(PORTS))) == pytest.approx(0.632, abs=1e-3)


def test_the_same_seed_gives_the_same_hits():
    assert first_hits(5, tries=5) == first_hits(5, tries=5) != first_hits(6, tries=5)


def test_the_interval_is_wilsons():
    """50 of 100: 0.4038 to 0.5962 (E. B. Wilson, JASA 22, 1927; the value of any calculator)."""
    row = compare([1] * 50 + [None] * 50).iloc[0]
    assert (row.measured, row.low, row.high) == (0.5, pytest.approx(0.4038, abs=1e-4), pytest.approx(0.5962, abs=1e-4))
