"""Every scorer's rank correlation with the Answer-Informed Oracle, item by item (CLAA, figure 2)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agentcompress import plugins
from agentcompress.common import progress
from agentcompress.compressor import Compressor
from agentcompress.errors import TooLongError
from agentcompress.evaluation.quality.grid import append_row, read_whole_lines
from agentcompress.evaluation.quality.oracle import OracleScorer, correlate_ranks
from agentcompress.evaluation.quality.tasks import EvalItem, Task
from agentcompress.evaluation.quality.variants import Variant
from agentcompress.scorers.published import LayerScorer
from agentcompress.scorers.units import digest_segment

RESULTS = "spearman.jsonl"
_log = logging.getLogger("agentcompress")


def correlate_all(
    tasks: Sequence[Task], ways: Sequence[Variant], model: str, limit: int | None, folder: Path
) -> list[dict[str, Any]]:
    """Correlate on units; append a line an item to a file that an earlier run may have begun. Returns all rows.

    A row: task, item, scorer, draft, layer (None, or the one a scorer read at: those that read at a layer are tried at
    each), spearman with the oracle in all its layers, and by_layer, with each of them. An item that is too long for the
    oracle or a scorer is left out.
    """
    lines = read_whole_lines(folder / RESULTS)
    done = {(line["task"], line["item"]) for line in lines}
    items = [(task.name, item) for task in tasks for item in task.items(limit)]
    with (folder / RESULTS).open("a", encoding="utf-8") as file:
        for number, (task, item) in enumerate(items, 1):
            if (task, item.id) not in done:
                lines.append({"task": task, "item": item.id, "rows": _correlate_item(item, ways, model)})
                append_row(file, lines[-1])
            progress.report("correlate", number, len(items))
    return [{"task": line["task"], "item": line["item"], **row} for line in lines for row in line["rows"]]


def _correlate_item(item: EvalItem, ways: Sequence[Variant], model: str) -> list[dict[str, Any]]:
    oracle = OracleScorer(model, answer_tokens=item.max_tokens)
    ranked: dict[str, np.ndarray] = {}
    rows: list[dict[str, Any]] = []
    try:
        for way in ways:
            segment = Compressor(way.config).segment(item.text, item.query)
            key = digest_segment(segment)
            if key not in ranked:
                ranked[key] = oracle.score_layers(segment, item.query)
            for layer, scorer in _build_scorers(way):
                scores = scorer.score(segment, item.reading)
                correlations = [round(correlate_ranks(scores, found), 6) for found in ranked[key]]
                rows.append(
                    {
                        "scorer": way.name,
                        "draft": way.draft,
                        "layer": layer,
                        "spearman": correlations[-1],
                        "by_layer": correlations[:-1],
                    }
                )
    except TooLongError as error:
        _log.warning("%s has no correlations: %s", item.id, error)
        return []
    return rows


def _build_scorers(way: Variant) -> Iterator[tuple[int | None, Any]]:
    scorer = plugins.build("scorers", way.config.scorer, way.config.scorer_options, way.config)
    if not isinstance(scorer, LayerScorer):
        yield None, scorer
        return
    for layer in range(scorer.depth):
        yield (
            layer,
            plugins.build("scorers", way.config.scorer, {**way.config.scorer_options, "layer": layer}, way.config),
        )
