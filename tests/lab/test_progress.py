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


def test_a_long_sweep_does_not_tell_each_step(capsys):
    for done in range(1001):
        show(done, 1000)
    told = capsys.readouterr().err.split("\r")[1:]
    assert len(told) == 21 and told[0] == "0 of 1000" and told[-1] == "1000 of 1000\n"
