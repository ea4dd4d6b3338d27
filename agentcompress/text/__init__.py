"""Texts without a model: delimiters, rendering, lines, where a text may be cut."""
