"""Learns from recorded agents what the next steps use of a tool's result: `agentcompress train`."""
