"""SO_REUSEPORT set late: what this kernel says, and what is said where there is no such flag."""

from __future__ import annotations

import socket
import sys

import pytest

from natlab.lab import late_flag as late
from natlab.lab.late_flag import MOMENTS, late_flag


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels may be stricter")
def test_linux_asks_for_the_flag_only_when_the_second_socket_binds():
    table = late_flag()
    assert list(table.columns) == list(MOMENTS) and table.columns.name.startswith("Linux")
    assert table.to_numpy().tolist() == [["EADDRINUSE", "shared", "shared", "shared"]] * 2


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels may be stricter")
@pytest.mark.parametrize("listener_first", [True, False])
def test_without_the_flag_on_the_second_a_late_one_on_the_first_is_no_help(monkeypatch, listener_first):
    plain = late._use
    monkeypatch.setattr(
        late, "_use", lambda sock, use, when, local: plain(sock, use, "never" if when == "before bind" else when, local)
    )
    assert late._verdict(listener_first, "in use") == "EADDRINUSE"


def test_a_connection_counts_only_if_the_listener_gets_it():
    with late._tcp() as listener, late._tcp() as deaf, late._tcp() as third, late._tcp() as fourth:
        listener.bind((late.LOOPBACK, 0))
        listener.listen()
        deaf.bind((late.LOOPBACK, 0))
        assert late._reaches(third, listener)
        assert not late._reaches(fourth, deaf), "it is bound and does not listen"


def test_a_dialled_connection_stands_only_if_its_bytes_arrive():
    with late._tcp() as server, late._tcp() as dialled, late._tcp() as other:
        server.bind((late.LOOPBACK, 0))
        server.listen()
        dialled.connect(server.getsockname())
        assert late._stands(dialled, server)
        other.connect(server.getsockname())
        other.shutdown(socket.SHUT_WR)
        with pytest.raises(BrokenPipeError):
            late._stands(other, server)


def test_a_system_without_the_flag_is_told_apart(monkeypatch):
    monkeypatch.setattr(late, "CAN_REUSE_PORT", False)
    table = late_flag()
    assert table[list(MOMENTS[1:])].to_numpy().tolist() == [["no such flag"] * 3] * 2
    assert "no such flag" not in list(table["never"])
