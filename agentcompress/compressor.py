"""The line, from text to shorter text and from messages to shorter messages. Read this file first."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Unpack

import numpy as np

from agentcompress import plugins
from agentcompress.accounting.receipts import Accounts
from agentcompress.common import deadlines
from agentcompress.common.checks import KeepRate, checked_text
from agentcompress.common.clock import Clock
from agentcompress.config import CallOptions, CallSettings, CompressConfig
from agentcompress.conversation.blocks import Block, find_blocks
from agentcompress.conversation.decide import CallLedger
from agentcompress.conversation.failures import Failures
from agentcompress.conversation.fit import HardFit, find_cut, open_cuts, read_cut
from agentcompress.conversation.ladder import Ladder, Rung
from agentcompress.conversation.own_texts import own_texts
from agentcompress.conversation.pacing import Pace
from agentcompress.conversation.put_back import Assembled, put_back
from agentcompress.conversation.recall import Originals, answer_recall
from agentcompress.errors import AgentCompressError, ScoringError
from agentcompress.ledger.fronted import FrontedStore
from agentcompress.ledger.memory import MemoryStore
from agentcompress.ledger.opening import open_store
from agentcompress.messages import bodies, langchain
from agentcompress.messages.conversation import Conversation
from agentcompress.protocols import ChanceScorer, Scorer, Segmenter, Store, TokenCounter
from agentcompress.receipt import Receipt
from agentcompress.results import CompressedMessages, CompressedRequest, CompressedText
from agentcompress.schema import DelimiterStyle, Reading, Segment
from agentcompress.segmenters import kinds
from agentcompress.segmenters.check import segment_checked
from agentcompress.segmenters.notices import keep_notices
from agentcompress.selection.budget import Budget, Chances, keep_all, keep_within
from agentcompress.selection.select import Selection
from agentcompress.targets.counting import CachedCounts, choose_countable_target, get_token_counter
from agentcompress.text.delimiters import choose_style
from agentcompress.text.recall_style import make_recall_style

_log = logging.getLogger("agentcompress")

_FALLBACK, _WORDS = "features", "lexical"
"""Scorers that need no draft; the first asks the second about what is no tool's result."""


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
        self._pace = Pace()
        self._rungs = [Rung(self.config.scorer, self)]
        if self.config.scorer not in (_FALLBACK, _WORDS):
            self._rungs.append(Rung(_FALLBACK, _Fallback(self)))
        if self.config.segmenter != "auto":
            self._load_segmenter(self.config.segmenter)

    # A text: segment, score, select.

    def compress_text(
        self,
        text: str,
        *,
        query: str | Reading,
        keep_rate: KeepRate | None = None,
        target_tokens: int | None = None,
        target: str | None = None,
        hint: str | None = None,
        recall_name: str | None = None,
    ) -> CompressedText:
        """Keep the parts of `text` that matter for `query`, within a budget of the target's tokens.

        query: what is asked, or a `Reading`, which also says what is known of the conversation.

        The budget is `target_tokens` (>= 1), or `ceil(keep_rate * tokens of text)` with keep_rate in (0, 1] or "auto"
        (`selection/budget.py`), by default the config's; it holds for the returned text, delimiters included (unless
        the config's selection is "share"). hint: what is known of where the text comes from (a file's name, a tool's
        call), which helps to tell what kind of text it is; by default the query. recall_name: what delimiters are to
        call this text, as `conversation/recall.py` does. Raises `InvalidInputError` (and its kind) for bad values,
        `DraftError` and `ScoringError` when the text can't be scored.
        """
        clock = Clock()
        checked_text("text", text)
        reading = query if isinstance(query, Reading) else Reading(checked_text("query", query))
        hint = reading.query if hint is None else checked_text("hint", hint)
        target = checked_text("target", target if target is not None else self.config.target)
        with clock.stage("count"):
            counter = get_token_counter(target)
            budget = Budget.from_call(counter.count(text), self.config, keep_rate, target_tokens)
        if budget.holds_all:
            return self._finish_text(keep_all(text, budget), budget, target, clock)
        with clock.stage("segment"):
            segment = self.segment(text, hint)
        deadlines.check()
        with clock.stage("score"):
            scores = self.score(segment, reading)
            chances = self._estimate_chances(segment, reading) if budget.tokens is None else None
        deadlines.check()
        with clock.stage("select"):
            kept = keep_within(segment, scores, budget, counter, self._choose_style(segment, recall_name), chances)
        return self._finish_text(kept, budget, target, clock)

    def segment(self, text: str, hint: str = "") -> Segment:
        """Cut a text into units as this config says; `SegmentationError` when they don't tile it.

        With "auto" a segmenter that fails is replaced by lines. hint: as in `compress_text`.
        """
        if self.config.segmenter != "auto":
            return segment_checked(self._load_segmenter(self.config.segmenter), self.config.segmenter, text)
        try:
            segmenter = kinds.choose_segmenter(text, hint, self.config)
            return keep_notices(segment_checked(segmenter, type(segmenter).__name__, text))
        except Exception as error:  # noqa: BLE001 - a wrong guess must cost nothing but quality
            _log.warning("%s: %s; cut at lines instead", type(error).__name__, error)
            return segment_checked(self._load_segmenter("lines"), "lines", text)

    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        """Score every unit, float64 (units,), higher = keep. Raises `DraftError` and `ScoringError`."""
        try:
            return np.asarray(self.scorer.score(segment, reading), dtype=np.float64)
        except AgentCompressError:
            raise
        except Exception as error:
            raise ScoringError(f"scorer {self.config.scorer!r} failed: {type(error).__name__}: {error}") from error

    def _estimate_chances(self, segment: Segment, reading: Reading) -> Chances | None:
        """What the scorer expects of each unit, if it is one that can tell."""
        if not isinstance(self.scorer, ChanceScorer):
            return None
        found = self.scorer.estimate_chances(segment, reading)
        return None if found is None else Chances(np.asarray(found, dtype=np.float64), self.config.recall_target)

    # A conversation: read, find its blocks, decide each of them once, put back what was decided.

    def compress(
        self,
        messages: Sequence[Any],
        *,
        continues: str = "",
        beside: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> CompressedMessages:
        """Compress the tool results and long context blocks of a conversation; never mutates its messages.

        Every block is decided once, when it is first seen, and replayed from the store after that. Raises what
        `compress_text` raises, `MessageFormatError`, and `StoreError`; nothing is decided then for the block that
        failed. With `on_error="warn"` or "ignore" nothing but bad arguments is raised: a block that can't be compressed
        by the scorer is compressed by BM25, else stays as it is, from now on, with a warning or without one.

        options: target, keep_rate, deadline_ms and namespace, by default the config's; target_tokens, on_error and
        format (`CallSettings` says what they mean). Where blocks as they were decided take more than target_tokens, all
        of them are cut further, and stay so for this target; where even that is too much, nothing new is cut and the
        receipt says so (`conversation/fit.py`). LangChain's messages need no format.

        beside: what the request holds beside the messages (system prompt, tools), by name, to be counted in.
        continues: what the messages go on from, where they are not all there is: `previous_response_id`.
        """
        return self.compress_conversation(self.read_conversation(messages, options, continues, beside))

    def compress_request(self, body: Mapping[str, Any], **options: Unpack[CallOptions]) -> CompressedRequest:
        """Compress the conversation of a whole request: of Chat Completions, Responses or Anthropic Messages.

        All but `messages` or `input` comes out as it was, save for `thinking` (`bodies.Request.rebuild`). options: as
        in `compress`; target is by default the body's model, the config's target where LiteLLM does not know that.
        target_tokens: of all of it, system prompt and tools too, but not of what the server holds where a request goes
        on from another (`previous_response_id`, which is heeded).
        """
        request = bodies.parse(body, options.get("format", "auto"))
        result = self.compress_conversation(self.read_request(request, options))
        return CompressedRequest(self.rebuild(request, result), result.receipt)

    def read_conversation(
        self,
        messages: Sequence[Any],
        options: Mapping[str, Any],
        continues: str = "",
        beside: Mapping[str, Any] | None = None,
    ) -> Conversation:
        """Read messages once, for all stages after this. Raises `InvalidInputError` for bad options and messages."""
        clock = Clock()
        settings = CallSettings.from_options(options, self.config, CallOptions.__annotations__)
        return Conversation.read(
            messages,
            settings,
            self.count_for(str(settings.target)),
            continues=checked_text("continues", continues),
            beside=beside,
            mode=self.config.mode,
            clock=clock,
        )

    def read_request(self, request: bodies.Request, options: Mapping[str, Any]) -> Conversation:
        """Read the conversation of a parsed request, for its model unless the options name another target."""
        named = {**options, "format": request.wire.name}
        if named.get("target") is None:
            named["target"] = choose_countable_target(request.fields.get("model"), self.config.target)
        return self.read_conversation(request.messages, named, request.continues, request.beside)

    def compress_conversation(self, call: Conversation) -> CompressedMessages:
        """Compress a conversation that was read. Raises what `compress` does."""
        failures = Failures(call.settings.on_error)
        ledger = CallLedger(self.store, failures, own_texts, live=self._is_live)
        blocks = ledger.adopt_earlier(find_blocks(call, self.config.min_tokens))
        originals = Originals(self.store, str(call.settings.namespace)) if self.config.recall else None
        whole = self.config.segmenter == "auto"
        ladder = Ladder(self._rungs, call, ledger, failures, originals, whole_listings=whole, pace=self._pace)
        cuts = open_cuts(call, blocks, ledger)
        cut = find_cut(call, cuts)
        if call.settings.target_tokens is None:
            decided = [read_cut(call, block, cut) or ladder.decide(block) for block in blocks]
            assembled = put_back(call, blocks, decided, cut)
        else:
            assembled = HardFit(call, blocks, ledger, ladder, cuts).fit(call.settings.target_tokens, cut)
        self._note_use(blocks, assembled, originals)
        receipt = self._accounts.write_receipt(call, blocks, assembled)
        return self._result(call, assembled, receipt)

    def rebuild(self, request: bodies.Request, result: CompressedMessages) -> dict[str, Any]:
        """The request to send for a parsed one; in shadow mode as it came."""
        return request.rebuild(result) if self._is_live else dict(request.fields)

    def reconciled(self, receipt: Receipt, usage: Any) -> Receipt:
        """The receipt with what the provider has billed: the `usage` of its response, in any of the three formats."""
        return self._accounts.reconciled(receipt, usage)

    def recall(self, id: str, page: int = 1, *, namespace: str | None = None) -> str:  # noqa: A002
        """Answer a call of the tool `recall`: one page of what a delimiter's id names, or why there is none.

        namespace: whose conversation it is, as in `compress`.
        """
        namespace = self.config.namespace if namespace is None else checked_text("namespace", namespace)
        return answer_recall(Originals(self.store, namespace), id, page)

    # What is made once.

    @cached_property
    def fallback(self) -> Compressor:
        """What needs no draft: the same, scored by features of rows and by BM25."""
        segmenter = "auto" if self.config.segmenter == "chunks" else self.config.segmenter
        options = {} if segmenter == "auto" else self.config.segmenter_options
        reader = self.config.scorer_options.get("reader") if self.config.scorer == "reader" else None
        chosen = {} if reader is None else {"reader": reader}  # that of another scorer may be anything
        update = {"scorer": _FALLBACK, "scorer_options": chosen, "segmenter": segmenter, "segmenter_options": options}
        return Compressor(self.config.model_copy(update=update), store=self.store)

    @property
    def _is_live(self) -> bool:
        return self.config.mode == "live"

    def count_for(self, target: str) -> TokenCounter:
        """The counter of a target's tokens, which knows the texts that it has counted."""
        if target not in self._counters:
            self._counters[target] = CachedCounts(get_token_counter(target))
        return self._counters[target]

    def _load_segmenter(self, name: str) -> Segmenter:
        if name not in self._segmenters:
            self._segmenters[name] = plugins.build("segmenters", name, self.config.segmenter_options, self.config)
        return self._segmenters[name]

    def _choose_style(self, segment: Segment, recall_name: str | None) -> DelimiterStyle:
        style = choose_style(segment, self.config.delimiter)
        return make_recall_style(style, recall_name, segment.text) if recall_name else style

    def _finish_text(self, kept: Selection, budget: Budget, target: str, clock: Clock) -> CompressedText:
        return CompressedText(
            text=kept.rendered.text,
            spans=kept.rendered.spans,
            tokens_before=budget.text_tokens,
            tokens_after=kept.tokens,
            target=target,
            scorer=self.config.scorer,
            timings_ms=clock.read_ms(),
        )

    def _note_use(self, blocks: Sequence[Block], assembled: Assembled, originals: Originals | None) -> None:
        """Note which texts are sent in the place of others, and that their originals are in use."""
        pairs = zip(blocks, assembled.decided, strict=True)
        cut = {block.key: each.decision.text for block, each in pairs if each.decision.text is not None}
        if self._is_live:
            own_texts.note_texts(cut.values())
        if originals is not None:
            originals.touch(cut)

    def _result(self, call: Conversation, assembled: Assembled, receipt: Receipt) -> CompressedMessages:
        messages = langchain.from_chat(assembled.messages) if self._is_live else call.original
        sent = tuple(each.decision.text for each in assembled.decided)
        spans = tuple(each.decision.spans for each in assembled.decided)
        return CompressedMessages(list(messages), receipt, sent, spans)


class _Fallback:
    """A compressor's fallback as a rung of its ladder: made when it is first needed, where its failure is caught."""

    def __init__(self, compressor: Compressor) -> None:
        self._compressor = compressor

    def compress_text(self, text: str, **options: Any) -> CompressedText:
        """Compress a text as the fallback does."""
        return self._compressor.fallback.compress_text(text, **options)
