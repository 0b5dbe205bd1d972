"""The table of presets shows each preset as it is configured."""

from __future__ import annotations

from natlab.lab import presets
from natlab.nat import PRESETS
from natlab.nat.catalogue import CATALOGUE


def test_a_row_for_each_preset():
    table = presets().set_index("preset")
    assert list(table.index) == list(PRESETS)
    for name, config in PRESETS.items():
        row = table.loc[name]
        assert (row.mapping, row.filtering, row.port_allocation) == (
            config.mapping,
            config.filtering,
            config.port_allocation,
        )
        assert (row.udp_unanswered, row.udp) == (config.udp_unanswered_timeout, config.udp_timeout)
        assert (row.translates, row.external_addresses) == (config.translates, config.external_addresses)
        assert (row.evidence, row.source) == (CATALOGUE[name].evidence, CATALOGUE[name].source)


def test_the_same_columns_have_the_same_kinds():
    kinds = presets().dtypes.astype(str)
    assert (
        kinds["preset"] == kinds["source"] == "string" and kinds["udp"] == "float64" and kinds["translates"] == "bool"
    )
