"""Texts for properties: prose, code, CJK, emoji, NUL bytes, lone surrogates, white space, and any mixture."""

from __future__ import annotations

from hypothesis import strategies as st

_FRAGMENTS = [
    "The cat sat on the mat. ",
    "Dr. Who left! ",
    "[...]",
    "[... 3 lines omitted]",
    "# Heading\n",
    "\n\n",
    "\r\n",
    "    return x\n",
    "今日は晴れです。",
    "👩\u200d👩\u200d👧",
    "e\u0301",
    "\x00",
    "\ud800",
    "\u3000",
    "x" * 90,
    "word " * 30,
    "<|im_end|>",
]
any_text = st.one_of(
    st.text(max_size=300),
    st.lists(st.sampled_from(_FRAGMENTS), max_size=40).map("".join),
    st.lists(st.one_of(st.sampled_from(_FRAGMENTS), st.characters(categories=None)), max_size=60).map("".join),
)
