"""How often the answer survives: twenty passages of made-up facts, twenty questions, three scorers, three budgets.

python -m examples.evidence_kept [--draft smollm2-135m] [--target gpt-4o]
"""

from __future__ import annotations

import argparse

from agentcompress import CompressConfig, Compressor
from examples.facts import QUESTIONS, TEXT

RATES = (0.05, 0.1, 0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draft", default="smollm2-135m")
    parser.add_argument("--target", default="gpt-4o")
    options = parser.parse_args()
    print(f"| scorer | {' | '.join(f'{rate:.0%} kept' for rate in RATES)} |\n|---|{'---|' * len(RATES)}")
    for scorer in ("calibrated", "lexical", "random"):
        compressor = Compressor(CompressConfig(draft=options.draft, scorer=scorer))
        shares = []
        for rate in RATES:
            found = 0
            for question, evidence in QUESTIONS:
                result = compressor.compress_text(TEXT, query=question, keep_rate=rate, target=options.target)
                found += any(evidence in TEXT[a:b] for a, b in result.spans)
            shares.append(f"{found} of {len(QUESTIONS)}")
        print(f"| {scorer} | {' | '.join(shares)} |")


if __name__ == "__main__":
    main()
