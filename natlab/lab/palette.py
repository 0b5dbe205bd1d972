"""One colour per name, the same in every picture and every notebook.

Okabe and Ito's palette ("Color Universal Design", 2008): eight colours that people with any colour vision tell apart.
Colour is never the only sign: dropped packets end in a cross, relayed paths are dashed, and names are written out.
"""

from __future__ import annotations

import hashlib

BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, YELLOW = "#E69F00", "#56B4E9", "#F0E442"  # yellow is too pale for lines; it only fills

INK, MUTED, FAINT, PAPER = "#1b1b1b", "#5c5c5c", "#c8c8c8", "#ffffff"

_CAST = {"alice": BLUE, "bob": VERMILION, "relay": GREEN, "carol": PURPLE, "dave": ORANGE}
_OTHERS = (SKY, PURPLE, ORANGE, GREEN)


def colour(name: str) -> str:
    """The colour of a host: fixed for the people of the notebooks, derived from the name for everybody else."""
    if name in _CAST:
        return _CAST[name]
    return _OTHERS[hashlib.sha256(name.encode()).digest()[0] % len(_OTHERS)]
