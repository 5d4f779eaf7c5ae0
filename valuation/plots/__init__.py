"""Pictures: arrays in, marks on an ``Axes`` out. Nothing here computes a result.

Every picture takes the ``Axes`` to draw on, then plain arrays, and returns the ``Axes``. Each
looks at the width of its figure: a narrow one (a phone) puts row labels above their bars instead of
beside them. Matplotlib is imported when a figure is made, never its ``pyplot``, and no setting of
it is left changed. :func:`draw_svg` makes the figure, lets one of them draw, and returns the SVG.
"""

from valuation.plots.answer import (
    break_even,
    chance_bars,
    chance_curve,
    fan,
    intervals,
    quantile_dots,
    tornado,
    waterfall,
    worth_bars,
)
from valuation.plots.belief import (
    Marks,
    calibration,
    counts,
    curves,
    movement,
    predictive,
    prior_posterior,
    rank_strays,
)
from valuation.plots.change import before_after, change_waterfall, history, share_bars
from valuation.plots.dress import row_height
from valuation.plots.svg import (
    CLASSES,
    NARROW,
    PALETTE,
    WIDE,
    Draw,
    draw_svg,
    new_figure,
    plain,
    short,
    style,
    to_svg,
)

__all__ = [
    "CLASSES",
    "NARROW",
    "PALETTE",
    "WIDE",
    "Draw",
    "Marks",
    "before_after",
    "break_even",
    "calibration",
    "chance_bars",
    "chance_curve",
    "change_waterfall",
    "counts",
    "curves",
    "draw_svg",
    "fan",
    "history",
    "intervals",
    "movement",
    "new_figure",
    "plain",
    "predictive",
    "prior_posterior",
    "quantile_dots",
    "rank_strays",
    "row_height",
    "share_bars",
    "short",
    "style",
    "to_svg",
    "tornado",
    "waterfall",
    "worth_bars",
]
