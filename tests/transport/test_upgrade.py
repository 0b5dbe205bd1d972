import asyncio
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from natlab.errors import ClosedError, NatlabError, NegotiationError, ProtocolError, SecurityError, UnreachableError
from natlab.transport import negotiate
from natlab.transport.upgrade import ACCEPT_TIMEOUT, DIAL_TIMEOUT, upgrade
from natlab.upgrade import multistream, noise, yamux

PING = bytes([0, 2, 0, 1]) + bytes(8)  # a Yamux frame


async def outcome(coroutine):
    """What comes of an upgrade, and when."""
    try:
        result = await coroutine
    except NatlabError as error:
        result = error
    return result, asyncio.get_running_loop().time()


async def both(one, other, credentials, roles=(True, False), **first):
    return await asyncio.gather(
        outcome(upgrade(one, credentials[0], initiator=roles[0], **first)),
        outcome(upgrade(other, credentials[1], initiator=roles[1])),
    )


async def old_peer(stream, credentials, muxer=yamux.PROTOCOL_ID, pipelined=b""):
    """A dialer that names no muxer in its handshake, as rust-libp2p and py-libp2p do; its first bytes may follow."""
    below = negotiate.Buffered(stream)
    await negotiate.propose(below, [noise.PROTOCOL_ID])
    static = noise.StaticKey(credentials.key, credentials.rng)
    handshake = noise.Handshake(static, credentials.rng, initiator=True)
    await negotiate.drive(handshake, below, lambda: handshake.channel is not None)
    proposal = multistream.Dialer([muxer]).data_to_send()
    await stream.write(handshake.channel.encrypt(proposal + pipelined))
    return handshake.channel


def test_both_ends_know_each_other(run, credentials, peer_ids):
    async def main(one, other):
        (ours, _), (theirs, _) = await both(one, other, credentials, expected=peer_ids[1])
        assert (ours.peer, theirs.peer) == (peer_ids[1], peer_ids[0])
        await ours.stream.write(b"hello")
        return await theirs.stream.read()

    assert run(main) == b"hello"


def test_the_dialer_may_be_the_responder(run, credentials, peer_ids):
    """DCUtR's roles: who dialled and who begins the handshake are two things."""

    async def main(one, other):
        (ours, _), (theirs, _) = await both(one, other, credentials, roles=(False, True))
        assert (ours.session.open_stream(), theirs.session.open_stream()) == (2, 1)

    run(main)


def test_the_muxer_is_negotiated_with_a_peer_that_named_none(run, credentials, peer_ids):
    async def main(one, other):
        dialler = old_peer(one, credentials[0], pipelined=PING)
        _, theirs = await asyncio.gather(dialler, upgrade(other, credentials[1], initiator=False))
        assert theirs.peer == peer_ids[0]
        return await theirs.stream.read()

    assert run(main) == PING, "what was pipelined behind the muxer belongs to the muxer"


def test_no_muxer_in_common(run, credentials):
    async def main(one, other):
        waiting = asyncio.ensure_future(outcome(upgrade(other, credentials[1], initiator=False)))
        channel = await old_peer(one, credentials[0], muxer="/mplex/6.7.0")
        said = b""
        while b"na" not in said:
            said += channel.decrypt(await one.read())
        one.reset()
        return (await waiting)[0]

    assert isinstance(run(main), ClosedError)


def test_somebody_else_answers(run, credentials, peer_ids):
    async def main(one, other):
        (ours, _), (theirs, _) = await both(one, other, credentials, expected=peer_ids[2])
        assert isinstance(ours, SecurityError)
        assert isinstance(theirs, ClosedError), "our end was reset"

    run(main)


@pytest.mark.parametrize(("role", "seconds"), [(True, DIAL_TIMEOUT), (False, ACCEPT_TIMEOUT)])
def test_a_silent_peer_costs_bounded_time(run, credentials, role, seconds):
    async def main(one, other):
        started = asyncio.get_running_loop().time()
        error, ended = await outcome(upgrade(one, credentials[0], initiator=role))
        assert isinstance(error, UnreachableError)
        assert ended - started == pytest.approx(seconds)

    run(main)


@pytest.mark.parametrize("role", [True, False])
def test_two_ends_in_the_same_role_never_get_anywhere(run, credentials, role):
    async def main(one, other):
        (ours, _), (theirs, _) = await both(one, other, credentials, roles=(role, role))
        assert isinstance(ours, NatlabError) and isinstance(theirs, NatlabError)

    run(main)


STEPS = [b"", multistream.encode(multistream.PROTOCOL_ID), multistream.encode(noise.PROTOCOL_ID)]


@settings(max_examples=settings.default.max_examples // 2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    upto=st.integers(0, len(STEPS)),
    garbage=st.binary(min_size=1, max_size=300),
    role=st.booleans(),
    end=st.sampled_from(["closes", "resets", "waits"]),
)
def test_garbage_at_any_step_is_an_error_in_bounded_time(run, credentials, upto, garbage, role, end):
    async def main(one, other):
        await other.write(b"".join(STEPS[:upto]) + garbage)
        if end == "closes":
            await other.close_write()
        elif end == "resets":
            other.reset()
        result, ended = await outcome(upgrade(one, credentials[0], initiator=role))
        assert isinstance(result, ProtocolError | NegotiationError | ClosedError | UnreachableError)
        assert ended <= DIAL_TIMEOUT + 1
        assert len(asyncio.all_tasks()) == 1

    run(main)


def test_ephemeral_keys_come_from_the_random_numbers_given(run, credentials):
    """The same seed gives the same bytes on the wire."""

    def handshake():
        async def main(one, other):
            fresh = [type(c)(c.key, random.Random(7 + n)) for n, c in enumerate(credentials)]
            recorded = []
            write = one.write
            one.write = lambda data: recorded.append(bytes(data)) or write(data)
            await both(one, other, fresh)
            return recorded

        return run(main)

    assert handshake() == handshake()
