"""Draws what a replay said: one page, or one picture, on one time axis.

    kept = PlotData(period_ns)
    for record in replay: kept.take(record)
    text = draw(kept, Heading("site demo"), ".html")

Pure: takes records, gives text. Nothing in it reaches for a network.
"""

from edge.report.plot.plotdata import PlotData
from edge.report.plot.plotpage import SUFFIXES, draw_page
from edge.report.plot.scale import Heading

__all__ = ["SUFFIXES", "Heading", "PlotData", "draw_page"]
