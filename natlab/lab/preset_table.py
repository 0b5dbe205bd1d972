"""All presets in a table: `natlab.lab.presets()`."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from natlab.lab.views.frame import frame
from natlab.nat.catalogue import CATALOGUE, Preset

__all__ = ["PresetRow", "presets"]


class PresetRow(NamedTuple):
    """
    Columns:
        preset: string, what `lab.nat` takes.
        stands_for: string, what it is.
        translates: bool, False for a firewall.
        mapping, filtering, port_allocation: string, as `natlab.nat.NatConfig` explains them.
        external_addresses: int64.
        udp_unanswered, udp: float64, seconds that a UDP mapping lives without traffic, before and after an answer.
        tcp_established: float64, seconds that an open TCP connection may be idle.
        unsolicited_syn, hairpinning: string.
        evidence: string, "standard", "measured", "documented", "typical" or "word" (`natlab.nat.catalogue`).
        source: string, who says so.
    """

    preset: str
    stands_for: str
    translates: bool
    mapping: str
    filtering: str
    port_allocation: str
    external_addresses: int
    udp_unanswered: float
    udp: float
    tcp_established: float
    unsolicited_syn: str
    hairpinning: str
    evidence: str
    source: str


def presets() -> pd.DataFrame:
    """The NAT boxes that have a name, a row for each; columns as `PresetRow`."""
    return frame(PresetRow, (_row(name, preset) for name, preset in CATALOGUE.items()))


def _row(name: str, preset: Preset) -> PresetRow:
    config = preset.config
    return PresetRow(
        name,
        preset.stands_for,
        config.translates,
        str(config.mapping),
        str(config.filtering),
        str(config.port_allocation),
        config.external_addresses,
        config.udp_unanswered_timeout,
        config.udp_timeout,
        config.tcp_established_timeout,
        str(config.unsolicited_syn),
        str(config.hairpinning),
        str(preset.evidence),
        preset.source,
    )
