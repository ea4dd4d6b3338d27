"""Every scorer's rank correlation with the Answer-Informed Oracle, item by item (CLAA, figure 2)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agentcompress import plugins, progress
from agentcompress.compressor import Compressor
from agentcompress.evaluation.grid import append_row, whole_lines
from agentcompress.evaluation.oracle import OracleScorer, spearman
from agentcompress.evaluation.tasks import Task
from agentcompress.evaluation.variants import Variant
from agentcompress.scorers.published import LayerScorer

RESULTS = "spearman.jsonl"


def run(
    tasks: Sequence[Task], ways: Sequence[Variant], model: str, limit: int | None, folder: Path
) -> list[dict[str, Any]]:
    """Correlate on units; append rows to a file that an earlier run may have begun, and return them all.

    A row: task, item, scorer, draft, layer (None, or the one a scorer read at: those that read at a layer are tried at
    each), spearman with the oracle in all its layers, and by_layer, with each of them.
    """
    rows = whole_lines(folder / RESULTS)
    done = {(row["task"], row["item"]) for row in rows}
    last = (rows[-1]["task"], rows[-1]["item"]) if rows else None
    if last:  # perhaps half an item: it is done again
        done.discard(last)
        rows = [row for row in rows if (row["task"], row["item"]) != last]
        (folder / RESULTS).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    oracle = OracleScorer(model)
    items = [(task.name, item) for task in tasks for item in task.items(limit)]
    with (folder / RESULTS).open("a", encoding="utf-8") as file:
        for number, (task, item) in enumerate(items, 1):
            if (task, item.id) not in done:
                for row in _correlated(item.text, item.query, ways, oracle):
                    rows.append({"task": task, "item": item.id, **row})
                    append_row(file, rows[-1])
            progress.report("correlate", number, len(items))
    return rows


def _correlated(text: str, query: str, ways: Sequence[Variant], oracle: OracleScorer) -> Iterator[dict[str, Any]]:
    ranked: dict[str, np.ndarray] = {}
    for way in ways:
        compressor = Compressor(way.config)
        segment = compressor.segment(text)
        if way.config.segmenter not in ranked:
            ranked[way.config.segmenter] = oracle.by_layer(segment, query)
        layers = ranked[way.config.segmenter]
        for layer, scorer in _at_layers(way):
            scores = scorer.score(segment, query)
            correlations = [round(spearman(scores, found), 6) for found in layers]
            yield {
                "scorer": way.name,
                "draft": way.draft,
                "layer": layer,
                "spearman": correlations[-1],
                "by_layer": correlations[:-1],
            }


def _at_layers(way: Variant) -> Iterator[tuple[int | None, Any]]:
    scorer = plugins.build("scorers", way.config.scorer, way.config.scorer_options, way.config)
    if not isinstance(scorer, LayerScorer):
        yield None, scorer
        return
    for layer in range(scorer.depth):
        yield (
            layer,
            plugins.build("scorers", way.config.scorer, {**way.config.scorer_options, "layer": layer}, way.config),
        )
