"""Benches: how fast the draft, cutting texts, replaying conversations and the doors of an agent are."""
