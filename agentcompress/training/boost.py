"""Gradient-boosted trees by LightGBM, taken apart into a `Forest` that needs no LightGBM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agentcompress.errors import PluginError
from agentcompress.scorers.next_step.forest import Forest, Tree

_TREES = 300
_PARAMETERS: Mapping[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.06,
    "num_leaves": 15,
    "min_data_in_leaf": 60,
    "feature_fraction": 0.4,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "extra_trees": True,  # thresholds by chance: what one source is like carries over less
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 0,
    "verbose": -1,
}


def load_lightgbm() -> Any:
    """Import LightGBM. Raises `PluginError` where it is missing."""
    try:
        import lightgbm
    except ImportError as error:
        raise PluginError('training needs LightGBM: pip install "agentcompress[train]"') from error
    return lightgbm


def boost_forest(
    rows: np.ndarray, labels: np.ndarray, weights: np.ndarray, names: Sequence[str], *, seed: int = 0
) -> Forest:
    """Learn a forest. The same rows and seed give the same one.

    rows: float32 (rows, columns). labels: (rows,), 1 where the next steps use something of a row. weights: (rows,).
    names: of the columns.
    """
    lightgbm = load_lightgbm()
    parameters = {**_PARAMETERS, "seed": seed}
    data = lightgbm.Dataset(rows, labels, weight=weights, feature_name=list(names), params={"verbose": -1})
    model = lightgbm.train(parameters, data, num_boost_round=_TREES).dump_model()
    trees = tuple(_read_tree(tree["tree_structure"]) for tree in model["tree_info"])
    used = sorted({column for tree in trees for column in _list_columns(tree)})
    number = {column: place for place, column in enumerate(used)}
    return Forest(tuple(names[column] for column in used), 0.0, tuple(_renumber(tree, number) for tree in trees))


def _read_tree(node: Mapping[str, Any]) -> Tree:
    if "leaf_value" in node:
        return round(float(node["leaf_value"]), 5)
    threshold = float(np.float32(node["threshold"]))
    return [int(node["split_feature"]), threshold, _read_tree(node["left_child"]), _read_tree(node["right_child"])]


def _list_columns(tree: Tree) -> list[int]:
    return [tree[0], *_list_columns(tree[2]), *_list_columns(tree[3])] if isinstance(tree, list) else []


def _renumber(tree: Tree, number: Mapping[int, int]) -> Tree:
    if not isinstance(tree, list):
        return tree
    return [number[tree[0]], tree[1], _renumber(tree[2], number), _renumber(tree[3], number)]
