"""Plots without a display."""

from __future__ import annotations

from typing import Any

from agentcompress.errors import PluginError

FORMATS = (".png", ".svg", ".pdf")


def load_figure_class() -> Any:
    """Return matplotlib's `Figure`, which draws without a screen. Raises `PluginError` where matplotlib is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PluginError('a plot needs matplotlib: pip install "agentcompress[eval]"') from error
    return Figure
