"""Published scorers against a dense reference: whole attention matrices in float64, the equations written out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from agentcompress import CompressConfig, Compressor
from agentcompress.drafts import load
from agentcompress.drafts.cached_pass import CachedPass
from agentcompress.drafts.full_pass import FullPass, PromptAttention
from agentcompress.errors import InvalidInputError
from agentcompress.schema import Reading, Segment, Unit
from agentcompress.scorers import attention
from agentcompress.scorers.published import (
    ClaaScorer,
    FastKVScorer,
    GemFilterScorer,
    PromptScorer,
    SpeculativeScorer,
)
from agentcompress.segmenters.chunks import ChunkSegmenter
from agentcompress.segmenters.prose import ProseSegmenter

TEXT = "The cat sat on the mat. The dog barked at the cat, and then it ran away. ERROR refused by 10.0.0.1:8080. " * 2
ARCHITECTURES = ["llama", "qwen3", "gemma3"]


class Dense:
    """Every attention matrix of a prompt and its greedy continuation, from transformers' eager attention."""

    def __init__(self, folder: Path, ids: list[int], decoded: int) -> None:
        model: Any = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float64, attn_implementation="eager")
        self.prompt = len(ids)
        self.answer: list[int] = []
        with torch.inference_mode():
            for _ in range(decoded):
                logits = model(torch.tensor([ids + self.answer])).logits
                self.answer.append(int(logits[0, -1].argmax()))
            out = model(torch.tensor([ids + self.answer[:-1]]), output_attentions=True)
        self.matrices = torch.stack([layer[0] for layer in out.attentions])  # (L, H, R, R)

    def window(self, rows: int) -> Tensor:
        return self.matrices[:, :, self.prompt - rows : self.prompt, : self.prompt]

    def lookahead(self) -> Tensor:
        rows = self.matrices[:, :, self.prompt - 1 :, : self.prompt]
        return rows / rows.sum(-1, keepdim=True)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def read(request: pytest.FixtureRequest, tiny_drafts: dict[str, Path]) -> tuple[PromptAttention, Dense, FullPass]:
    folder = tiny_drafts[request.param]
    found = load.find_draft(str(folder))
    assert found
    full_pass = FullPass(found, torch.float32)
    full_pass._ends = set()
    ids = full_pass.tokenizer.tokenize(TEXT).ids.tolist()
    return full_pass.read_prompt(ids, steps=8, last_rows=8), Dense(folder, ids, 8), full_pass


def pool(scores: np.ndarray, width: int) -> np.ndarray:
    """Moving average with zeros beyond the ends, written out."""
    padded = np.pad(scores, width // 2)
    return np.array([padded[i : i + width].sum() / width for i in range(len(scores))])


def close(found: Tensor, expected: np.ndarray | Tensor) -> None:
    np.testing.assert_allclose(found.double().numpy(), np.asarray(expected), rtol=2e-3, atol=2e-5)


def test_the_pass_reads_the_rows_of_the_dense_matrices(read: tuple[PromptAttention, Dense, FullPass]) -> None:
    found, dense, _ = read
    assert list(found.answer) == dense.answer
    close(found.window, dense.window(8))
    close(found.lookahead, dense.lookahead())
    assert found.kv_heads == 2


def test_speculative_is_the_largest_over_layers_and_heads_averaged_over_rows(
    read: tuple[PromptAttention, Dense, FullPass],
) -> None:
    found, dense, _ = read
    rows = dense.lookahead().numpy()
    layers, heads, lookahead, _ = rows.shape
    per_head = np.array(
        [
            [[pool(rows[layer, head, n], 13) for n in range(lookahead)] for head in range(heads)]
            for layer in range(layers)
        ]
    )
    close(attention.score_speculative(found.lookahead), per_head.max((0, 1)).mean(0))
    close(attention.score_speculative(found.lookahead, pool_first=False), pool(rows.max((0, 1)).mean(0), 13))
    close(attention.score_speculative(found.lookahead, pool=1), rows.max((0, 1)).mean(0))


def test_claa_is_the_best_of_the_layers_sums(read: tuple[PromptAttention, Dense, FullPass]) -> None:
    found, dense, _ = read
    sums = dense.window(8).sum((1, 2)).numpy()  # equation 5: over window and heads, (L, T)
    expected = np.max([pool(sums[layer], 7) for layer in range(1, 5)], axis=0)
    close(attention.score_claa(found.window, layer=4), expected)
    assert not np.allclose(attention.score_claa(found.window, layer=4, layers=1), expected)


def test_claa_may_standardise_every_group_of_heads(read: tuple[PromptAttention, Dense, FullPass]) -> None:
    found, dense, _ = read
    sums = dense.window(8).sum(2).numpy()  # (L, H, T)
    expected = []
    for layer in (3, 4):
        groups = [sums[layer, 2 * g] + sums[layer, 2 * g + 1] for g in range(2)]
        expected.append(pool(sum((g - g.mean()) / g.std(ddof=1) for g in groups), 7))
    close(attention.score_claa(found.window, layer=4, layers=2, z_score_groups=2), np.max(expected, axis=0))


def test_fastkv_is_one_layers_sum(read: tuple[PromptAttention, Dense, FullPass]) -> None:
    found, dense, _ = read
    close(attention.score_fastkv(found.window, layer=3), pool(dense.window(8)[3].sum((0, 1)).numpy(), 7))


def test_gemfilter_is_the_last_tokens_products(read: tuple[PromptAttention, Dense, FullPass]) -> None:
    """A softmax's logarithm is its logits less a number a row, so their differences are those of the products."""
    found, dense, full_pass = read
    layer = next(number for number, sliding in enumerate(full_pass.sliding) if sliding is None)
    expected = dense.window(1)[layer, :, 0].log().sum(0)
    scores = attention.score_gemfilter(found.logits, layer=layer, pool=1).double()
    close(scores - scores.mean(), expected - expected.mean())
    five = attention.score_gemfilter(found.logits, layer=layer)
    close(five, pool(scores.numpy(), 5))


def test_the_oracle_is_the_largest_head_averaged_over_the_answer(
    read: tuple[PromptAttention, Dense, FullPass],
) -> None:
    found, dense, _ = read
    rows = dense.lookahead().numpy()
    close(attention.score_oracle(found.lookahead.amax(1)), pool(rows.max((0, 1)).mean(0), 7))


def test_decoding_ends_with_the_answer(read: tuple[PromptAttention, Dense, FullPass]) -> None:
    _, dense, full_pass = read
    ids = full_pass.tokenizer.tokenize(TEXT).ids.tolist()
    end = dense.answer[2]
    first = dense.answer.index(end)
    full_pass._ends = {end}
    try:
        found = full_pass.read_prompt(ids, steps=8)
    finally:
        full_pass._ends = set()
    assert list(found.answer) == dense.answer[:first]
    assert found.lookahead.shape[2] == first + 1  # the last prompt token's row, and one for each token decoded


def test_a_prompt_beyond_the_context_is_a_clear_error(tiny_draft: str) -> None:
    config = CompressConfig.paper(draft=tiny_draft)
    with pytest.raises(
        InvalidInputError, match=r"text must be at most \d+ draft tokens beside this query: .* is 512 tokens"
    ):
        Compressor(config).compress_text("The cat sat on the mat. " * 200, query="Who sat?", keep_rate=0.2)


def test_a_pass_says_what_fits(read: tuple[PromptAttention, Dense, FullPass]) -> None:
    for ids in ([], [5] * 506):
        with pytest.raises(
            InvalidInputError, match=r"prompt tokens must be in 1 to 505: .* has a context of 512 tokens"
        ):
            read[2].read_prompt(ids)


@pytest.mark.parametrize("name", ["speculative", "claa", "fastkv", "gemfilter"])
def test_long_texts_can_be_read_in_pieces(name: str, tiny_draft: str) -> None:
    config = CompressConfig(draft=tiny_draft, scorer=name, scorer_options={"too_long": "pieces"})
    text = "".join(f"The cat sat on mat {i}. " for i in range(200))
    result = Compressor(config).compress_text(text, query="Who sat?", keep_rate=0.2)
    assert 0 < result.tokens_after <= 0.2 * result.tokens_before + 1


class Fake:
    """A reader that counts passes."""

    def __init__(self, full_pass: FullPass) -> None:
        self.tokenizer, self.layers, self.context_tokens = full_pass.tokenizer, full_pass.layers, 512
        self._pass, self.steps = full_pass, []

    def read_prompt(self, ids: list[int], *, steps: int = 8, last_rows: int = 8) -> PromptAttention:
        self.steps.append(steps)
        return self._pass.read_prompt(ids, steps=steps, last_rows=last_rows)


class OfEightRows:
    """A reader that makes a new pass for every prompt, with as many last rows as a `CachedPass` reads at least.

    The last prompt token's attention is a product of however many last rows are read at a time, and on some CPUs a
    product of one row and one of eight go by different kernels, which differ in the last bit.
    """

    def __init__(self, full_pass: FullPass) -> None:
        self.tokenizer, self.layers, self.context_tokens = full_pass.tokenizer, full_pass.layers, 512
        self._pass = full_pass

    def read_prompt(self, ids: list[int], *, steps: int = 8, last_rows: int = 8) -> PromptAttention:
        assert last_rows == 1  # and what it reads is not looked at: speculative prefill looks ahead
        return self._pass.read_prompt(ids, steps=steps, last_rows=8)


def test_one_pass_serves_several_scorers(read: tuple[PromptAttention, Dense, FullPass]) -> None:
    fake = Fake(read[2])
    reader = CachedPass(fake)  # pyrefly: ignore[bad-argument-type]
    segment = ProseSegmenter().segment(TEXT)
    scorers: list[PromptScorer] = [
        SpeculativeScorer(lambda: reader),
        ClaaScorer(lambda: reader, layers=2),
        FastKVScorer(lambda: reader),
        GemFilterScorer(lambda: reader),
    ]
    scores = [scorer.score(segment, Reading("Who ran away?")) for scorer in scorers]
    assert fake.steps == [8]
    apart = [
        SpeculativeScorer(lambda: OfEightRows(read[2])),
        ClaaScorer(lambda: read[2], layers=2),
        FastKVScorer(lambda: read[2]),
        GemFilterScorer(lambda: read[2]),
    ]
    for scorer, found in zip(apart, scores, strict=True):
        assert np.array_equal(scorer.score(segment, Reading("Who ran away?")), found)
    of_one_row = SpeculativeScorer(lambda: read[2]).score(segment, Reading("Who ran away?"))
    np.testing.assert_allclose(of_one_row, scores[0], rtol=1e-6)
    SpeculativeScorer(lambda: reader, lookahead=12).score(segment, Reading("Who ran away?"))
    assert fake.steps == [8, 12]


def test_a_completion_prompt_keeps_its_last_tokens(tiny_draft: str) -> None:
    for size, last in ((4, 3), (32, 2)):  # 8 tokens, of which the last chunk may hold fewer
        segment = ChunkSegmenter(tiny_draft, size).segment(TEXT)
        scores = Compressor(CompressConfig(draft=tiny_draft, scorer="claa")).scorer.score(segment, Reading(" "))
        highest = np.flatnonzero(scores == scores.max()).tolist()
        units = len(segment.units)
        assert highest == list(range(units - len(highest), units))
        assert 1 <= len(highest) <= last


@pytest.mark.parametrize(
    ("scorer", "options", "message"),
    [
        (SpeculativeScorer, {"lookahead": 0}, "lookahead must be a whole number >= 1"),
        (SpeculativeScorer, {"pool": 12}, "pool must be an odd whole number >= 1"),
        (ClaaScorer, {"layers": 0}, "layers must be a whole number >= 1"),
        (FastKVScorer, {"window": -1}, "window must be a whole number >= 1"),
        (GemFilterScorer, {"too_long": "cut"}, 'too_long must be "error" or "pieces"'),
        (ClaaScorer, {"z_score": "False"}, "z_score must be true or false"),
        (SpeculativeScorer, {"pool_first": 0}, "pool_first must be true or false"),
    ],
)
def test_bad_options(scorer: type, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        scorer(lambda: None, **options)


def test_a_layer_that_is_not_there(read: tuple[PromptAttention, Dense, FullPass]) -> None:
    with pytest.raises(InvalidInputError, match="layer must be a whole number in 0 to 7, got 8"):
        FastKVScorer(lambda: read[2], layer=8).score(ProseSegmenter().segment(TEXT), Reading("Who?"))


def test_the_default_layer_is_15_of_32_in_proportion() -> None:
    scorer = FastKVScorer(lambda: None)  # pyrefly: ignore[bad-argument-type]
    assert [scorer.choose_layer(layers) for layers in (32, 30, 24, 8)] == [15, 14, 11, 4]


def test_the_paper_keeps_the_best_share_of_chunks(tiny_draft: str) -> None:
    """Algorithm 1, lines 9 to 15, redone by hand from the scores of the chunks."""
    compressor = Compressor(CompressConfig.paper(draft=tiny_draft))
    result = compressor.compress_text(TEXT, query="Who barked?", keep_rate=0.3)
    segment: Segment = ChunkSegmenter(tiny_draft, 32).segment(TEXT)
    scores = compressor.scorer.score(segment, Reading("Who barked?"))
    kept = sorted(np.argsort(-scores, kind="stable")[: int(np.ceil(0.3 * len(segment.units)))].tolist())
    spans: list[Unit] = [segment.units[i] for i in kept]
    merged: list[list[int]] = []
    for unit in spans:
        if merged and merged[-1][1] == unit.start:
            merged[-1][1] = unit.end
        else:
            merged.append([unit.start, unit.end])
    texts = [TEXT[a:b] for a, b in merged]
    assert [text.rstrip() for text in texts] == [TEXT[a:b] for a, b in result.spans]
    assert result.text == " [...] ".join(text.rstrip() for text in texts)


def test_the_papers_settings() -> None:
    config = CompressConfig.paper()
    assert config.scorer_options == {"lookahead": 8, "pool": 13, "pool_first": False}
    assert (config.segmenter_options["chunk_tokens"], config.delimiter) == (32, "[...]")
    code = CompressConfig.paper(code=True, draft="x")
    assert (code.segmenter_options["chunk_tokens"], code.delimiter, code.draft) == (128, "// omitted", "x")
    other = CompressConfig.paper(delimiter="~", scorer_options={"lookahead": 3}, segmenter_options={"chunk_tokens": 16})
    assert (other.delimiter, other.segmenter_options["chunk_tokens"]) == ("~", 16)
    assert other.scorer_options == {"lookahead": 3, "pool": 13, "pool_first": False}


def test_a_piece_is_scored_on_its_own_tokens(read: tuple[PromptAttention, Dense, FullPass]) -> None:
    """The context's scores are cut out of the prompt's at the right place."""
    _, _, full_pass = read
    scorer = FastKVScorer(lambda: full_pass, pool=1)
    segment = ChunkSegmenter(str(full_pass.files.folder), 1).segment(TEXT)
    tokens = full_pass.tokenizer
    before = tokens.tokenize_template(tokens.template.sink)
    behind = tokens.tokenize("\n\nQuestion: Who?").ids.tolist() + tokens.tokenize_template(tokens.template.closing)
    ids = [*before, *tokens.tokenize(TEXT).ids.tolist(), *behind]
    dense = Dense(full_pass.files.folder, ids, 1).window(8)[4].sum((0, 1)).numpy()
    expected = dense[len(before) : len(before) + len(segment.units)]
    assert len(segment.units) == len(ids) - len(before) - len(behind)
    np.testing.assert_allclose(scorer.score(segment, Reading("Who?")), expected, rtol=2e-3, atol=2e-5)


def test_layers_of_one_kind_may_slide_too() -> None:
    from types import SimpleNamespace

    from agentcompress.drafts.full_pass import _find_sliding_windows
    from agentcompress.errors import DraftUnsupportedError

    assert _find_sliding_windows(SimpleNamespace(num_hidden_layers=2, sliding_window=4)) == [4, 4]
    unused = SimpleNamespace(num_hidden_layers=2, sliding_window=4, use_sliding_window=False)
    assert _find_sliding_windows(unused) == [None, None]
    assert _find_sliding_windows(SimpleNamespace(num_hidden_layers=2)) == [None, None]
    kinds = ["sliding_attention", "full_attention"]
    assert _find_sliding_windows(SimpleNamespace(num_hidden_layers=2, sliding_window=4, layer_types=kinds)) == [4, None]
    with pytest.raises(DraftUnsupportedError, match="linear_attention"):
        _find_sliding_windows(SimpleNamespace(num_hidden_layers=2, layer_types=["linear_attention", "full_attention"]))
