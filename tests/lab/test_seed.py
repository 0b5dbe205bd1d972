"""Chance is derived from the seed and the owner's name, equal in every process."""

from __future__ import annotations

from natlab.lab.seed import rng_for


def test_the_same_owner_gets_the_same_numbers_in_every_process():
    assert rng_for(7, "alice").getrandbits(32) == 681831944


def test_another_seed_or_another_owner_gets_others():
    numbers = {rng_for(seed, owner).getrandbits(64) for seed in range(3) for owner in ("alice", "bob", "alice key")}
    assert len(numbers) == 9
