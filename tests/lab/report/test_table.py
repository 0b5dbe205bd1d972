"""The report as one looks at it."""

from natlab.lab.report import Level, nat_report


def test_the_table_has_a_row_for_each_requirement_with_its_verdict_in_words():
    report = nat_report("linux", 1)
    table = report.table.set_index("requirement")
    assert list(table.columns) == ["level", "verdict", "measured", "asks", "section"]
    assert table.verdict["RFC 4787 REQ-5"] == "violates" and table.level["RFC 4787 REQ-5"] == "MUST"
    assert "RFC 4787 REQ-5" in report.violated() and "RFC 4787 REQ-5" in report.violated(Level.MUST)
    assert "RFC 4787 REQ-5c" not in report.violated(Level.MUST)


def test_the_plain_text_begins_with_the_sum_and_fits_a_terminal():
    text = repr(nat_report("linux", 1))
    first, *lines = text.splitlines()
    assert first.startswith("linux: conforms to ") and "violates" in first and "MUST" in first
    assert max(map(len, lines)) <= 120
    assert any(line.split()[:3] == ["REQ-5", "MUST", "violates"] for line in lines)


def test_the_page_says_in_words_what_its_colours_say():
    page = nat_report("home", 1)._repr_html_()
    assert page.count("<tr>") == 1 + len(nat_report("home", 1).rows)
    assert "violates" in page and "conforms" in page and "<caption" in page
