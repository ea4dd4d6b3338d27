"""Encoded windows, kept: `protocol` (what is wrapped), `windows` (the cache), `memory` and `files` (where it keeps)."""
