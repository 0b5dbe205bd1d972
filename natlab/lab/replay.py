"""A ladder to leaf through: a slider and a play button, and below them the NAT boxes' mappings and the ladder then.

The widget replays the journal. Nothing in the lab runs again, so it can be moved forward and back.

    [ play ]  ──────────o─────────────  1.020 s
    the mappings, as they were at this moment
    the ladder's last steps, up to this moment

Nothing jumps while it plays: the table has room for its last and longest form, and the ladder shows its head line and
as many steps as fit below it on a screen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ipywidgets as widgets
import pandas as pd

from natlab.errors import LabError
from natlab.lab.figure import Figure

MILLISECONDS_A_STEP = 600  # while playing
STEPS = 6  # moments of the ladder on the screen at a time
ROW = 32  # px, at least the height of a table's row in JupyterLab


def replay(
    moments: Sequence[float], ladder: Callable[[float, float], Figure], mappings_at: Callable[[float], pd.DataFrame]
) -> widgets.VBox:
    """The widget.

    Args:
        moments: when something begins, in seconds since the lab began, ascending.
        ladder: the ladder from one moment to another, both included.
        mappings_at: the mappings as they were at one moment.

    Raises:
        LabError: there is no moment to show.
    """
    if not moments:
        raise LabError("nothing happened in this time: choose other hosts, since= or until=")
    last = len(moments) - 1
    play = widgets.Play(max=last, interval=MILLISECONDS_A_STEP, tooltip="Play", show_repeat=False)
    slider = widgets.IntSlider(max=last, readout=False, description="moment", layout={"width": "60%"})
    clock = widgets.Label(layout={"margin": "0 0 0 1em"})
    rows = 1 + len(mappings_at(moments[last]))
    table, picture = widgets.HTML(layout={"min_height": f"{ROW * rows}px"}), widgets.HTML()
    widgets.jslink((play, "value"), (slider, "value"))

    def show(number: int) -> None:
        moment = moments[number]
        clock.value = f"{moment:.3f} s"
        table.value = _html(mappings_at(moment))
        picture.value = ladder(moments[max(0, number + 1 - STEPS)], moment)._repr_html_()

    slider.observe(lambda change: show(change["new"]), names="value")
    show(0)
    return widgets.VBox([widgets.HBox([play, slider, clock]), table, picture])


def _html(table: pd.DataFrame) -> str:
    """The table as JupyterLab shows one that is a cell's output."""
    return f'<div class="jp-RenderedHTMLCommon">{table.to_html(index=False, border=0)}</div>'
