"""Texts that are at hand everywhere: `source_files` of the installed packages, and `passages` made from a seed;
and `trajectories`: people's own sessions.
"""
