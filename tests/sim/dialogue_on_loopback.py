"""A dialogue between two sockets of the kernel, and the segments of it. Run inside `unshare -rn`; prints a JSON list.

argv: how many times a question is asked
"""

import json
import socket
import struct
import subprocess
import sys
import threading
import time

from natlab.packet import Flag

MOMENT = 0.002  # before each word, so that the kernel could acknowledge the last one alone
OUTGOING = 4  # <linux/if_packet.h> PACKET_OUTGOING: on loopback each packet is seen leaving and coming


def serve(listener: socket.socket) -> None:
    accepted, _ = listener.accept()
    while accepted.recv(100):
        time.sleep(MOMENT)
        accepted.sendall(b"answer")
    accepted.close()


def ask(listener: socket.socket, times: int) -> None:
    with socket.create_connection(listener.getsockname()) as dialled:
        for _ in range(times):
            dialled.sendall(b"question")
            dialled.recv(100)
            time.sleep(MOMENT)


def segment(data: bytes) -> tuple[str, str]:
    """Who sent it, the dialler or the listener, and what it is. The kernel leaves out checksums on loopback."""
    header = (data[0] & 15) * 4
    source, destination, _, _, offset, flags = struct.unpack_from("!HHIIBB", data, header)
    payload = data[header + (offset >> 4) * 4 :]
    names = " ".join(str(flag.name) for flag in Flag if flags & flag)
    return "dialler" if source > destination else "listener", payload.decode() or names


def main(times: str) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    wire.bind(("lo", 0))
    wire.settimeout(0.5)
    listener = socket.create_server(("127.0.0.1", 4001))
    serving = threading.Thread(target=serve, args=(listener,))
    serving.start()
    ask(listener, int(times))
    serving.join()
    seen = []
    try:
        while True:
            data, (_, _, direction, *_) = wire.recvfrom(65535)
            if direction != OUTGOING:
                seen.append(segment(data))
    except TimeoutError:
        print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
