"""`python -m agentcompress`: the command line."""

from __future__ import annotations

from agentcompress.cli.main import main

main(prog_name="agentcompress")
