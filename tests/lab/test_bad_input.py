"""Each verb with input it cannot take: it says what to hand over instead, and nothing is lost."""

from __future__ import annotations

import asyncio
import math

import pytest

from natlab import Lab, LinkConfig, Node  # noqa: F401  # in the table
from natlab.errors import LabError
from natlab.lab.bare import BareHost, attempt
from natlab.lab.this_computer import this_computer

NAN, INF = math.nan, math.inf
STRANGER = "12D3KooWKcHdPa3eaZxobqJXDd3rWZAU9fMF8iKWGmR8DzyDcZfi"


class Scene(Lab):
    """A lab with a relay, Alice behind her home NAT, and a bare host."""

    def __init__(self) -> None:
        super().__init__(1)
        self.relay, home = self.node("relay"), self.nat("home")
        self.alice, self.bare = self.node("alice", home), self.host("bare")

    def plug_in(self, **options):
        return self.node("n", **options)

    def done(self):
        """A coroutine that has been run."""

        async def done():
            await asyncio.sleep(0.0)

        coroutine = done()
        self.run(coroutine)
        return coroutine

    async def inside(self, verb):
        return verb()

    async def elsewhere(self, run):
        """As in a cell that gathers what is to run in a lab."""
        gathered = asyncio.gather(asyncio.sleep(0.0))
        try:
            run(gathered)
        finally:
            await gathered

    def send(self, data, to="11.0.0.1:9"):
        async def main():
            await (await self.bare.udp()).send(data, to)

        self.run(main())


def rows(text):
    """Each line: what is tried on a lab, and a word or two of the complaint."""
    pairs = [[word.strip() for word in line.split(" | ")] for line in text.splitlines() if line.strip()]
    return [pytest.param(verb, hint, id=verb) for verb, hint in pairs]


@pytest.mark.parametrize(
    ("verb", "hint"),
    rows("""
    Lab("x")                                   | a seed is a whole number
    Lab(1.5)                                   | a seed is a whole number
    Lab(record="packets")                      | record= takes kinds of events
    Lab(record=3)                              | record= takes kinds of events

    lab.advance(INF)                           | finite number of seconds
    lab.advance(NAN)                           | finite number of seconds
    lab.advance(-1)                            | 0 or more, not -1
    lab.advance("1")                           | not '1'
    lab.advance(1e300)                         | at most 1e+11 seconds
    lab.advance(10**400)                       | at most 1e+11 seconds
    lab.at(INF, lab.partition, "home")         | finite number of seconds
    lab.at(-1, lab.partition, "home")          | 0 or more, not -1
    lab.at(5, "partition")                     | a function, such as lab.partition
    lab.at(5, lab.alice.dial, lab.relay)       | dial takes time
    lab.at(5, lab.alice.dial(lab.relay))       | a function, such as lab.partition
    lab.run(lab.done())                        | done(...) has been run already
    lab.run(lab.inside(lambda: lab.node("n"))) | to make a node takes time
    lab.run(lab.inside(lambda: lab.nat(gateway="pcp"))) | a gateway's services takes time
    lab.run(lab.inside(lambda: lab.advance(1))) | already running
    lab.run(None)                              | such as alice.dial(relay), not None
    lab.run(lab.alice.dial)                    | call it, dial(...)
    lab.run(asyncio.sleep(1), limit=-1)        | limit= is a finite number
    lab.run(asyncio.sleep(1), limit=INF)       | limit= is a finite number
    lab.run(asyncio.sleep(1), limit="x")       | limit= is a finite number
    asyncio.run(lab.elsewhere(lab.run))        | this GatheringFuture lives in another loop: make it within
    asyncio.run(lab.arun(3))                   | such as alice.dial(relay), not 3
    asyncio.run(lab.arun(asyncio.sleep(1), NAN)) | limit= is a finite number

    lab.crowd(-1)                              | a whole number, 0 or more, not -1
    lab.crowd(1.5)                             | a whole number
    lab.node("")                               | a name is a word or two
    lab.node("  ")                             | a name is a word or two
    lab.node("two\\nlines")                    | a name is a word or two
    lab.node(None)                             | a name is a word or two
    lab.node("alice ")                         | a name is a word or two
    lab.node("x" * 41)                         | 40 characters at most
    lab.host(3)                                | a name is a word or two
    lab.nat("home", name="")                   | a name is a word or two
    lab.node("internet")                       | choose another name
    lab.host("alice")                          | give each host and NAT its own name
    lab.nat(None)                              | there are: rfc-compliant
    lab.plug_in(behind=lab.alice)              | a NAT box of this lab
    lab.plug_in(delay=-1)                      | at least 0 s
    lab.plug_in(delay="x")                     | a delay is a number of seconds
    lab.plug_in(delay=(1, 2, 3))               | (from the place, to the place)
    lab.plug_in(loss=2)                        | a probability
    lab.plug_in(loss="x")                      | a probability
    lab.plug_in(link=3)                        | a LinkConfig
    lab.plug_in(link=LinkConfig(), loss=0.1)   | put delay= and loss= into
    lab.plug_in(address="11.0.0.1")            | already relay's address
    lab.plug_in(address="127.0.0.1")           | no address that one host can have
    lab.plug_in(address=3)                     | a text such as '73.0.0.5', not 3
    lab.plug_in(address="192.0.0.8")           | already the internet's address
    lab.plug_in(address="73.0.0.5", ipv6="x")  | a text such as '2600:7::1', not 'x'
    lab.plug_in(ipv6=5)                        | ipv6= is True, False or an address
    lab.nat(address=3)                         | a text such as '73.0.0.5', not 3
    lab.nat(lan=5)                             | an IPv4 network such as '10.0.0.0/8', not 5
    lab.nat(ipv6=5)                            | ipv6= is True, False, a preset
    lab.plug_in(keepalive=-1)                  | keepalive= is a finite number of seconds
    lab.plug_in(keepalive=0)                   | keepalive= is a finite number of seconds
    lab.plug_in(relay_service="yes")           | True, False or a RelayLimits
    lab.plug_in(reuse_port="no")               | reuse_port= is True or False, not 'no'
    lab.plug_in(ipv4="no")                     | ipv4= is True or False, not 'no'
    lab.crowd(2, ipv6="no")                    | ipv6= is True or False, not 'no'
    lab.reboot("home", "no")                   | new_address= is True or False, not 'no'
    lab.nat_report("home", "no")               | carrier= is True or False, not 'no'
    lab.forward("home", 80, "alice", ipv6="no")  | ipv6= is True or False, not 'no'
    lab.unforward("home", 80, ipv6="no")       | ipv6= is True or False, not 'no'
    lab.plug_in(hole_punching=True)            | a RoleProfile, such as GO_V048

    lab.partition()                            | whose link?
    lab.partition("alic")                      | did you mean 'alice'?
    lab.partition(lab.alice)                   | name it, 'alice'
    lab.partition(["alice", "bare"])           | one by one, 'alice', 'bare'
    lab.heal(3)                                | there are: relay, home, alice, bare
    lab.reboot("hom")                          | did you mean 'home'?
    lab.forward("home", 0, "alice")            | takes one port: which?
    lab.forward("home", 70000, "alice")        | from 0 to 65535
    lab.forward("home", "80", "alice")         | from 0 to 65535, not '80'
    lab.forward("home", 80, "bare")            | not behind home
    lab.unforward("home", 4001)                | home forwards no tcp port 4001: which port, and which protocol=
    lab.forward("home", 80, "alice", to_port=0)  | to_port= takes one port
    lab.forward("home", 80, 5)                 | 5 is not of this lab
    lab.forward("home", 80, Scene().alice)     | is not of this lab: name one of home, relay
    lab.forward(["home"], 80, "alice")         | one by one
    lab.reboot(["home"])                       | one by one, 'home'
    lab.reboot(Lab().nat("home"))              | <NAT home at 11.0.0.1, inside 192.168.1.0/24> is not of this lab
    lab.nat_report(Lab().nat("home"))          | is not of this lab: name one of home
    lab.nat(gateway=True)                      | gateway= names services

    lab.ladder("bob")                          | there are: relay, home, alice, bare
    lab.ladder(since="x")                      | since= is a time in seconds
    lab.ladder(since=10**400)                  | since= is a time in seconds
    lab.ladder(since=5, until=1)               | exchange them
    lab.ladder(show=["nothing"])               | it can show: handshake
    lab.ladder(show="udp")                     | a list of words, such as ['handshake'], not 'udp'
    lab.ladder(show=5)                         | a list of words
    lab.ladder(["relay", "alice"])             | one by one, 'relay', 'alice'
    lab.ladder().save("lab.png")               | end it in .svg
    lab.pcap("lesson.ipynb")                   | end it in .pcapng
    Lab(record=()).packets                     | does not record PacketSeen
    Lab(record=()).ladder()                    | does not record PacketSeen or MessageSeen or ConnectionOpened
    Lab(record=()).mappings                    | does not record MappingCreated
    Lab(record=()).pcap("lab.pcapng")          | does not record PacketSeen
    lab.replay("bob")                          | there are: relay, home, alice, bare
    lab.draw("home")                           | a map needs a computer
    lab.pcap("nowhere/lab.pcapng")             | cannot be written: No such file
    lab.pcap(3)                                | a capture goes to a file
    lab.nat_report("hom")                      | did you mean 'home'?

    lab.run(lab.alice.dial(lab.alice))         | cannot dial itself
    lab.run(lab.alice.dial(Scene().relay))     | relay is not of the same lab as alice
    lab.run(lab.alice.ping(Scene().relay))     | relay is not of the same lab as alice
    lab.run(lab.alice.reserve(Node()))         | is not of the same lab as alice
    lab.run(lab.alice.dial("relay"))           | an address begins with /
    lab.run(lab.alice.dial(None))              | an address is a multiaddr
    lab.run(lab.alice.dial(lab.bare))          | an address is a multiaddr
    lab.run(lab.alice.dial("/ip4/1.2.3.4/tcp/1"))  | it must end in /p2p/
    lab.run(lab.alice.dial("/ip4/1.2.3.4/tcp/\u0663"))  | a port is a number from 0 to 65535
    lab.run(lab.alice.ping(lab.alice))         | cannot dial itself
    lab.run(lab.alice.reserve(lab.alice))      | cannot dial itself
    lab.run(lab.alice.new_stream(lab.relay, None))  | not a protocol ID
    lab.run(lab.alice.new_stream(lab.relay, ""))    | not a protocol ID
    lab.alice.handle(None, print)              | not a protocol ID
    lab.alice.handle("/x", None)               | a handler is an async function
    lab.alice.address_via(lab.alice)           | no relay for itself
    lab.alice.address_via("x")                 | an address begins with /
    lab.run(lab.alice.listen("/ip4/0.0.0.0/tcp/70000"))  | not in range
    lab.run(lab.alice.listen("/ip4/0.0.0.0/udp/1/quic-v1"))  | not a direct TCP address
    lab.run(lab.alice.listen("/ip4/0.0.0.0/tcp/9/p2p/" + STRANGER))  | names another peer

    lab.run(lab.bare.listen(-1))               | from 0 to 65535
    lab.run(lab.bare.listen(True))             | from 0 to 65535, not True
    lab.run(lab.bare.listen("80"))             | not '80'
    lab.run(lab.bare.listen(1.5))              | not 1.5
    lab.run(lab.bare.udp(70000))               | from 0 to 65535
    lab.run(lab.bare.dial("x"))                | IP:PORT
    lab.run(lab.bare.dial(lab.alice))          | where to?
    lab.run(lab.bare.dial("11.0.0.1:70000"))   | from 0 to 65535
    lab.run(lab.bare.dial("11.0.0.1:\u0663")) | IP:PORT
    lab.run(lab.bare.dial("11.0.0.1:" + "8" * 5000))  | IP:PORT
    lab.run(lab.bare.dial("11.0.0.1:80", "x")) | from 0 to 65535
    lab.run(lab.bare.dial("11.0.0.1:80", timeout=NAN))  | timeout= is a finite number
    lab.send(None)                             | bytes, or text
    lab.send("x", None)                        | where to?
    lab.send("x" * 65508)                      | room for 65507 bytes, not 65508
    lab.run(lab.bare.ping(lab.relay))          | ping what?
    lab.run(lab.bare.ping("11.0.0.1", timeout="x"))  | timeout= is a finite number
    lab.run(lab.bare.traceroute("11.0.0.1", most=256))  | most= is a whole number, 0 to 255
    lab.run(lab.bare.map_port(0))              | takes one port
    lab.run(lab.bare.map_port(70000))          | from 0 to 65535
    lab.run(lab.bare.map_port(80, external_port="x"))  | from 0 to 65535
    lab.run(lab.bare.map_port(80, lifetime=-1))  | lifetime= is a whole number, 0 to 4294967295
    lab.run(lab.bare.map_port(80, gateway="home"))  | gateway= is an address
    lab.run(lab.bare.classify("11.0.0.1:1", "quic"))  | "udp" or "tcp"
    lab.run(lab.bare.serve_stun(alternate=3))  | another host
    lab.run(lab.bare.serve_stun(ports=(-1, 2)))  | from 0 to 65535
    lab.run(lab.bare.serve_stun(ports=3))      | a pair of ports
    lab.run(lab.bare.serve_stun(ports=(1,)))   | a pair of ports
    lab.run(lab.bare.serve_stun(ports=(0, 1))) | takes one port
"""),
)
def test_bad_input_says_what_to_do_and_loses_nothing(verb, hint, recwarn):
    lab = Scene()
    before = lab.now, lab.places, list(lab.nodes), list(lab.hosts)
    with pytest.raises((LabError, ValueError)) as error:
        eval(verb, {**globals(), "lab": lab})
    assert hint in str(error.value)
    assert (lab.now, lab.places, list(lab.nodes), list(lab.hosts)) == before
    assert lab.run(lab.alice.ping(lab.relay)) > 0 and lab.plug_in(address="73.0.0.5").name == "n"
    assert not recwarn.list


@pytest.mark.parametrize(
    ("verb", "complaint"),
    [
        (lambda lab: lab.run(lab.relay.dial(f"/ip4/99.0.0.1/tcp/1/p2p/{STRANGER}")), "cannot be reached"),
        (lambda lab: lab.run(lab.bare.dial(f"{lab.relay.addresses[0]}".split("/")[2] + ":9")), "ECONNREFUSED"),
    ],
)
def test_nobody_there_is_no_bad_input(verb, complaint):
    with pytest.raises(Exception, match=complaint) as error:
        verb(Scene())
    assert not isinstance(error.value, (LabError, ValueError))


async def _calling(verb):
    return verb()


AFTER_CLOSE = {
    "advance": lambda lab: lab.advance(1),
    "step": lambda lab: lab.step(),
    "run": lambda lab: lab.run(asyncio.sleep(1)),
    "arun": lambda lab: asyncio.run(lab.arun(asyncio.sleep(1))),
    "at": lambda lab: lab.at(100, lab.partition, "home"),
    "node": lambda lab: lab.node("late"),
    "host": lambda lab: lab.host("late"),
    "nat": lambda lab: lab.nat("home"),
    "crowd": lambda lab: lab.crowd(1),
    "partition": lambda lab: lab.partition("home"),
    "heal": lambda lab: lab.heal("home"),
    "reboot": lambda lab: lab.reboot("home"),
    "dial": lambda lab: lab.run(lab.alice.dial(lab.relay)),
    "listen": lambda lab: lab.run(lab.bare.listen(4)),
}


@pytest.mark.parametrize("verb", AFTER_CLOSE.values(), ids=AFTER_CLOSE)
def test_a_closed_lab_can_only_be_looked_at(verb, recwarn):
    lab = Scene()
    lab.run(lab.alice.dial(lab.relay))
    lab.close()
    lab.close()
    looks = len(lab.packets), len(lab.places), lab.ladder().text
    with pytest.raises(LabError, match=r"closed: .*make a new Lab"):
        verb(lab)
    assert (len(lab.packets), len(lab.places), lab.ladder().text) == looks
    assert not recwarn.list


@pytest.mark.parametrize(
    "verb",
    [
        lambda lab: lab.alice.dial(lab.relay),
        lambda lab: lab.alice.listen("/ip4/0.0.0.0/tcp/9"),
        lambda lab: lab.bare.listen(80),
        lambda lab: lab.bare.udp(80),
        lambda lab: lab.bare.dial("11.0.0.1:80"),
        lambda lab: lab.bare.classify("11.0.0.1:80"),
        lambda lab: lab.bare.serve_stun(),
        lambda lab: lab.run(lab.bare.listen()).accept(),
        lambda lab: lab.run(lab.bare.udp()).receive(),
    ],
    ids=["dial", "listen", "bare listen", "udp", "bare dial", "classify", "serve_stun", "accept", "receive"],
)
def test_a_verb_awaited_in_a_cell_says_lab_run_and_loses_nothing(verb):
    lab = Scene()

    async def cell() -> None:
        with pytest.raises(LabError, match=r"lab\.run"):
            await verb(lab)

    asyncio.run(cell())
    assert lab.run(lab.alice.ping(lab.relay)) > 0


@pytest.mark.parametrize(
    ("verb", "hint"),
    [
        (lambda here: here.run(None), "not None"),
        (lambda here: here.run(here.listen), r"call it, listen\(...\)"),
        (lambda here: here.run(asyncio.Event().wait(), limit=NAN), "limit= is a finite number"),
        (lambda here: here.run(asyncio.Event().wait(), limit=0.01), "have passed"),
        (lambda here: here.run(here.listen("x")), "from 0 to 65535"),
        (lambda here: here.run(here.udp(70000)), "from 0 to 65535"),
        (lambda here: here.run(here.dial("11.0.0.1:80")), "only to itself"),
        (lambda here: here.run(here.dial("[::1]:80")), "only to itself"),
        (lambda here: here.run(here.listen(ipv6=True)), "leave ipv6=True out"),
        (lambda here: here.run(here.udp(ipv6=True)), "leave ipv6=True out"),
        (lambda here: here.run(here.listen(ipv6="no")), "ipv6= is True or False, not 'no'"),
        (lambda here: here.run(here.listen(reuse_port="no")), "reuse_port= is True or False, not 'no'"),
        (lambda here: here.run(here.udp(reuse_port=1)), "reuse_port= is True or False, not 1"),
        (lambda here: here.run(here.dial("127.0.0.1:80", reuse_port=None)), "reuse_port= is True or False, not None"),
        (lambda here: here.run(attempt(5)), "attempt takes what a verb returns, such as .*, not 5"),
        (lambda here: here.run(attempt(here.listen)), r"call it, listen\(...\)"),
        (lambda here: Lab().run(here.listen()), r"here\.run"),
        (lambda here: Lab().run(Node().start()), r"here\.run"),
        (lambda here: Lab().run(here.udp()), r"here\.run"),
        (lambda here: Lab().run(here.dial("127.0.0.1:80")), r"here\.run"),
        (lambda here: Lab().run(here.serve_stun()), r"here\.run"),
        (lambda here: Lab().run(here.classify("127.0.0.1:80")), r"here\.run"),
        (lambda here: Lab().run(here.map_port(80, gateway="127.0.0.1")), r"here\.run"),
        (lambda here: Lab().run(_calling(lambda: here.run(here.listen()))), "outside of"),
        (lambda here: here.run(Lab().host("bare").listen()), r"lab\.run"),
        (lambda here: here.run(Lab().host("bare").map_port(80, gateway="11.0.0.1")), r"lab\.run"),
        (lambda here: here.run(Lab().host("bare").ping("11.0.0.1")), r"lab\.run"),
    ],
)
def test_this_computer_says_what_to_do(verb, hint, recwarn):
    here: BareHost = this_computer()
    try:
        with pytest.raises((LabError, ValueError), match=hint):
            verb(here)
        assert here.run(here.listen()).local.port > 0
    finally:
        here.close()
    assert not recwarn.list


def test_a_timeout_of_the_readers_own_is_the_readers(recwarn):
    lab, here = Lab(), this_computer()

    async def impatient(wait):
        await asyncio.wait_for(wait, 0.01)

    async def misled():
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            raise TimeoutError from None

    try:
        for run in (here.run, lab.run, lambda what: asyncio.run(lab.arun(what))):
            with pytest.raises(TimeoutError):
                run(impatient(asyncio.sleep(5)))
        listener = here.run(here.listen())
        with pytest.raises(TimeoutError):
            here.run(impatient(listener.accept()))
        with pytest.raises(LabError, match=r"limit=60"):
            here.run(misled(), limit=0.01)
    finally:
        here.close()
    assert not recwarn.list
