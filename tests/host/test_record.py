from natlab.events import DialFailed, Journal, Reserved
from natlab.host.record import Recorder
from natlab.sim import SimLoop


async def emit(recorder):
    recorder.emit(DialFailed(*recorder.here, "peer", "address", "cause"))


def test_an_event_carries_the_time_and_the_place():
    journal = Journal()
    loop = SimLoop()
    loop.advance(2.5)
    loop.run(emit(Recorder(journal, "alice")))
    loop.close()
    assert journal.events == [DialFailed(2.5, "alice", "peer", "address", "cause")]


def test_what_nobody_asked_to_record_is_not_wanted():
    assert Recorder(Journal([DialFailed]), "alice").wants(DialFailed)
    assert not Recorder(Journal([DialFailed]), "alice").wants(Reserved)
    assert not Recorder(None, "alice").wants(DialFailed)
