"""People's own sessions as trajectories: recorded agents, whatever tool wrote them.

`read_trajectories` tells the format of a file and reads it; `formats` lists what is known, a module each.
"""

from __future__ import annotations

from agentcompress.corpora.trajectories.own import OWN
from agentcompress.corpora.trajectories.reading import ENDINGS, find_format, read_trajectories
from agentcompress.corpora.trajectories.trajectory import Trajectory

__all__ = ["ENDINGS", "OWN", "Trajectory", "find_format", "read_trajectories"]
