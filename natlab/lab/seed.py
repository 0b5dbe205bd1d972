"""Chance in a lab: everyone has random numbers of their own, derived from the lab's seed and their name.

So adding a host changes nobody else's ports or keys, and one seed gives one journal in every process. `hash()` would
not do: Python salts it anew in each process.
"""

from __future__ import annotations

import hashlib
import random


def rng_for(seed: int, owner: str) -> random.Random:
    """The random numbers of one owner, from the start."""
    digest = hashlib.sha256(f"natlab {seed} {owner}".encode()).digest()
    return random.Random(int.from_bytes(digest))
