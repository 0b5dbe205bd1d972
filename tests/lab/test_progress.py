"""Progress is told before each piece and after the last, on standard error outside of notebooks."""

from __future__ import annotations

from natlab.lab.progress import counted, show


def test_pieces_come_through_and_are_counted():
    calls = []
    assert list(counted("abc", lambda done, total: calls.append((done, total)))) == ["a", "b", "c"]
    assert calls == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert list(counted([1], None)) == [1]


def test_a_terminal_gets_one_line(capsys):
    for done in range(3):
        show(done, 2)
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == "\r0 of 2\r1 of 2\r2 of 2\n"
