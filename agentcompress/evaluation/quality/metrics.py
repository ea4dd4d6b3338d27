"""What an answer is worth: the metrics of LongBench, RULER, InfiniteBench and lost-in-the-middle, as they define them.

Every metric is (answer, item) -> score in [0, 1], where the item gives the right answers and, for classification, all
classes; the best right answer counts. Where a benchmark's own code stumbles over an input, that is said here and
scored 0.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NUMBER = re.compile(r"\d+")


def normalise(text: str) -> str:
    """Put in lower case, without punctuation, articles and surplus white space (SQuAD's normalisation)."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def score_qa_f1(answer: str, right: str) -> float:
    """Score as LongBench does: F1 of the words of both, normalised."""
    found, wanted = Counter(normalise(answer).split()), Counter(normalise(right).split())
    common = (found & wanted).total()
    if not common:
        return 0.0
    precision, recall = common / found.total(), common / wanted.total()
    return 2 * precision * recall / (precision + recall)


def score_rouge_l(answer: str, right: str) -> float:
    """Score ROUGE-L's F measure by the `rouge-score` package: one longest common subsequence, words lower-cased.

    LongBench takes it from the `rouge` package, which joins the subsequences of sentences as sets and keeps case:
    values are close for one-sentence answers and differ for summaries, so they are comparable with each other only.
    """
    from rouge_score.rouge_scorer import RougeScorer

    return float(RougeScorer(["rougeL"]).score(right, answer)["rougeL"].fmeasure)


def score_code_sim(answer: str, right: str) -> float:
    """Score as LongBench does: similarity of the first line that is no comment or fence, by edits, in steps of 1 %."""
    from rapidfuzz import fuzz

    lines = answer.lstrip("\n").split("\n")
    first = next((line for line in lines if not any(mark in line for mark in ("`", "#", "//"))), "")
    return round(fuzz.ratio(first, right)) / 100


def score_classification(answer: str, right: str, classes: Sequence[str]) -> float:
    """Score as LongBench does: 1 / the number of classes named, when the right one is among them.

    A class whose name is part of the right one's is not counted.
    """
    named = [name for name in classes if name in answer and (name == right or name not in right)]
    return 1 / len(named) if right in named else 0.0


def score_retrieval(answer: str, right: str) -> float:
    """Score as LongBench does: the share of the answer's numbers that are the right paragraph's ("Paragraph 7")."""
    wanted = re.search(r"Paragraph (\d+)", right)
    return score_count(answer, wanted.group(1) if wanted else right)


def score_count(answer: str, right: str) -> float:
    """Score as LongBench does: the share of the answer's numbers that are the right one."""
    numbers = _NUMBER.findall(answer)
    return numbers.count(str(right)) / len(numbers) if numbers else 0.0


def score_best_subspan_em(answer: str, right: str) -> float:
    """Score as lost-in-the-middle does: 1 where the right answer stands in the answer's first line, both normalised."""
    wanted = normalise(right)
    return float(bool(wanted) and wanted in normalise(answer.strip().split("\n")[0]))


def score_string_match(answer: str, right: str) -> float:
    """Score as RULER does: 1 where the right answer stands in the answer, case aside."""
    return float(right.lower() in answer.lower())


_CHOICE_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        r"[Tt]he correct (?:answer|option) is:?\s*\(?([A-D])\b",  # LongBench v2
        r"(?:(?:[Aa]nswer|[Oo]ption) is:?|[Aa]nswer:|is:)\s*\(?([A-D])\b",  # InfiniteBench
        r"^\s*\(?([A-D])(?:[.):]|\s*$)",
        r"(?s)\b([A-D])\b(?!.*\b[A-D]\b)",  # the last letter that stands alone, as InfiniteBench's later code has it
    )
)


def score_choice(answer: str, right: str) -> float:
    """Score one of A-D: 1 where the answer's letter is the right one; `right` may also be the option's text.

    Asterisks are dropped. The letter: LongBench v2's sentence, InfiniteBench's prefixes, a letter at the start, else
    the last one that stands alone.
    """
    plain = answer.replace("*", "").replace("`", "")
    if len(right) > 1:
        return float(re.search(rf"(?:is|:|^)\s*{re.escape(right)}(?![\w.])", plain) is not None)
    for pattern in _CHOICE_PATTERNS:
        found = pattern.search(plain)
        if found:
            return float(found.group(1) == right)
    return 0.0


_ONE: dict[str, Callable[[str, str], float]] = {
    "qa_f1": score_qa_f1,
    "rouge_l": score_rouge_l,
    "code_sim": score_code_sim,
    "retrieval": score_retrieval,
    "count": score_count,
    "best_subspan_em": score_best_subspan_em,
    "choice": score_choice,
    "string_match_part": score_string_match,
}
NAMES = (*_ONE, "classification", "string_match_all")
_FIRST_LINE_ONLY = frozenset({"trec", "triviaqa", "samsum"})


def score_answer(
    metric: str, answer: str, answers: Sequence[str], *, classes: Sequence[str] = (), dataset: str = ""
) -> float:
    """Score an answer against all right ones, in [0, 1]. metric: one of `NAMES`.

    The best right answer counts; with "string_match_all" the share of them that is there. classes: of the
    classification. dataset: LongBench's name of it, for a few of which only the first line counts.
    """
    if dataset in _FIRST_LINE_ONLY:
        answer = answer.lstrip("\n").split("\n")[0]
    if metric == "classification":
        return max((score_classification(answer, right, classes) for right in answers), default=0.0)
    if metric == "string_match_all":
        return sum(score_string_match(answer, right) for right in answers) / max(1, len(answers))
    return max((_ONE[metric](answer, right) for right in answers), default=0.0)
