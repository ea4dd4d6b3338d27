"""Where users have `target_facts` from; it is made in `targets/facts.py`."""

from __future__ import annotations

from agentcompress.targets.facts import TargetFacts, target_facts

__all__ = ["TargetFacts", "target_facts"]
