"""Bytes that wait for a reader: in order, none lost, none twice, whatever the pieces."""

from hypothesis import given
from hypothesis import strategies as st

from natlab.wire.inbox import Inbox


def test_what_comes_at_once_and_is_read_at_once_is_handed_on_as_it_is() -> None:
    inbox, message = Inbox(), b"as it came"
    inbox.put(message)
    assert inbox.take(100) is message
    assert not inbox
    assert inbox.take(100) == b""


def test_what_is_put_in_may_change_afterwards() -> None:
    landing = bytearray(b"first")
    inbox = Inbox()
    inbox.put(memoryview(landing))
    landing[:] = b"other"
    assert inbox.take(5) == b"first"


@given(st.lists(st.binary(max_size=9) | st.integers(0, 9), max_size=40))
def test_it_is_a_queue_of_bytes(steps: list[bytes | int]) -> None:
    inbox, model = Inbox(), b""
    for step in steps:
        if isinstance(step, bytes):
            inbox.put(memoryview(step))
            model += step
        else:
            taken = inbox.take(step)
            assert type(taken) is bytes
            assert taken == model[:step]
            model = model[step:]
        assert len(inbox) == len(model)


def test_clear_forgets_what_waits() -> None:
    inbox = Inbox()
    inbox.put(b"ab")
    inbox.take(1)
    inbox.clear()
    assert inbox.take(5) == b""
