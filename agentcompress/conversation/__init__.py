"""One conversation: its blocks, what was decided for each, and how a request is made to fit."""
