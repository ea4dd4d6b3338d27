"""Recorded agents sent again: what is rewritten, and what it costs."""
