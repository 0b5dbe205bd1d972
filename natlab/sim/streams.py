"""TCP on a simulated host: which connection or listener a segment belongs to, and the sockets programs hold.

RFC 9293's state machine is `natlab.sim.tcp`; this file gives it a clock, a network and readers that wait.

    a segment arrives for (local, remote)
      ├─ that 4-tuple exists ............ its connection      (a dial in SYN-SENT too: simultaneous open)
      ├─ a SYN, and somebody listens .... a new connection    (dropped if the listener's queue is full)
      └─ otherwise ...................... RST                 (RFC 9293 section 3.10.7.1)

The first two lines are why hole punching has two endings. SYNs that cross meet in two dials. A SYN that comes before
the dial goes to the listener on that port and takes the 4-tuple; the dial then fails with EADDRNOTAVAIL.

A connection holds its local port (`natlab.sim.ports`) and its 4-tuple until it is gone, which after an orderly close
includes 60 s of TIME-WAIT at the end that closed first. `reset` frees both at once. A dial with port reuse may take its
4-tuple over from TIME-WAIT, as on Linux, where timestamps make that safe (RFC 6191).

Not modelled: SYN cookies, connections that survive their listener's close unaccepted, SO_LINGER other than `reset`.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable
from random import Random

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError, SocketError
from natlab.events import Verdict
from natlab.net.waiting import Waiters, WatchableStream
from natlab.packet import Icmp, Packet
from natlab.sim.capture import Tap
from natlab.sim.loop import SimLoop
from natlab.sim.ports import Binding, PortTable, wildcard_of
from natlab.sim.tcp import Tcb
from natlab.sim.tcp_segment import SYN, opens, reset_for
from natlab.sim.tcp_settings import settings_for
from natlab.sim.tcp_state import State
from natlab.sim.udp import pick

BACKLOG = 128  # connections a listener keeps that nobody has accepted, half-open ones included


class SimTcpConnection(WatchableStream):
    """A `natlab.net.TcpConnection`: one `Tcb` and those who wait for it."""

    def __init__(self, layer: TcpLayer, tcb: Tcb, binding: Binding, listener: SimTcpListener | None) -> None:
        super().__init__()
        self.tcb = tcb
        self._layer = layer
        self._loop = layer.loop
        self._binding = binding
        self._listener = listener  # until it is handed over
        self._wants_room = True  # somebody waits for the end of the handshake, or to write more
        self._alarm: int | None = None  # time of the heap entry that will look at the deadline
        self._ack_asked = False  # `_acknowledge` will be called at the end of this instant
        self._gone = False
        self._sending = False

    @property
    def local(self) -> Endpoint:
        return self.tcb.local

    @property
    def remote(self) -> Endpoint:
        return self.tcb.remote

    # ---- natlab.net.Stream

    def read_now(self, limit: int = 65536) -> bytes | None:
        self._loop.require_running()
        if not self.tcb.readable:
            if self.tcb.at_end:
                return b""
            self._check_open()
            return None
        data = self.tcb.receive(limit, self._loop.now_ns)
        self._send()  # a window update, perhaps
        return data

    def write_now(self, data: bytes | memoryview) -> int:
        self._loop.require_running()
        self._check_open()
        taken = self.tcb.send(data, self._loop.now_ns)
        if taken < len(data):
            self._wants_room = True
        self.pump()
        return taken

    async def close_write(self) -> None:
        self._loop.require_running()
        self.tcb.close(self._loop.now_ns)
        self._changed()

    def reset(self) -> None:
        self.tcb.abort(self._loop.now_ns)
        self._changed()

    def _check_open(self) -> None:
        if self.tcb.state is State.CLOSED:
            why = os.strerror(self.tcb.error) if self.tcb.error else "closed by both ends"
            if self.tcb.error == errno.ECONNABORTED:
                why = "closed at this end"
            raise ClosedError(f"connection {self.local} to {self.remote}: {why}")

    # ---- between the state machine and the host

    async def opened(self) -> None:
        """Waits for the end of the handshake.

        Raises:
            SocketError: ECONNREFUSED, ETIMEDOUT, or what an ICMP error said (`tcp_icmp`).
        """
        while not self.tcb.opened:
            if self.tcb.error is not None:
                raise SocketError(self.tcb.error, f"dial {self.local} to {self.remote}")
            await self.changes.wait()

    def arrives(self, segment: Packet) -> None:
        self.tcb.segment_arrives(segment, self._loop.now_ns)
        self._changed()
        if self.tcb.ack_waits and not self._ack_asked:
            self._ack_asked = True
            self._loop.call_at_end_of_instant(self._acknowledge)

    def _acknowledge(self) -> None:
        """Who was woken has written by now, if they had anything to say."""
        self._ack_asked = False
        if self.tcb.ack_waits:
            self.tcb.acknowledge(self._loop.now_ns)
            self.pump()

    def error_arrives(self, error: Icmp, seq: int) -> bool:
        counts = self.tcb.error_arrives(error, seq, self._loop.now_ns)
        self._changed()
        return counts

    def pump(self) -> None:
        """After anything was done to the state machine: sends, sets the alarm, notes its end and its beginning."""
        self._send()
        self._set_alarm()
        if self.tcb.state is State.CLOSED and not self._gone:
            self._gone = True
            self._layer.gone(self, self._binding)
        if self._listener is not None and (self.tcb.opened or self._gone):
            listener, self._listener = self._listener, None
            listener.handshake_over(self)

    def _changed(self) -> None:
        """Not by a reader or a writer of ours, so they may have waited for it."""
        self.pump()
        has_room = self._wants_room and self.tcb.opened and self.tcb.writable
        if has_room:
            self._wants_room = False
        if has_room or self.tcb.readable or self.tcb.at_end or self._gone:
            self.changes.wake()

    def _send(self) -> None:
        """On loopback an answer comes while we are sending; what it makes us send waits for its turn."""
        if self._sending or not (segments := self.tcb.take_segments()):
            return
        self._sending = True
        while segments:
            for segment in segments:
                self._layer.transmit(segment)
            segments = self.tcb.take_segments()
        self._sending = False

    def _set_alarm(self) -> None:
        """One heap entry is enough while deadlines only move away, as they do with every ACK."""
        deadline = self.tcb.deadline
        if deadline is not None and (self._alarm is None or deadline < self._alarm):
            self._alarm = deadline
            self._loop.call_at_ns(deadline, self._alarmed, deadline)

    def _alarmed(self, when: int) -> None:
        if when == self._alarm:  # else an earlier one has taken its place
            self._alarm = None
            self.tcb.timer_expired(self._loop.now_ns)
            self._changed()


class SimTcpListener:
    """A `natlab.net.TcpListener`."""

    def __init__(self, layer: TcpLayer, binding: Binding) -> None:
        self.binding = binding
        self._layer = layer
        self._half_open: dict[SimTcpConnection, None] = {}
        self._queue: deque[SimTcpConnection] = deque()
        self._waiters = Waiters()
        self._closed = False

    @property
    def local(self) -> Endpoint:
        return self.binding.local

    async def accept(self) -> SimTcpConnection:
        self._layer.loop.require_running()
        while not self._queue:
            if self._closed:
                raise ClosedError(f"the listener at {self.local} is closed")
            await self._waiters.wait()
        return self._queue.popleft()

    def close(self) -> None:
        """Frees the port. Connections nobody has accepted are reset; accepted ones live on."""
        if self._closed:
            return
        self._closed = True
        self._layer.unlisten(self)
        for connection in [*self._half_open, *self._queue]:
            connection.reset()
        self._queue.clear()
        self._waiters.wake()

    @property
    def full(self) -> bool:
        return len(self._half_open) + len(self._queue) >= BACKLOG

    def handshake_began(self, connection: SimTcpConnection) -> None:
        self._half_open[connection] = None

    def handshake_over(self, connection: SimTcpConnection) -> None:
        """It is open and waits to be accepted, or has failed."""
        del self._half_open[connection]
        if connection.tcb.opened and not self._closed:
            self._queue.append(connection)
            self._waiters.wake()


class TcpLayer:
    """The TCP sockets of one host.

    Args:
        rng: chooses ephemeral ports and initial sequence numbers.
        transmit: hands a segment to the IP layer.
    """

    def __init__(self, loop: SimLoop, tap: Tap, rng: Random, transmit: Callable[[Packet], None]) -> None:
        self.loop = loop
        self.transmit = transmit
        self._tap = tap
        self._rng = rng
        self._ports = PortTable(rng)
        self._connections: dict[tuple[Endpoint, Endpoint], SimTcpConnection] = {}
        self._listeners: dict[Endpoint, list[SimTcpListener]] = {}

    def listen(self, local: Endpoint, reuse_port: bool) -> SimTcpListener:
        binding = self._ports.bind(local, reuse_port, listen=True)
        listener = SimTcpListener(self, binding)
        self._listeners.setdefault(binding.local, []).append(listener)
        return listener

    def unlisten(self, listener: SimTcpListener) -> None:
        listener.binding.listening = False
        self._ports.release(listener.binding)
        sharing = self._listeners[listener.local]
        sharing.remove(listener)
        if not sharing:
            del self._listeners[listener.local]

    async def dial(self, local: Endpoint, remote: Endpoint, reuse_port: bool) -> SimTcpConnection:
        """connect(2) after bind(2). A dial that fails or is cancelled gives its port back."""
        binding = self._ports.bind(local, reuse_port)
        local = binding.local
        earlier = self._connections.get((local, remote))
        if earlier is not None and earlier.tcb.state is State.TIME_WAIT:
            earlier.reset()
        elif earlier is not None:
            self._ports.release(binding)
            raise SocketError(errno.EADDRNOTAVAIL, f"there is already a connection {local} to {remote}")
        tcb = Tcb.active_open(local, remote, self.loop.now_ns, self._rng, settings_for(remote))
        connection = SimTcpConnection(self, tcb, binding, None)
        self._connections[local, remote] = connection
        try:
            connection.pump()
            await connection.opened()
        except BaseException:
            connection.reset()
            raise
        return connection

    def gone(self, connection: SimTcpConnection, binding: Binding) -> None:
        del self._connections[connection.local, connection.remote]
        self._ports.release(binding)

    def receive(self, segment: Packet) -> None:
        connection = self._connections.get((segment.destination, segment.source))
        listener = self._listener_for(segment) if segment.flags & SYN else None
        if connection is not None and listener is not None and connection.tcb.may_be_replaced_by(segment):
            connection.reset()
            connection = None
        if connection is not None:
            self._note(segment, Verdict.DELIVERED)
            connection.arrives(segment)
        elif listener is None:
            self._refuse(segment)
        elif listener.full:
            self._note(segment, Verdict.DROPPED, "the listener's queue is full")
        else:
            self._open(segment, listener)

    def error_arrives(self, error: Icmp, segment: Packet) -> bool:
        """An ICMP error about a segment of this host; False if no connection has it in flight."""
        connection = self._connections.get((segment.source, segment.destination))
        return connection is not None and connection.error_arrives(error, segment.seq)

    def _listener_for(self, segment: Packet) -> SimTcpListener | None:
        """Who gets this SYN; None if it is no SYN, or nobody listens."""
        if not opens(segment):
            return None
        to = segment.destination
        sharing = self._listeners.get(to) or self._listeners.get(Endpoint(wildcard_of(to.ip), to.port))
        return pick(sharing, segment) if sharing else None

    def _open(self, syn: Packet, listener: SimTcpListener) -> None:
        self._note(syn, Verdict.DELIVERED)
        tcb = Tcb.passive_open(syn, self.loop.now_ns, self._rng, settings_for(syn.source))
        listener.binding.users += 1
        connection = SimTcpConnection(self, tcb, listener.binding, listener)
        listener.handshake_began(connection)
        self._connections[tcb.local, tcb.remote] = connection
        connection.pump()

    def _refuse(self, segment: Packet) -> None:
        answer = reset_for(segment)
        nobody = f"no TCP socket for {segment.source} on port {segment.destination.port}"
        self._note(segment, Verdict.DROPPED, nobody if answer is None else f"{nobody}: answered with RST")
        if answer is not None:
            self.transmit(answer)

    def _note(self, segment: Packet, verdict: Verdict, reason: str = "") -> None:
        if self._tap.on:
            self._tap.seen(segment, verdict, reason)
