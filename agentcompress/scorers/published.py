"""Published token rankings, on the draft run as they were published: the whole prompt at once, all layers.

For comparison, and for prompts that are to be completed rather than asked about (a blank query). Much slower than
`calibrated`, and nothing is cached but the last prompts' attention.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from agentcompress.common.checks import checked_count, checked_flag
from agentcompress.errors import InvalidInputError, TooLongError
from agentcompress.schema import Reading, Segment
from agentcompress.scorers.units import average_by_unit, find_units_of_tokens

if TYPE_CHECKING:
    from torch import Tensor

    from agentcompress.config import CompressConfig
    from agentcompress.drafts.full_pass import PromptAttention
    from agentcompress.drafts.tokens import DraftTokenizer


class Reader(Protocol):
    """A whole model: a `FullPass`, or a `CachedPass` around one."""

    @property
    def tokenizer(self) -> DraftTokenizer:
        """The model's tokenizer."""
        ...

    @property
    def layers(self) -> int:
        """The number of the model's layers."""
        ...

    @property
    def context_tokens(self) -> int:
        """The most tokens that a prompt and what is decoded behind it may have."""
        ...

    def read_prompt(self, ids: list[int], *, steps: int = 8, last_rows: int = 8) -> PromptAttention:
        """Prefill token ids, decode up to `steps` rows, and return the attention of the last rows and those."""
        ...


class PromptScorer:
    """What the published scorers share: they differ in how attention becomes token scores.

    lookahead: query rows from the last prompt token on, >= 1. window: last prompt rows that are read, >= 1.
    too_long: what to do with a prompt beyond the model's context: "error", or "pieces", which reads the text in as few
    equal pieces as fit, each with the query behind it (not in any of the papers).
    """

    def __init__(
        self,
        reader: Callable[[], Reader],
        *,
        lookahead: int = 1,
        window: int = 8,
        too_long: Literal["error", "pieces"] = "error",
    ) -> None:
        self._reader = reader
        self.lookahead, self.window = checked_count("lookahead", lookahead), checked_count("window", window)
        if too_long not in ("error", "pieces"):
            raise InvalidInputError("too_long", too_long, '"error" or "pieces"')
        self.too_long = too_long

    @classmethod
    def from_config(cls, config: CompressConfig, **options: float | str) -> PromptScorer:
        """Make one on the config's draft, which is loaded whole when the first text is scored."""
        from agentcompress.drafts.cached_pass import get_shared_reader

        return cls(lambda: get_shared_reader(config.draft), **options)  # pyrefly: ignore[bad-argument-type]

    def score_tokens(self, attention: PromptAttention) -> Tensor:
        """Return scores of the prompt's T tokens, float32 (T,)."""
        raise NotImplementedError

    def score(self, segment: Segment, reading: Reading) -> np.ndarray:
        """Return float64 (units,): the mean of a unit's tokens. With a blank query the text itself is the prompt.

        Raises `TooLongError` for a prompt beyond the model's context, unless it is to be read in pieces.
        """
        query = reading.query
        if len(segment.units) < 2:
            return np.zeros(len(segment.units))
        reader = self._reader()
        tokens = reader.tokenizer.tokenize(segment.text)
        template = reader.tokenizer.template
        before = (
            reader.tokenizer.tokenize_template(template.sink) if query.strip() else reader.tokenizer.get_prefix_ids()
        )
        behind = self._tokenize_behind(reader, query) if query.strip() else []
        scores = [
            self._score_piece(reader, before, piece.tolist(), behind)
            for piece in self._split_pieces(reader, tokens.ids, len(before) + len(behind))
        ]
        unit_of_token = find_units_of_tokens(segment, tokens.ends)
        means, _ = average_by_unit(np.concatenate(scores), unit_of_token, len(segment.units))
        if not behind:  # the tokens whose queries did the ranking are kept: the units that hold them stand highest
            means[np.unique(unit_of_token[-self.window :])] = np.nextafter(means.max(), np.inf)
        return means

    def _tokenize_behind(self, reader: Reader, query: str) -> list[int]:
        """Ids of the question and the template's end.

        Where a text is read in pieces, a question of over half the context loses its middle.
        """
        asked = reader.tokenizer.tokenize(f"\n\nQuestion: {query}").ids.tolist()
        if self.too_long == "pieces" and len(asked) > reader.context_tokens // 2:  # leaves out the middle
            asked = asked[: reader.context_tokens // 4] + asked[-(reader.context_tokens // 4) :]
        return asked + reader.tokenizer.tokenize_template(reader.tokenizer.template.closing)

    def _split_pieces(self, reader: Reader, ids: np.ndarray, around: int) -> list[np.ndarray]:
        """Cut the text's ids into as few equal pieces as fit; `around`: tokens of what stands around each."""
        room = reader.context_tokens - self.lookahead + 1 - around
        if len(ids) <= room:
            return [ids]
        if self.too_long == "error":
            raise TooLongError(
                "text",
                f"{len(ids)} draft tokens",
                f"at most {max(0, room)} draft tokens beside this query: the draft's context is "
                f'{reader.context_tokens} tokens (the option too_long="pieces" reads longer texts in pieces)',
            )
        if room < 1:
            raise TooLongError("query", f"{around} draft tokens", f"shorter than {reader.context_tokens} tokens")
        return np.array_split(ids, -(-len(ids) // room))

    def _score_piece(self, reader: Reader, before: list[int], ids: list[int], behind: list[int]) -> np.ndarray:
        """Scores float64 (tokens,) of a piece's own tokens, in the prompt it makes."""
        attention = reader.read_prompt([*before, *ids, *behind], steps=self.lookahead, last_rows=self.window)
        scores = self.score_tokens(attention).double().numpy()
        return scores[len(before) : len(before) + len(ids)]


class SpeculativeScorer(PromptScorer):
    """Speculative prefill (arXiv 2502.02789): N = `lookahead` = 8 query rows, averaged over 13 tokens (`pool`).

    Options as of `attention.score_speculative` and `PromptScorer`.
    """

    def __init__(
        self,
        reader: Callable[[], Reader],
        *,
        lookahead: int = 8,
        pool: int = 13,
        pool_first: bool = True,
        too_long: Literal["error", "pieces"] = "error",
    ) -> None:
        super().__init__(reader, lookahead=lookahead, window=1, too_long=too_long)
        self.pool, self.pool_first = check_width(pool), checked_flag("pool_first", pool_first)

    def score_tokens(self, attention: PromptAttention) -> Tensor:
        """Return scores of the prompt's T tokens, float32 (T,)."""
        from agentcompress.scorers.attention import score_speculative

        return score_speculative(attention.lookahead, pool=self.pool, pool_first=self.pool_first)


class LayerScorer(PromptScorer):
    """Scorers that read at a layer: `layer`, by default 15 of 32, in proportion."""

    def __init__(
        self,
        reader: Callable[[], Reader],
        *,
        layer: int | None = None,
        pool: int = 7,
        window: int = 8,
        too_long: Literal["error", "pieces"] = "error",
    ) -> None:
        super().__init__(reader, window=window, too_long=too_long)
        self._layer, self.pool = layer, check_width(pool)

    @property
    def depth(self) -> int:
        """The number of the model's layers, which loads it."""
        return self._reader().layers

    def choose_layer(self, layers: int) -> int:
        """Return the layer that is read, from 0, in a model of so many; `InvalidInputError` where it has none such."""
        layer = round(15 / 32 * layers) if self._layer is None else self._layer
        if isinstance(layer, bool) or not isinstance(layer, int) or not 0 <= layer < layers:
            raise InvalidInputError("layer", layer, f"a whole number in 0 to {layers - 1}")
        return layer


class ClaaScorer(LayerScorer):
    """CLAA (its table 5): W = `window` = 8, n = `layers` = 4, averaged over 7 tokens (`pool`).

    z_score: standardise groups of heads, as CLAA's code does and its text does not; see `attention.score_claa`.
    """

    def __init__(
        self, reader: Callable[[], Reader], *, layers: int = 4, z_score: bool = False, **options: int | str | None
    ) -> None:
        super().__init__(reader, **options)  # pyrefly: ignore[bad-argument-type]
        self.layers, self.z_score = checked_count("layers", layers), checked_flag("z_score", z_score)

    def score_tokens(self, attention: PromptAttention) -> Tensor:
        """Return scores of the prompt's T tokens, float32 (T,)."""
        from agentcompress.scorers.attention import score_claa

        groups = attention.kv_heads if self.z_score else 0
        layer = self.choose_layer(len(attention.window))
        return score_claa(attention.window, layer=layer, layers=self.layers, pool=self.pool, z_score_groups=groups)


class FastKVScorer(LayerScorer):
    """FastKV's ranking (CLAA's equation 2): W = `window` = 8 rows of one layer, averaged over 7 tokens (`pool`)."""

    def score_tokens(self, attention: PromptAttention) -> Tensor:
        """Return scores of the prompt's T tokens, float32 (T,)."""
        from agentcompress.scorers.attention import score_fastkv

        return score_fastkv(attention.window, layer=self.choose_layer(len(attention.window)), pool=self.pool)


class GemFilterScorer(LayerScorer):
    """GemFilter's ranking (CLAA's equation 1): the last token's products at one layer, averaged over 5 (`pool`)."""

    def __init__(self, reader: Callable[[], Reader], *, pool: int = 5, **options: int | str | None) -> None:
        super().__init__(reader, pool=pool, **options)  # pyrefly: ignore[bad-argument-type]

    def score_tokens(self, attention: PromptAttention) -> Tensor:
        """Return scores of the prompt's T tokens, float32 (T,)."""
        from agentcompress.scorers.attention import score_gemfilter

        return score_gemfilter(attention.logits, layer=self.choose_layer(len(attention.logits)), pool=self.pool)


def check_width(pool: object) -> int:
    """Return the width of a moving average when it is odd and positive, or raise `InvalidInputError`."""
    width = checked_count("pool", pool)
    if width % 2 == 0:
        raise InvalidInputError("pool", pool, "an odd whole number >= 1")
    return width
