"""Who may use which local port, and the error number of each refusal."""

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError


def reset_all(*connections):
    for connection in connections:
        connection.reset()


def test_nobody_listens(place, errno_of):
    async def main():
        listener = await place.there.listen_tcp(place.at())
        port = listener.local.port
        listener.close()
        return await errno_of(place.here.dial_tcp(place.at(port)))

    assert place.run(main()) == "ECONNREFUSED"


def test_a_foreign_address_cannot_be_bound(place, errno_of):
    async def main():
        foreign = Endpoint("192.0.2.1", 0)
        return [await errno_of(place.here.listen_tcp(foreign)), await errno_of(place.here.bind_udp(foreign))]

    assert place.run(main()) == ["EADDRNOTAVAIL", "EADDRNOTAVAIL"]


@pytest.mark.parametrize(("first", "second"), [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("kind", ["listen_tcp", "bind_udp"])
def test_a_port_is_shared_only_if_both_say_so(place, errno_of, kind, first, second):
    async def main():
        bind = getattr(place.there, kind)
        one = await bind(place.at(), reuse_port=first)
        try:
            if first and second:
                (await bind(one.local, reuse_port=second)).close()
            else:
                assert await errno_of(bind(one.local, reuse_port=second)) == "EADDRINUSE"
        finally:
            one.close()

    place.run(main())


def test_a_listening_port_dials_if_both_say_so(place, errno_of):
    async def main():
        target = await place.there.listen_tcp(place.at())
        home = await place.here.listen_tcp(Endpoint("0.0.0.0", 0), reuse_port=True)
        refused = await errno_of(place.here.dial_tcp(target.local, local=home.local))
        dialled = await place.here.dial_tcp(target.local, local=home.local, reuse_port=True)
        accepted = await target.accept()
        assert dialled.local.port == home.local.port
        reset_all(dialled, accepted)
        target.close()
        home.close()
        return refused

    assert place.run(main()) == "EADDRINUSE"


def test_a_4_tuple_is_taken_until_it_is_reset(place, errno_of):
    async def main():
        target = await place.there.listen_tcp(place.at())
        first = await place.here.dial_tcp(target.local, reuse_port=True, local=Endpoint("0.0.0.0", 0))
        accepted = await target.accept()

        async def again():
            return await place.here.dial_tcp(target.local, local=first.local, reuse_port=True)

        taken = await errno_of(again())
        first.reset()
        with pytest.raises(ClosedError):
            await accepted.read()
        second = await again()
        assert (second.local, second.remote) == (first.local, first.remote)
        reset_all(second, await target.accept())
        target.close()
        return taken

    assert place.run(main()) == "EADDRNOTAVAIL"
