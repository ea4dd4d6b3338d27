"""One view of every wire format: where the text is, whose it is, and how to put other text in its place."""
