"""What is real is out of a simulated loop's reach, and the error says what to do instead."""

from __future__ import annotations

import asyncio

import pytest

from natlab.errors import LabError
from natlab.sim import SimLoop

OUTSIDE = {
    "a stream": lambda: asyncio.open_connection("127.0.0.1", 9),
    "a server": lambda: asyncio.start_server(print, "127.0.0.1", 0),
    "a datagram socket": lambda: asyncio.get_running_loop().create_datagram_endpoint(asyncio.DatagramProtocol),
    "a socket": lambda: asyncio.get_running_loop().sock_connect(None, None),
    "a name": lambda: asyncio.get_running_loop().getaddrinfo("localhost", 80),
    "a thread": lambda: asyncio.to_thread(print),
    "a program": lambda: asyncio.create_subprocess_exec("true"),
}


@pytest.mark.parametrize("real", OUTSIDE.values(), ids=OUTSIDE)
def test_what_is_real_is_out_of_reach_and_the_error_says_so(real):
    loop = SimLoop()

    async def main():
        await real()

    with pytest.raises(LabError, match=r"in simulated time .*lab\.host\(\.\.\.\).*here\.run"):
        loop.run(main())
    assert loop.run(asyncio.sleep(1, "usable")) == "usable"
