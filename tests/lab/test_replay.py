"""The ladder to leaf through."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from natlab.errors import LabError
from natlab.lab import Lab
from natlab.lab.replay import ROW
from natlab.lab.scenes import two_behind_nats


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    lab = two_behind_nats(7)
    yield lab
    lab.close()


def test_the_slider_shows_the_ladder_and_the_mappings_of_its_moment(lab: Lab) -> None:
    widget = lab.replay("bob", "relay", "alice")
    (_, slider, clock), table, picture = widget.children[0].children, widget.children[1], widget.children[2]
    assert "SYNC" not in picture.value
    assert "12.0.0.1:4001" not in table.value, "at the first moment alice's NAT has no mapping yet"
    slider.value = slider.max
    assert "SYNC" in picture.value
    assert "12.0.0.1:4001" in table.value
    last = float(clock.value.removesuffix(" s"))
    begin = float(re.search(r"alt=\"Packet ladder of .*?, ([\d.]+) s to", picture.value)[1])
    assert lab.ladder("bob", "relay", "alice", since=begin, until=last)._repr_html_() == picture.value


def test_the_picture_stays_small_and_the_table_has_its_room_from_the_start(lab: Lab) -> None:
    widget = lab.replay("bob", "relay", "alice")
    slider, table, picture = widget.children[0].children[1], widget.children[1], widget.children[2]
    heights = []
    for moment in range(slider.max + 1):
        slider.value = moment
        heights.append(int(re.search(r"viewBox=%220 0 \d+ (\d+)", picture.value)[1]))
    assert max(heights) < 600, "a screen's height, less the slider and the table"
    assert table.layout.min_height == f"{3 * ROW}px", "the head and two mappings"


def test_leafing_back_shows_the_earlier_moment_again(lab: Lab) -> None:
    widget = lab.replay("bob", "relay", "alice")
    slider, picture = widget.children[0].children[1], widget.children[2]
    first = picture.value
    slider.value = 5
    assert picture.value != first
    slider.value = 0
    assert picture.value == first


def test_replaying_changes_nothing_in_the_lab(lab: Lab) -> None:
    before, now = list(lab.journal.events), lab.now
    slider = lab.replay("bob", "alice").children[0].children[1]
    slider.value = slider.max
    assert (lab.journal.events, lab.now) == (before, now)


def test_a_time_in_which_nothing_happened_cannot_be_replayed(lab: Lab) -> None:
    with pytest.raises(LabError, match="choose other hosts"):
        lab.replay("bob", since=9_999.0)
