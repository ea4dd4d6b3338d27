"""What requests cost where a provider caches prompts: a cached token costs a tenth to a half, some writes cost more.

Knows prices from LiteLLM's map (`target_facts`), and how caches work from what the providers publish:

- Anthropic: what stands before a marker is written (1.25 of the input price) and read (0.1), from 512 to 4,096 tokens
  on by model; it lasts five minutes from its last use. Clients mark the end of every request.
- OpenAI, Azure: every prompt of 1,024 tokens and more, in steps of 128; it lasts at least five minutes of inactivity.
- DeepSeek: every prompt, in steps of 64, for hours.
- Gemini: every prompt of 1,024 tokens and more (2,048 of the larger models), for some minutes.

Knows nothing of answers: they cost the same with compression and without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentcompress.targets.facts import TargetFacts, find_entry, target_facts


@dataclass(frozen=True, slots=True)
class CacheRules:
    """How a prompt cache works.

    min_tokens: a shorter prefix is not cached. step_tokens: what is read is a multiple of this. ttl_s: seconds that a
    prefix lasts after its last use. marked: whether only prefixes are cached that the client has marked.
    """

    min_tokens: int = 1024
    step_tokens: int = 1
    ttl_s: float = 300.0
    marked: bool = False


_RULES = {
    "anthropic": CacheRules(marked=True),
    "openai": CacheRules(step_tokens=128),
    "azure": CacheRules(step_tokens=128),
    "deepseek": CacheRules(min_tokens=64, step_tokens=64, ttl_s=3600.0),
    "gemini": CacheRules(),
}
_CLAUDES = ("bedrock", "bedrock_converse", "vertex_ai-anthropic_models", "azure_ai")


@dataclass(frozen=True, slots=True)
class Billed:
    """Tokens of one request by what they cost: input at the list price, read from the cache, written to it."""

    input_tokens: int = 0
    read_tokens: int = 0
    write_tokens: int = 0

    @property
    def tokens(self) -> int:
        """All tokens of the request, however they are billed."""
        return self.input_tokens + self.read_tokens + self.write_tokens

    def compute_dollars(self, facts: TargetFacts) -> float | None:
        """Return US dollars that the request costs at a target's prices; None where it has no known price."""
        if facts.input_price is None:
            return None
        read, write = facts.cache_read_price, facts.cache_write_price
        return (
            self.input_tokens * facts.input_price
            + self.read_tokens * (facts.input_price if read is None else read)
            + self.write_tokens * (facts.input_price if write is None else write)
        )


def find_cache_rules(facts: TargetFacts) -> CacheRules | None:
    """The rules of a target's provider; None where nothing is cheaper for being cached."""
    if facts.cache_read_price is None or facts.input_price is None or facts.cache_read_price >= facts.input_price:
        return None
    provider = str(find_entry(facts.name).get("litellm_provider", ""))
    rules = _RULES["anthropic"] if provider in _CLAUDES and "claude" in facts.name else _RULES.get(provider)
    rules = rules or (_RULES["gemini"] if "gemini" in facts.name else CacheRules())
    least = rules.min_tokens if facts.cache_min_tokens is None else facts.cache_min_tokens
    return CacheRules(least, rules.step_tokens, rules.ttl_s, rules.marked)


def bill_request(rules: CacheRules | None, tokens: int, cached_tokens: int, *, marked: bool = True) -> Billed:
    """How a request of so many tokens is billed whose first `cached_tokens` are in the cache.

    marked: whether the client has marked its end, where a provider wants that. Where nobody knows, what is new is taken
    to cost the list price, and what is not to be read: the least of either.
    """
    if rules is None:
        return Billed(input_tokens=tokens)
    read = min(cached_tokens, tokens) // rules.step_tokens * rules.step_tokens
    read = read if read >= rules.min_tokens else 0
    if rules.marked and marked and tokens >= rules.min_tokens:  # all of the rest is written
        return Billed(read_tokens=read, write_tokens=tokens - read)
    return Billed(input_tokens=tokens - read, read_tokens=read)


class PromptCache:
    """One conversation's prompt cache: what every request reads of those before it.

    Of an Anthropic cache only ends of requests, and what stands before the messages, can be read: that is where
    clients set their markers.
    """

    def __init__(self, target: str | TargetFacts) -> None:
        self.facts = target_facts(target) if isinstance(target, str) else target
        self.rules = find_cache_rules(self.facts)
        self._seen: dict[str, float] = {}

    def bill(self, prefixes: Sequence[tuple[str, int]], at_s: float) -> Billed:
        """Bill a request: a hash of every beginning of it, and its tokens up to there. at_s: seconds, ascending."""
        tokens = prefixes[-1][1] if prefixes else 0
        if self.rules is None or not prefixes:
            return Billed(input_tokens=tokens)
        alive = [(key, upto) for key, upto in prefixes if at_s - self._seen.get(key, -1e18) <= self.rules.ttl_s]
        found = bill_request(self.rules, tokens, alive[-1][1] if alive else 0)
        used = [prefixes[0], prefixes[-1], *alive[-1:]] if self.rules.marked else prefixes
        for key, upto in used:
            if upto >= self.rules.min_tokens:
                self._seen[key] = at_s
        return found
