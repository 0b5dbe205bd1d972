"""Several reports as one map."""

import xml.etree.ElementTree as ET

from natlab.lab.report import REQUIREMENTS, comparison, nat_report

REPORTS = [nat_report(preset, 1) for preset in ("rfc-compliant", "pfsense-static-port", "linux")]


def texts(figure):
    return [element.text for element in ET.fromstring(figure.svg).iter("{http://www.w3.org/2000/svg}text")]


def test_each_verdict_of_each_report_is_a_cell():
    figure = comparison(REPORTS)
    words = texts(figure)
    assert words.count("!!") + words.count("!") == sum(len(report.violated()) for report in REPORTS) + 2  # the legend
    assert {"linux", "pfsense-static-port", "RFC 5382 REQ-2, redial"} <= set(words)
    assert figure.title == f"1 of 3 boxes keep all of {len(REQUIREMENTS)} requirements"


def test_it_has_words_for_those_who_do_not_see_it():
    figure = comparison(REPORTS)
    assert "violates a MUST: " in figure.alt and "by 3 columns (box)" in figure.alt
    (line,) = (line for line in figure.text.splitlines() if line.startswith("RFC 5382 REQ-2, redial"))
    assert line.split()[-3:] == ["+", "!!", "!!"]
