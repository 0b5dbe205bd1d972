"""The packet ladder: a vertical line per place, time downward, an arrow per packet.

steps.py     what a ladder is made of, and what a reader can ask to see
packets.py   journal -> an arrow for each packet, repetitions folded
dialogue.py  journal -> an arrow for each message of a protocol, a note for each thing a node did
layout.py    steps -> positions: a place for every line of text, no two on top of each other
picture.py   positions -> SVG
plain.py     steps -> plain text
view.py      a journal -> the ladder that a notebook shows
"""

from natlab.lab.ladder.steps import SHOWABLE, SHOWN
from natlab.lab.ladder.view import ladder, moments

__all__ = ["SHOWABLE", "SHOWN", "ladder", "moments"]
