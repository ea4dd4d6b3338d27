"""All formats of session files; detection tries them in this order, and every contract test runs over them."""

from __future__ import annotations

from agentcompress.corpora.trajectories.claude_code import CLAUDE_CODE
from agentcompress.corpora.trajectories.codex import CODEX
from agentcompress.corpora.trajectories.mini_swe_agent import MINI_SWE_AGENT
from agentcompress.corpora.trajectories.opencode import OPENCODE
from agentcompress.corpora.trajectories.openhands import OPENHANDS
from agentcompress.corpora.trajectories.own import OWN
from agentcompress.corpora.trajectories.swe_agent import SWE_AGENT

FORMATS = (OWN, CLAUDE_CODE, CODEX, OPENCODE, SWE_AGENT, MINI_SWE_AGENT, OPENHANDS)

KNOWN = (
    'our {"id", "context"} a line, or a session of Claude Code, Codex CLI, opencode, SWE-agent, mini-swe-agent '
    "or OpenHands"
)
"""What a file may be, in words."""
