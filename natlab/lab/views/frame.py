"""How every view becomes a DataFrame: fixed columns with fixed dtypes, also when there is nothing to show.

A view is a pure function from a journal to a table. Absent text is "", an absent number NaN, so a filter such as
`table[table.reason != ""]` never meets a missing value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, get_type_hints

import pandas as pd

Names = Mapping[str, str]
"""Peer ID as text -> the name its node has in the lab."""

_DTYPES: dict[type, str] = {str: "string", float: "float64", int: "int64", bool: "bool"}


def frame(row_type: type[NamedTuple], rows: Iterable[NamedTuple]) -> pd.DataFrame:
    """A table whose columns are the row type's fields: `str` becomes "string", `float` "float64", `int` "int64"."""
    dtypes = {name: _DTYPES[hint] for name, hint in get_type_hints(row_type).items()}
    return pd.DataFrame.from_records(list(rows), columns=list(dtypes)).astype(dtypes)


def who(peer: str, names: Names) -> str:
    """The lab's name for a peer ID; a stranger is shown by the end of its ID, where IDs differ."""
    return names.get(peer) or (peer if len(peer) <= 12 else "…" + peer[-6:])


def named(words: str, names: Names) -> str:
    """A message of a node on one line, with names where it has peer IDs."""
    for peer, name in names.items():
        words = words.replace(peer, name)
    return " ".join(words.split())
