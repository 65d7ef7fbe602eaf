"""Draws pictures as SVG on the server, so that pages show them without scripts.

Every function returns markup that is safe to put into a page: all texts are escaped. Colours come
from classes in static/console.css, because the pages' policy forbids styles in attributes.
"""

from __future__ import annotations

from api.console.svg.chart import Line, line_chart
from api.console.svg.histogram import Bar, histogram
from api.console.svg.lanes import Lane, Stay, lanes
from api.console.svg.sparkline import sparkline

__all__ = ["Bar", "Lane", "Line", "Stay", "histogram", "lanes", "line_chart", "sparkline"]
