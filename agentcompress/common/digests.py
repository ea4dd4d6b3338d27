"""One way to make a short key of long things."""

from __future__ import annotations

import hashlib


def digest(*parts: str | bytes) -> str:
    """Hexadecimal digest (128 bits) of a list of parts: where one ends and the next begins counts too."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.hexdigest()
