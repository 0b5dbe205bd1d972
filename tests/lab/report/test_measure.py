"""Reports on presets and on boxes of a lab."""

import pytest

from natlab import Lab
from natlab.errors import LabError
from natlab.lab.report import Verdict, nat_report
from natlab.nat import PRESETS


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_can_be_measured_and_again_with_the_same_result(preset):
    assert nat_report(preset, 3).table.equals(nat_report(preset, 3).table)


def test_the_compliant_preset_keeps_every_rule_and_nothing_is_left_unmeasured_that_can_be_measured():
    report = nat_report("rfc-compliant", 1)
    assert report.violated() == []
    unmeasured = [row.requirement.name for row in report.rows if row.finding.verdict is Verdict.NOT_MEASURED]
    assert unmeasured == []


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_can_be_measured_as_a_carriers(preset):
    (few,) = {len(nat_report(preset, 3, carrier=True).rows) - len(nat_report(preset, 3).rows)}
    assert few == 9


def test_axes_override_the_preset():
    assert "RFC 4787 REQ-9" in nat_report("home", hairpinning="none").violated()
    assert "RFC 4787 REQ-9" not in nat_report("home", hairpinning="external-source").violated()


def test_a_box_of_a_lab_is_measured_as_it_is_there_and_the_lab_goes_on_undisturbed():
    lab = Lab(4)
    box = lab.nat("linux", udp_timeout=90.0)
    before = len(lab.journal.events)
    report = lab.nat_report(box)
    assert report.box == "linux" and "90 s answered" in repr(report)
    assert lab.now == 0 and len(lab.journal.events) == before


def test_wrong_use_says_what_to_do():
    with pytest.raises(LabError, match="did you mean 'home'"):
        nat_report("hom")
    with pytest.raises(LabError, match=r"is not of this lab"):
        Lab().nat_report(Lab().nat("home"))
