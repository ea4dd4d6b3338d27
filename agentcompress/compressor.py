"""The line, from text to shorter text and from messages to shorter messages. Read this file first."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from agentcompress import plugins
from agentcompress.accounting.receipts import Accounts, Call
from agentcompress.common.checks import KeepRate, checked_count, checked_rate, checked_text
from agentcompress.common.clock import Clock
from agentcompress.config import CompressConfig
from agentcompress.conversation import own_texts
from agentcompress.conversation.blocks import Plan, plan
from agentcompress.conversation.decide import Decider
from agentcompress.conversation.fit import Fitting
from agentcompress.conversation.ladder import Ladder, OnError, Rung
from agentcompress.conversation.recall import RAW_RECALLED, Originals, is_recalled, recalled
from agentcompress.errors import AgentCompressError, ScoringError
from agentcompress.ledger.fronted import FrontedStore
from agentcompress.ledger.memory import MemoryStore
from agentcompress.ledger.opening import open_store
from agentcompress.messages import bodies, langchain
from agentcompress.messages.formats import Format, wire_of
from agentcompress.messages.hashing import chain, seed_of
from agentcompress.messages.sizes import other_tokens
from agentcompress.protocols import Scorer, Segmenter, Store, TokenCounter
from agentcompress.receipt import Receipt
from agentcompress.results import CompressedMessages, CompressedRequest, CompressedText
from agentcompress.schema import Segment, Span
from agentcompress.segmenters import kinds
from agentcompress.segmenters.check import segment_checked
from agentcompress.segmenters.listings import explain_left_whole
from agentcompress.selection.budget import compute_auto_rate, resolve_budget
from agentcompress.selection.select import compute_budget_tokens, select_share, select_units
from agentcompress.targets.counting import CachedCounts, choose_countable_target, get_token_counter
from agentcompress.text.delimiters import choose_style
from agentcompress.text.recall_style import make_recall_style

_log = logging.getLogger("agentcompress")

_FALLBACK = "lexical"


class Compressor:
    """Compresses texts and conversations as its config says. Cheap to make: the draft is loaded on first use.

    store: where decisions about the blocks of conversations are kept; by default where the config says.
    """

    def __init__(self, config: CompressConfig | None = None, *, store: Store | None = None) -> None:
        self.config = config or CompressConfig()
        if store is None:
            store = open_store(self.config.ledger)
        self.store = store if isinstance(store, MemoryStore | FrontedStore) else FrontedStore(store)
        self.scorer: Scorer = plugins.build("scorers", self.config.scorer, self.config.scorer_options, self.config)
        self._segmenters: dict[str, Segmenter] = {}
        self._counters: dict[str, TokenCounter] = {}
        self._accounts = Accounts(self.config)
        self._ladder = Ladder(list(dict.fromkeys([self.config.scorer, _FALLBACK])))
        if self.config.segmenter != "auto":
            self._segmenter(self.config.segmenter)

    def compress_text(
        self,
        text: str,
        *,
        query: str,
        keep_rate: KeepRate | None = None,
        target_tokens: int | None = None,
        target: str | None = None,
        hint: str | None = None,
        recall_name: str | None = None,
    ) -> CompressedText:
        """Keep the parts of `text` that matter for `query`, within a budget of the target's tokens.

        The budget is `target_tokens` (>= 1), or `ceil(keep_rate * tokens of text)` with keep_rate in (0, 1] or "auto"
        (`selection/budget.py`), by default the config's; it holds for the returned text, delimiters included (unless
        the config's selection is "share"). hint: what is known of where the text comes from (a file's name, a tool's
        call), which helps to tell what kind of text it is; by default the query. recall_name: what delimiters are to
        call this text, as `recall.py` does. Raises `InvalidInputError` (and its kind) for bad values, `DraftError` and
        `ScoringError` when the text can't be scored.
        """
        clock = Clock()
        checked_text("text", text)
        hint = checked_text("query", query) if hint is None else checked_text("hint", hint)
        target = checked_text("target", target if target is not None else self.config.target)
        with clock.stage("count"):
            counter = get_token_counter(target)
            tokens_before = counter.count(text)
        budget, share = resolve_budget(self.config.keep_rate, keep_rate, target_tokens, tokens_before)
        if budget is not None and budget >= tokens_before:
            whole = (Span(0, len(text)),) if text else ()
            return self._result(text, whole, tokens_before, tokens_before, target, clock)
        with clock.stage("segment"):
            segment = self.segment(text, hint)
        with clock.stage("score"):
            scores = self.score(segment, query)
        with clock.stage("select"):
            if budget is None:
                share = compute_auto_rate(segment, scores, tokens_before)
                budget = compute_budget_tokens(share, tokens_before)
            style = choose_style(segment, self.config.delimiter)
            style = make_recall_style(style, recall_name, text) if recall_name else style
            if self.config.selection == "share":
                selection = select_share(segment, scores, share, counter, style)
            else:
                selection = select_units(segment, scores, budget, counter, style)
        rendered = selection.rendered
        return self._result(rendered.text, rendered.spans, tokens_before, selection.tokens, target, clock)

    def compress(
        self,
        messages: Sequence[Any],
        *,
        target: str | None = None,
        keep_rate: KeepRate | None = None,
        target_tokens: int | None = None,
        on_error: OnError = "raise",
        deadline_ms: float | None = None,
        format: Format = "auto",  # noqa: A002 - the word users have for it
        namespace: str | None = None,
        continues: str = "",
        beside: Mapping[str, Any] | None = None,
    ) -> CompressedMessages:
        """Compress the tool results and long context blocks of a conversation; never mutates its messages.

        Every block is decided once, when it is first seen, and replayed from the store after that. Raises what
        `compress_text` raises, `MessageFormatError`, and `StoreError`; nothing is decided then for the block that
        failed. With `on_error="warn"` or "ignore" nothing but bad arguments is raised: a block that can't be compressed
        by the scorer is compressed by BM25, else stays as it is, from now on, with a warning or without one.

        target_tokens: the most that the request may take, >= 1, images and all else estimated; None: no such limit.
        beside: what it holds beside the messages (system prompt, tools), by name, to be counted in. Where blocks as
        they were decided take more, all of them are cut further, and stay so for this target; where even that is too
        much, nothing new is cut and the receipt says so (`fitting.py`).

        format: "openai" (Chat Completions), "responses" or "anthropic"; "auto" looks at the messages, and LangChain's
        need none of these. deadline_ms: for all of it, > 0, by default the config's. namespace: whose conversation it
        is, by default the config's; nobody reads another's decisions. continues: what the messages go on from, where
        they are not all there is: `previous_response_id`.
        """
        clock = Clock()
        target = checked_text("target", target if target is not None else self.config.target)
        keep_rate = self.config.keep_rate if keep_rate is None else checked_rate(keep_rate)
        counter = self._counter(target)
        chat = langchain.opened(messages)
        wire = wire_of(chat, format if chat is messages else "openai")
        deadline_ms = self.config.deadline_ms if deadline_ms is None else deadline_ms
        namespace = self.config.namespace if namespace is None else checked_text("namespace", namespace)
        originals = Originals(self.store, namespace)
        rungs = self._rungs(target, keep_rate, originals)
        live = self.config.mode == "live"
        decider = Decider(self.store, self._ladder, rungs, self._left_whole, on_error, deadline_ms, live=live)
        seed = seed_of(namespace, checked_text("continues", continues), self.config.mode)
        if target_tokens is not None:
            checked_count("target_tokens", target_tokens)
        parts, prefixes = wire.text_parts(chat), list(chain(chat, wire, seed))
        blocks = list(plan(chat, parts, wire, prefixes, self.config.min_tokens, counter))
        tokens = other_tokens(beside or {}, counter)
        fitting = Fitting(chat, blocks, prefixes, wire, decider, counter, target, keep_rate, tokens)
        settled = fitting.settled(target_tokens)
        if self.config.recall:
            cut = zip(blocks, settled.decisions, strict=True)
            originals.touch(block.key for block, each in cut if each.decision.text is not None)
        ms = clock.total_ms()
        call = Call(target, chat, wire, parts, blocks, prefixes, beside or {}, tokens, settled, ms, bool(continues))
        receipt = self._accounts.receipt(call, counter)
        sent = tuple(each.decision.text for each in settled.decisions)
        return CompressedMessages(langchain.closed(settled.messages) if live else list(messages), receipt, sent)

    def compress_request(
        self,
        body: Mapping[str, Any],
        *,
        target: str | None = None,
        keep_rate: KeepRate | None = None,
        target_tokens: int | None = None,
        on_error: OnError = "raise",
        deadline_ms: float | None = None,
        format: Format = "auto",  # noqa: A002
        namespace: str | None = None,
    ) -> CompressedRequest:
        """Compress the conversation of a whole request: of Chat Completions, Responses or Anthropic Messages.

        All but `messages` or `input` comes out as it was, save for `thinking` (`bodies.Body.closed`). target: by
        default the body's model, the config's target where LiteLLM does not know that. target_tokens: of all of it,
        system prompt and tools too, but not of what the server holds where a request goes on from another
        (`previous_response_id`, which is heeded). Everything else as in `compress`.
        """
        opened = bodies.opened(body, format)
        result = self.compress(
            opened.messages,
            target=choose_countable_target(body.get("model"), self.config.target) if target is None else target,
            keep_rate=keep_rate,
            target_tokens=target_tokens,
            on_error=on_error,
            deadline_ms=deadline_ms,
            format=opened.wire.name,
            namespace=namespace,
            continues=opened.continues,
            beside=opened.beside,
        )
        live = self.config.mode == "live"
        return CompressedRequest(opened.closed(result) if live else dict(body), result.receipt)

    def reconciled(self, receipt: Receipt, usage: Any) -> Receipt:
        """The receipt with what the provider has billed: the `usage` of its response, in any of the three formats."""
        return self._accounts.reconciled(receipt, usage)

    def recall(self, id: str, page: int = 1, *, namespace: str | None = None) -> str:  # noqa: A002
        """Answer a call of the tool `recall`: one page of what a delimiter's id names, or why there is none.

        namespace: whose conversation it is, as in `compress`.
        """
        namespace = self.config.namespace if namespace is None else checked_text("namespace", namespace)
        return recalled(Originals(self.store, namespace), id, page)

    def _rungs(self, target: str, keep_rate: KeepRate, originals: Originals) -> list[Rung]:
        """Ways to compress a block, the best first."""

        def rung(name: str) -> Rung:
            def compress(block: Plan, tokens: int | None) -> CompressedText:
                compressor = self if name == self.config.scorer else self.fallback
                compress_text = partial(
                    compressor.compress_text,
                    block.text,
                    query=block.query,
                    keep_rate=keep_rate if tokens is None else None,
                    target_tokens=tokens,
                    target=target,
                    hint=block.hint,
                )
                if not self.config.recall:
                    return compress_text()
                return originals.kept(block.key, block.text, lambda name: compress_text(recall_name=name))

            return Rung(name, compress)

        return [rung(name) for name in self._ladder.names]

    @cached_property
    def fallback(self) -> Compressor:
        """What needs no draft: the same, scored by BM25."""
        segmenter = "auto" if self.config.segmenter == "chunks" else self.config.segmenter
        options = {} if segmenter == "auto" else self.config.segmenter_options
        update = {"scorer": _FALLBACK, "scorer_options": {}, "segmenter": segmenter, "segmenter_options": options}
        return Compressor(self.config.model_copy(update=update), store=self.store)

    def _counter(self, target: str) -> TokenCounter:
        if target not in self._counters:
            self._counters[target] = CachedCounts(get_token_counter(target))
        return self._counters[target]

    def _left_whole(self, block: Plan) -> str | None:
        """Why a block is not cut, whatever it costs."""
        if own_texts.was_sent(block.text):
            return own_texts.SEEN
        if is_recalled(block.text):
            return RAW_RECALLED
        return explain_left_whole(block.text) if block.kind == "tool" and self.config.segmenter == "auto" else None

    def segment(self, text: str, hint: str = "") -> Segment:
        """Cut a text into units as this config says; `SegmentationError` when they don't tile it.

        With "auto" a segmenter that fails is replaced by lines. hint: as in `compress_text`.
        """
        if self.config.segmenter != "auto":
            return segment_checked(self._segmenter(self.config.segmenter), self.config.segmenter, text)
        try:
            segmenter = kinds.choose_segmenter(text, hint, self.config)
            return segment_checked(segmenter, type(segmenter).__name__, text)
        except Exception as error:  # noqa: BLE001 - a wrong guess must cost nothing but quality
            _log.warning("%s: %s; cut at lines instead", type(error).__name__, error)
            return segment_checked(self._segmenter("lines"), "lines", text)

    def _segmenter(self, name: str) -> Segmenter:
        if name not in self._segmenters:
            self._segmenters[name] = plugins.build("segmenters", name, self.config.segmenter_options, self.config)
        return self._segmenters[name]

    def score(self, segment: Segment, query: str) -> np.ndarray:
        """Score every unit, float64 (units,), higher = keep. Raises `DraftError` and `ScoringError`."""
        try:
            return np.asarray(self.scorer.score(segment, query), dtype=np.float64)
        except AgentCompressError:
            raise
        except Exception as error:
            raise ScoringError(f"scorer {self.config.scorer!r} failed: {type(error).__name__}: {error}") from error

    def _result(
        self, text: str, spans: tuple[Span, ...], before: int, after: int, target: str, clock: Clock
    ) -> CompressedText:
        timings = {**clock.stages_ms, "total": clock.total_ms()}
        return CompressedText(text, spans, before, after, target, self.config.scorer, timings)
