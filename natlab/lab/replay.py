"""A ladder to leaf through: a slider and a play button, the ladder up to that moment, and the NAT boxes' mappings then.

The widget replays the journal. Nothing in the lab runs again, so it can be moved forward and back.

    [ play ]  ──────────o─────────────  1.020 s
    the ladder, up to this moment
    the mappings, as they were at this moment
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ipywidgets as widgets
import pandas as pd

from natlab.errors import LabError
from natlab.lab.figure import Figure

MILLISECONDS_A_STEP = 600  # while playing


def replay(
    moments: Sequence[float], ladder_at: Callable[[float], Figure], mappings_at: Callable[[float], pd.DataFrame]
) -> widgets.VBox:
    """The widget.

    Args:
        moments: when something begins, in seconds since the lab began, ascending.
        ladder_at, mappings_at: what to show of one moment.

    Raises:
        LabError: there is no moment to show.
    """
    if not moments:
        raise LabError("nothing happened in this time: choose other hosts, since= or until=")
    last = len(moments) - 1
    play = widgets.Play(max=last, interval=MILLISECONDS_A_STEP, tooltip="Play")
    slider = widgets.IntSlider(max=last, readout=False, description="moment")
    clock, picture, table = widgets.Label(), widgets.HTML(), widgets.HTML()
    widgets.jslink((play, "value"), (slider, "value"))

    def show(number: int) -> None:
        moment = moments[number]
        clock.value = f"{moment:.3f} s"
        picture.value = ladder_at(moment)._repr_html_()
        table.value = mappings_at(moment).to_html(index=False)

    slider.observe(lambda change: show(change["new"]), names="value")
    show(0)
    return widgets.VBox([widgets.HBox([play, slider, clock]), picture, table])
