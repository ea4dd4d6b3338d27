"""Receipts: what a call saved, held against what was billed, and where that is written."""
