"""RULER's synthetic tasks (Hsieh et al. 2024), made here at any length: needles, variable tracking, common words.

Templates and numbers of keys, values, queries and hops are RULER's. What differs: words come from the vocabulary of
the Python language reference (which every Python carries) instead of a word list, and so does the running text that
RULER takes from essays; lengths are counted in words, not in a model's tokens.
"""

from __future__ import annotations

import itertools
import random
import re
import string
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from agentcompress.errors import InvalidInputError
from agentcompress.evaluation.quality.tasks import EvalItem, Evidence
from agentcompress.schema import Span

_NOISE = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again."
_DEPTHS = 40


@dataclass(frozen=True)
class _Needles:
    """A task of the needle family. haystack: "noise", "text" or "needle" (others like it); values: kind of them."""

    haystack: str
    keys_are: str = "words"
    values_are: str = "numbers"
    keys: int = 1
    values: int = 1
    queries: int = 1


_NIAH = {
    "niah_single_1": _Needles("noise"),
    "niah_single_2": _Needles("text"),
    "niah_single_3": _Needles("text", values_are="uuids"),
    "niah_multikey_1": _Needles("text", keys=4),
    "niah_multikey_2": _Needles("needle"),
    "niah_multikey_3": _Needles("needle", keys_are="uuids", values_are="uuids"),
    "niah_multivalue": _Needles("text", values=4),
    "niah_multiquery": _Needles("text", keys=4, queries=4),
}


class RulerTask:
    """One of RULER's tasks: items of about `words` words each, from a seed; `count` where nobody says how many."""

    def __init__(self, name: str, words: int = 4000, count: int = 20, seed: int = 42) -> None:
        if name not in list_names():
            raise InvalidInputError("RULER task", name, f"one of {', '.join(list_names())}")
        if words < 200:
            raise InvalidInputError("words", words, "a whole number >= 200")
        self.kind, self.name = name, f"ruler-{name}-{words}"
        self.words, self.count, self.seed = words, count, seed

    def items(self, limit: int | None = None) -> Iterator[EvalItem]:
        """Yield the first `limit` items, or all."""
        for number in range(self.count if limit is None else limit):
            rng = random.Random(f"{self.seed}:{self.kind}:{number}")
            item_id = f"{self.name}-{number}"
            if self.kind in _NIAH:
                yield _make_needles(item_id, _NIAH[self.kind], self.words, rng)
            else:
                yield _OTHERS[self.kind](item_id, self.words, rng)


def list_names() -> tuple[str, ...]:
    """Return the names of all tasks."""
    return (*_NIAH, *_OTHERS)


def _make_needles(item_id: str, kind: _Needles, words: int, rng: random.Random) -> EvalItem:
    keys = [_draw_value(kind.keys_are, rng) for _ in range(kind.keys)]
    pairs = [(key, _draw_value(kind.values_are, rng)) for key in keys for _ in range(kind.values)]
    asked = keys[: kind.queries]
    sentences = [_write_needle(kind.values_are, *pair) for pair in pairs]
    text = _hide_needles(kind, sentences, words, rng)
    wanted = [(sentence, value) for sentence, (key, value) in zip(sentences, pairs, strict=True) if key in asked]
    starts = [text.index(sentence) for sentence, _ in wanted]
    several = len(wanted) > 1
    what = kind.values_are if several else kind.values_are.rstrip("s")
    query = ", ".join(asked[:-1]) + (", and " if len(asked) > 1 else "") + asked[-1]
    some, are = ("Some", "are all") if several else ("A", "is")
    verb = "are" if several else "is"
    question = f"What {are} the special magic {what} for {query} mentioned in the provided text?"
    return EvalItem(
        id=item_id,
        text=text,
        query=question,
        evidence=Evidence(
            spans=tuple(
                Span(start + sentence.rindex(value), start + sentence.rindex(value) + len(value))
                for start, (sentence, value) in zip(starts, wanted, strict=True)
            )
        ),
        answers=tuple(value for _, value in wanted),
        metric="string_match_all",
        before=f"{some} special magic {what} {verb} hidden within the following text. Make sure to memorize it. "
        f"I will quiz you about the {what} afterwards.\n",
        behind=f"\n{question} The special magic {what} for {query} mentioned in the provided text {verb}",
        max_tokens=128,
    )


def _write_needle(values_are: str, key: str, value: str) -> str:
    return f"One of the special magic {values_are} for {key} is: {value}."


def _hide_needles(kind: _Needles, sentences: list[str], words: int, rng: random.Random) -> str:
    """Hide needles in random order at random depths of the haystack."""
    placed = rng.sample(sentences, k=len(sentences))
    if kind.haystack == "text":
        hay = list(_draw_sentences(words, rng))
        depths = sorted(rng.sample(range(_DEPTHS), k=len(placed)))
        for depth, sentence in reversed(list(zip(depths, placed, strict=True))):
            hay.insert(round(len(hay) * depth / (_DEPTHS - 1)), sentence)
        return " ".join(hay)
    if kind.haystack == "noise":
        hay = [_NOISE] * max(1, words // len(_NOISE.split()))
    else:
        made = max(1, words // 10)  # words of such a sentence
        hay = [
            _write_needle(kind.values_are, _draw_value(kind.keys_are, rng), _draw_value(kind.values_are, rng))
            for _ in range(made)
        ]
    for sentence in placed:
        hay.insert(rng.randrange(len(hay) + 1), sentence)
    return "\n".join(hay)


def _draw_value(kind: str, rng: random.Random) -> str:
    if kind == "numbers":
        return str(rng.randint(10**6, 10**7 - 1))
    if kind == "uuids":
        return str(uuid.UUID(int=rng.getrandbits(128), version=4))
    return "-".join(rng.sample(_collect_vocabulary(), k=2))


def _make_variable_tracking(item_id: str, words: int, rng: random.Random, hops: int = 4) -> EvalItem:
    names = ["".join(rng.choices(string.ascii_uppercase, k=5)) for _ in range(hops + 1)]
    value = str(rng.randint(10_000, 99_998))
    chain = [f"VAR {names[0]} = {value}"]
    chain += [f"VAR {name} = VAR {before}" for before, name in itertools.pairwise(names)]
    hay = [_NOISE] * max(len(chain), words // len(_NOISE.split()))
    for at, statement in sorted(
        zip(sorted(rng.sample(range(len(hay)), k=len(chain))), chain, strict=True), reverse=True
    ):
        hay.insert(at, f"{statement}.")
    text = "\n".join(hay)
    question = f"Find all variables that are assigned the value {value} in the text above."
    spans = [text.index(statement) for statement in chain]
    return EvalItem(
        id=item_id,
        text=text,
        query=question,
        evidence=Evidence(
            spans=tuple(Span(start, start + len(said)) for start, said in zip(spans, chain, strict=True))
        ),
        answers=tuple(names),
        metric="string_match_all",
        before="Memorize and track the chain(s) of variable assignment hidden in the following text.\n\n",
        behind=f"\nQuestion: {question} Answer: According to the chain(s) of variable assignment in the text above, "
        f"{len(names)} variables are assigned the value {value}, they are: ",
        max_tokens=30,
    )


def _make_common_words(item_id: str, words: int, rng: random.Random) -> EvalItem:
    often, seldom = (30, 3) if words >= 600 else (6, 1)
    most = len(_collect_vocabulary()) - 10
    more = -(-words // (10 * often + seldom * most))  # a list longer than all words make: every one more often
    often, seldom = often * more, seldom * more
    chosen = rng.sample(_collect_vocabulary(), k=10 + min(most, max(10, (words - 10 * often) // seldom)))
    common, others = chosen[:10], chosen[10:]
    listed = common * often + others * seldom
    rng.shuffle(listed)
    question = "What are the 10 most common words in the above list?"
    return EvalItem(
        id=item_id,
        text=" ".join(f"{number}. {word}" for number, word in enumerate(listed, 1)),
        query=question,
        evidence=Evidence(),
        answers=tuple(common),
        metric="string_match_all",
        before="Below is a numbered list of words. In these words, some appear more often than others. "
        "Memorize the ones that appear most often.\n",
        behind=f"\nQuestion: {question} Answer: The top 10 words that appear most often in the list are:",
        max_tokens=120,
    )


_OTHERS: dict[str, Callable[[str, int, random.Random], EvalItem]] = {
    "vt": _make_variable_tracking,
    "cwe": _make_common_words,
}


@lru_cache(maxsize=1)
def _read_sentences() -> tuple[str, ...]:
    """Read running text: sentences of the Python language reference."""
    from pydoc_data.topics import topics

    text = " ".join(" ".join(topic.split()) for _, topic in sorted(topics.items()))
    sentences = re.split(r"(?<=[a-z]\.)\s+(?=[A-Z])", text)
    return tuple(s for s in sentences if 6 <= len(s.split()) <= 60 and s.count("*") + s.count("|") < 4)


@lru_cache(maxsize=1)
def _collect_vocabulary() -> tuple[str, ...]:
    return tuple(sorted({word for s in _read_sentences() for word in re.findall(r"\b[a-z]{4,10}\b", s)}))


def _draw_sentences(words: int, rng: random.Random) -> Iterator[str]:
    sentences = _read_sentences()
    at, made = rng.randrange(len(sentences)), 0
    while made < words:
        sentence = sentences[at % len(sentences)]
        at, made = at + 1, made + len(sentence.split())
        yield sentence
