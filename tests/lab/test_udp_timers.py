"""Timers measured by knocking agree with what the boxes were told, and with RFC 4787."""

from __future__ import annotations

import pytest

from natlab.lab.udp_timers import check_keepalive, closes_after, conformance, let_in_after
from natlab.nat import PRESETS


@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_measured_is_what_was_configured(preset):
    config = PRESETS[preset]
    assert closes_after(1, preset) == config.udp_unanswered_timeout
    assert closes_after(1, preset, answered=True) == config.udp_timeout


def test_linux_violates_req_5_until_it_is_answered():
    table = conformance(1, ["home", "linux"])
    assert list(table.closes_after) == [300, 300, 30, 120]
    assert list(table.verdict) == ["conforms", "conforms", "violates REQ-5", "conforms"]


def test_keepalives_keep_a_mapping_far_beyond_its_timer():
    assert let_in_after(1, 29, "linux", keepalives=100) and not let_in_after(1, 30, "linux", keepalives=1)


@pytest.mark.parametrize(
    ("seconds", "right", "hint"),
    [
        (None, False, "number"),
        ("?", False, "number"),
        (0, False, "from 1 to 86400"),
        (10**9, False, "from 1 to 86400"),
        (True, False, "whole number"),
        (10, False, "longest"),
        (29, True, "lost"),
        (30, False, "30 s after"),
    ],
)
def test_the_longest_interval_between_keepalives(seconds, right, hint):
    feedback = check_keepalive(1, "linux", seconds)
    assert feedback.right == right and hint in feedback.words
