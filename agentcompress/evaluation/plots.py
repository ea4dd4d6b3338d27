"""Plots without a display."""

from __future__ import annotations

from agentcompress.errors import PluginError

FORMATS = (".png", ".svg", ".pdf")


def pyplot() -> object:
    """Matplotlib's figures without a screen; says which extra brings it where it is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PluginError('a plot needs matplotlib: pip install "agentcompress[eval]"') from error
    return Figure
