"""A TCP nobody here wrote: Linux's own, in a network namespace, over a TUN device. In real time: seconds each."""

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from natlab.endpoint import Endpoint
from natlab.events import Verdict

NAMESPACE = ["unshare", "--map-root-user", "--net"]


def reason_to_skip() -> str:
    if not Path("/dev/net/tun").exists() or shutil.which("unshare") is None or shutil.which("ip") is None:
        return "needs Linux with /dev/net/tun, unshare and ip"
    allowed = subprocess.run(
        [*NAMESPACE, "ip", "tuntap", "add", "probe", "mode", "tun"], capture_output=True, check=False
    )
    return "" if allowed.returncode == 0 else f"no network namespace here: {allowed.stderr.decode().strip()}"


@pytest.mark.parametrize("loss", ["0", "3"], ids=["nothing lost", "3% lost"])
@pytest.mark.parametrize("who", ["kernel", "we", "both"], ids=["kernel dials", "we dial", "simultaneous open"])
def test_a_conversation_with_the_kernel_arrives_whole_both_ways(who: str, loss: str) -> None:
    if reason := reason_to_skip():
        pytest.skip(reason)
    told = kernel_says("tcp_over_tun.py", who, loss)
    assert told == {"we heard all": True, "kernel heard all": True, "error": None}


@pytest.mark.parametrize("times", [1, 3])
def test_in_a_dialogue_the_same_segments_go_alone_as_with_the_kernel(times: int, world) -> None:
    if reason := reason_to_skip():
        pytest.skip(reason)
    assert simulated_dialogue(world, times) == kernel_says("dialogue_on_loopback.py", str(times))


def kernel_says(program: str, *arguments: str) -> object:
    command = [*NAMESPACE, sys.executable, str(Path(__file__).with_name(program)), *arguments]
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def simulated_dialogue(world, times: int) -> list[list[str]]:
    """What `dialogue_on_loopback.py` does, between two hosts 20 ms apart."""
    dialler, listener = world.host("dialler"), world.host("listener")

    async def serve(listening):
        accepted = await listening.accept()
        while await accepted.read():
            await accepted.write(b"answer")
        await accepted.close_write()

    async def main():
        serving = asyncio.ensure_future(serve(await listener.listen_tcp(Endpoint("0.0.0.0", 4001))))
        dialled = await dialler.dial_tcp(Endpoint(listener.ip, 4001))
        for _ in range(times):
            await dialled.write(b"question")
            await dialled.read()
        await dialled.close_write()
        await serving
        await asyncio.sleep(1)

    world.run(main())
    sent = [(event.place, event.packet) for event in world.packets(verdict=Verdict.SENT)]
    return [[place, packet.payload.decode() or packet.flag_names] for place, packet in sent]
