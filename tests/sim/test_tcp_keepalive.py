from natlab.sim.tcp_keepalive import KeepaliveTimer
from natlab.sim.tcp_settings import Keepalive


def test_it_probes_after_idleness_then_at_intervals_then_gives_up() -> None:
    timer = KeepaliveTimer(Keepalive(idle=100, interval=10, probes=2))
    timer.heard(0)
    assert timer.deadline == 100
    assert timer.expired(100)
    assert timer.deadline == 110
    assert timer.expired(110)
    assert not timer.expired(120)


def test_any_segment_of_the_peer_starts_the_idle_time_anew() -> None:
    timer = KeepaliveTimer(Keepalive(idle=100, interval=10, probes=1))
    timer.heard(0)
    timer.expired(100)
    timer.heard(105)
    assert timer.deadline == 205
    assert timer.expired(205)


def test_without_a_setting_it_never_runs_and_stopped_it_runs_no_more() -> None:
    off = KeepaliveTimer(None)
    off.heard(0)
    assert off.deadline is None
    timer = KeepaliveTimer(Keepalive())
    timer.heard(0)
    timer.stop()
    assert timer.deadline is None
