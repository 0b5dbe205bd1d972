"""The first hole punch as plain text, for a terminal: the same story as notebook 00-start-here.

relay ──── internet ──── home ──── alice
               └──────── office ── bob
"""

from __future__ import annotations

import pandas as pd

from natlab.errors import LabError, UnreachableError
from natlab.lab.lab import Lab

MAPPING_COLUMNS = ["box", "internal", "external", "remote", "created", "ended_by"]
CONNECTION_COLUMNS = ["opened", "dialer", "listener", "path", "opened_by", "setup"]


def demo(seed: int = 7) -> str:
    """Runs it and tells it.

    Raises:
        LabError: the punch failed.
    """
    lab = Lab(seed)
    relay = lab.node("relay")
    alice = lab.node("alice", behind=lab.nat("home"))
    bob = lab.node("bob", behind=lab.nat("office"))
    told = ["Alice and Bob, each behind a NAT, and a relay that both can reach:", lab.draw().text]

    lab.run(alice.reserve(relay))
    lab.run(bob.dial(relay))
    told += ["Alice reserves a place on the relay; both hear from it at which address it sees them:"]
    told += [_table(lab.observations)]

    start = lab.now
    seen_at = lab.observations.query("node == 'alice'").address.iloc[-1]
    try:
        lab.run(bob.dial(f"{seen_at}/p2p/{alice.peer_id}"))
    except UnreachableError:
        told += ["Bob dials that address of Alice's. His packets get as far as her NAT:"]
        told += [lab.ladder("bob", "alice", since=start).text]

    lab.advance(1.0)
    start = lab.now
    lab.run(bob.dial(alice.address_via(relay)))
    lab.advance(2.0)
    told += ["Bob dials her through the relay, and over that connection they agree to dial each other at once:"]
    told += [lab.ladder("bob", "relay", "alice", since=start).text]
    told += ["The punch:", _table(lab.punches)]
    told += ["What the NAT boxes remember:", _table(lab.mappings[MAPPING_COLUMNS])]
    told += ["Connections, the direct one last:", _table(lab.connections[CONNECTION_COLUMNS])]
    told += ["Who can reach whom now:", lab.draw().text]
    if not (lab.punches.outcome == "success").any():
        raise LabError("the hole punch failed; this is a bug in natlab:\n" + _table(lab.punches))
    return "\n\n".join(told)


def _table(frame: pd.DataFrame) -> str:
    return str(frame.to_string(index=False, float_format="{:.3f}".format))
