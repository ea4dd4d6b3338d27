"""Measurements anyone can repeat: how fast the draft is (`bench`)."""
