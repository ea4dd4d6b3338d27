"""What a ledger holds beside decisions about blocks: texts that were sent, and originals for recall."""

from __future__ import annotations

import hashlib

SENT, ORIGINAL = "sent:", "recall:"
"""How keys begin of what is kept beside decisions."""


def make_sent_key(text: str) -> str:
    """Key of the note that a text was sent in another's place, whoever's that was: it is not to be compressed again."""
    return f"{SENT}{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def is_note(key: str) -> bool:
    """Whether what stands under a key is no decision about a block."""
    return key.startswith((SENT, ORIGINAL))
