"""The lesson's scenes show what they claim, and its checks hint at the first thing that is wrong."""

from __future__ import annotations

import pytest

from natlab.endpoint import Endpoint
from natlab.lab.which_nat import (
    ask,
    check_boxes,
    check_disguise,
    classify,
    observers,
    seen_at,
    three_boxes,
    verdicts,
)
from natlab.nat import PRESETS
from natlab.wire.stun import ChangeRequest

RIGHT = ["address-dependent", "endpoint-independent", "address-and-port-dependent"]


def test_three_boxes_map_three_ways():
    table = seen_at(three_boxes(7))
    assert [table.loc[box].nunique() for box in ("box 1", "box 2", "box 3")] == [2, 1, 3]
    assert list(table.columns) == ["I: A1, P1", "II: A2, P1", "III: A2, P2"]


def test_one_question_by_hand():
    lab = three_boxes(7)
    socket = lab.run(lab.hosts["stun"].udp(5000))
    server = Endpoint(lab.hosts["stun"].ip, 3478)
    answer = lab.run(ask(socket, server, ChangeRequest(port=True)))
    assert answer.xor_mapped_address == socket.local and answer.response_origin == server._replace(port=3479)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_presets_are_measured_as_they_are_documented(transport):
    names = ["home", "office", "linux", "full-cone", "symmetric"]
    table = verdicts(7, names, transport).set_index("preset")
    for name in names:
        assert table.loc[name, "filtering"] == PRESETS[name].filtering
        in_effect = "endpoint-independent" if name == "linux" else PRESETS[name].mapping  # its ports stay the same
        assert table.loc[name, "mapping"] == in_effect
    assert set(table.transport) == {transport} and (table.tests >= 4).all() and (table.seconds > 0).all()


@pytest.mark.parametrize(("mapping", "endpoints"), [("endpoint-independent", 1), ("address-dependent", 4)])
def test_observers_see_as_many_endpoints_as_the_mapping_makes(mapping, endpoints):
    lab = observers(7, mapping=mapping)
    table = lab.observations.query("node == 'alice'")
    assert lab.mappings.external.nunique() == endpoints
    assert table.activated.any() == (endpoints == 1)


@pytest.mark.parametrize(
    ("answers", "right", "hint"),
    [
        ([], False, "Three answers"),
        (["?", "?", "?"], False, "box 1 write"),
        ([RIGHT[1], *RIGHT[1:]], False, "box 1: II and III"),
        ([RIGHT[0], RIGHT[0], RIGHT[2]], False, "box 2: does"),
        ([*RIGHT[:2], RIGHT[0]], False, "box 3"),
        (RIGHT, True, "Two comparisons"),
    ],
)
def test_naming_the_boxes(answers, right, hint):
    feedback = check_boxes(answers)
    assert feedback.right == right and hint in feedback.words


@pytest.mark.parametrize(
    ("axes", "right", "hint"),
    [
        (None, False, "compare"),
        ({"mapping": "endpoint-independent"}, False, "Leave"),
        ({"port_allocation": "lucky"}, False, "lucky"),
        ({"filtering": "address-dependent"}, False, "still found out"),
        ({"port_allocation": "preserving"}, True, "neighbour"),
    ],
)
def test_a_disguise(axes, right, hint):
    feedback = check_disguise(7, axes)
    assert feedback.right == right and hint in feedback.words


def test_a_silence_takes_its_time():
    assert classify(7, "full-cone")[1] < 1 < 39.5 < classify(7, "office")[1] < 79 < classify(7, "home")[1]
