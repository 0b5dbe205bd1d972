"""A TCP nobody here wrote: Linux's own, in a network namespace, over a TUN device. In real time: seconds each."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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
    program = Path(__file__).with_name("tcp_over_tun.py")
    command = [*NAMESPACE, sys.executable, str(program), who, loss]
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == {"we heard all": True, "kernel heard all": True, "error": None}
