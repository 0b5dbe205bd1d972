"""Scenes that lessons play again and again with one thing changed."""

from __future__ import annotations

from collections.abc import Mapping

from natlab.lab.lab import Lab


def two_behind_nats(
    seed: int, *, home: Mapping[str, str | float] | None = None, office: Mapping[str, str | float] | None = None
) -> Lab:
    """Alice behind her home NAT, Bob behind his office's; he dials her through a relay, and they try to punch.

        alice ── home ── internet ── office ── bob
                            │
                          relay

    Alice reserves on the relay, Bob connects to it; at 2 s he dials her; the lab stops at 32 s, when three attempts
    are over in any case.

    Args:
        home, office: axes in which the NAT box differs from the preset of that name.
    """
    lab = Lab(seed)
    relay = lab.node("relay")
    alice = lab.node("alice", behind=lab.nat("home", **(home or {})))  # type: ignore[arg-type]  # axes only
    bob = lab.node("bob", behind=lab.nat("office", **(office or {})))  # type: ignore[arg-type]
    lab.run(alice.reserve(relay))
    lab.run(bob.dial(relay))
    lab.advance(2.0 - lab.now)
    lab.run(bob.dial(alice.address_via(relay)))
    lab.advance(32.0 - lab.now)
    return lab
