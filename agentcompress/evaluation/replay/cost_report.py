"""Costs for people: a table in Markdown, and money over recall as a picture."""

from __future__ import annotations

from pathlib import Path

from agentcompress.evaluation.plots import load_figure_class
from agentcompress.evaluation.replay.costs import CostReport, WayReport


def render_table(report: CostReport) -> str:
    """Render a row a way: tokens, what was read from the cache, rewrites, recall, and dollars at every target."""
    heads = ["way", "tokens", "from the cache", "rewrites", "results sent", "recall", *report.targets]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += [f"| {' | '.join(_build_row(way, report.ways[0]))} |" for way in report.ways]
    return "\n".join(lines)


def _build_row(way: WayReport, first: WayReport) -> list[str]:
    cost = way.costs[0]
    money = [
        f"${each.dollars:,.2f} ({each.dollars / base.dollars:.2f})" if base.dollars else "no price"
        for each, base in zip(way.costs, first.costs, strict=True)
    ]
    return [
        way.name,
        f"{cost.tokens:,}",
        f"{cost.read_tokens / max(1, cost.tokens):.0%}",
        str(way.rewrites),
        f"{way.result_tokens_sent / max(1, way.result_tokens):.0%}",
        "" if way.recall is None else f"{way.recall:.3f}",
        *money,
    ]


def find_dominated(report: CostReport, target: str) -> list[tuple[str, str]]:
    """Find pairs of one of our ways and another's that is better on both: cheaper, and recalls more."""
    at = report.targets.index(target)
    ours = [way for way in report.ways if way.name.startswith("ours")]
    others = [way for way in report.ways if not way.name.startswith(("ours", "everything"))]
    return [
        (own.name, other.name)
        for own in ours
        for other in others
        if other.costs[at].dollars < own.costs[at].dollars and (other.recall or 0) > (own.recall or 0)
    ]


def plot_costs(report: CostReport, file: Path) -> None:
    """Plot money over recall, a panel a target, a line a family of ways."""
    figure = load_figure_class()(figsize=(4.5 * len(report.targets), 4.2), layout="constrained")
    for at, target in enumerate(report.targets):
        axes = figure.add_subplot(1, len(report.targets), at + 1)
        base = report.ways[0].costs[at].dollars or 1.0
        for family in dict.fromkeys(way.name.partition(":")[0] for way in report.ways):
            points = sorted(
                (way.recall or 0.0, way.costs[at].dollars / base, way.name.partition(":")[2])
                for way in report.ways
                if way.name.partition(":")[0] == family
            )
            axes.plot([x for x, _, _ in points], [y for _, y, _ in points], marker="o", label=family)
            for x, y, label in points:
                axes.annotate(label, (x, y), textcoords="offset points", xytext=(4, 4), fontsize=7)
        axes.set_title(target, fontsize=10)
        axes.set_xlabel("recall: what steps used, there when they used it")
        axes.grid(alpha=0.3)
        if not at:
            axes.set_ylabel("money, of sending everything")
            axes.legend(fontsize=8)
    figure.savefig(file, dpi=144)
