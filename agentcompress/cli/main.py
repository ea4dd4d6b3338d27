"""The command line. Text goes to standard output, everything else to standard error.

Exit codes: 0 done; 2 bad input (a file that is not there, a value out of range); 3 the draft can't be used; 4 anything
else that went wrong in compression; 1 anything unforeseen.
"""

from __future__ import annotations

import io
import json
import os
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from agentcompress import __version__
from agentcompress.cli.explain import explain, report_receipts
from agentcompress.cli.measure import calibrate, evaluate, run_bench
from agentcompress.cli.replay import replay
from agentcompress.cli.terminal import RateOption, show_progress
from agentcompress.cli.train import train
from agentcompress.errors import AgentCompressError, DraftError, InvalidInputError

if TYPE_CHECKING:
    from agentcompress.ledger.fronted import LastingStore
    from agentcompress.results import CompressedText

EXIT_INPUT, EXIT_DRAFT, EXIT_FAILED = 2, 3, 4


class _Commands(click.Group):
    """Turns our errors into one line on standard error and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except AgentCompressError as error:
            click.echo(f"agentcompress: {error}", err=True)
            code = EXIT_INPUT if isinstance(error, InvalidInputError) else EXIT_FAILED
            ctx.exit(EXIT_DRAFT if isinstance(error, DraftError) else code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="agentcompress")
def main() -> None:
    """Compress what an LLM agent is about to send.

    Exit codes: 0 done, 2 bad input, 3 the draft can't be used, 4 compression failed, 1 anything unforeseen.
    """
    # LiteLLM would ask the network for its price list when it is imported, and wait.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")


@dataclass(frozen=True)
class _CompressOptions:
    file: io.BufferedIOBase
    query: str
    keep_rate: Any
    target_tokens: int | None
    target: str
    draft: str
    scorer: str
    segmenter: str
    as_json: bool


@main.command()
@click.argument("file", type=click.File("rb"), default="-")
@click.option("-q", "--query", required=True, help="What the text is read for.")
@click.option("-k", "--keep-rate", type=RateOption(), help="Fraction of the target's tokens to keep: (0, 1]. [auto]")
@click.option("-n", "--target-tokens", type=int, help="Most tokens to keep, instead of --keep-rate.")
@click.option("-t", "--target", default="gpt-4o", show_default=True, help="Model whose tokens are counted.")
@click.option("-d", "--draft", default="smollm2-135m", show_default=True, help="Model that scores.")
@click.option("-s", "--scorer", default="reader", show_default=True, help="reader, calibrated, lexical, ...")
@click.option("--segmenter", default="auto", show_default=True, help="auto, prose, lines, chunks, ...")
@click.option("--json", "as_json", is_flag=True, help="Print text, spans, tokens and timings as JSON.")
def compress(**given: Any) -> None:
    """Compress FILE (or standard input) and print what is left.

    Bytes that are no UTF-8 come out as they went in.
    """
    from agentcompress import CompressConfig, Compressor

    options = _CompressOptions(**given)
    if options.keep_rate is not None and options.target_tokens is not None:
        raise click.UsageError("--keep-rate and --target-tokens exclude each other")
    text = options.file.read().decode("utf-8", "surrogateescape")
    name = getattr(options.file, "name", "<stdin>")
    config = CompressConfig(draft=options.draft, scorer=options.scorer, segmenter=options.segmenter)
    compressor = Compressor(config)
    with show_progress():
        result = compressor.compress_text(
            text,
            query=options.query,
            keep_rate=options.keep_rate,
            target_tokens=options.target_tokens,
            target=options.target,
            hint=None if name == "<stdin>" else name,
        )
    if options.as_json:
        click.echo(_to_json(result))
    else:
        sys.stdout.buffer.write(result.text.encode("utf-8", "surrogateescape"))
        sys.stdout.buffer.flush()
    click.echo(summarise(result), err=True)


@main.command("demo")
@click.option("-t", "--target", default="embedded/smollm2-135m", show_default=True, help="Model that answers.")
@click.option("-k", "--keep-rate", type=float, default=0.15, show_default=True, help="Fraction of tokens to keep.")
@click.option("-d", "--draft", default="smollm2-135m", show_default=True, help="Model that scores.")
def run_demo(target: str, keep_rate: float, draft: str) -> None:
    """Compress a real agent context made on this machine, and have a target answer from what is left.

    The default target is the draft itself, run on this machine: it needs no key, and answers like the small model it
    is. Any model LiteLLM knows will do better, e.g. --target gpt-4o with OPENAI_API_KEY set.
    """
    from agentcompress.cli import demo

    with show_progress():
        result = demo.compress_and_ask(target=target, keep_rate=keep_rate, draft=draft)
    demo.show_result(result)


@main.group("draft")
def group_drafts() -> None:
    """Fetch, find and remove draft models."""


@group_drafts.command("list")
def list_drafts() -> None:
    """List the built-in drafts and what was converted from GGUF, and where they are."""
    from agentcompress.drafts import load

    for name, files in load.list_drafts():
        click.echo(f"{name}\t{files.folder if files else 'not on this machine'}")


@group_drafts.command("pull")
@click.argument("name")
def pull_draft(name: str) -> None:
    """Make NAME (smollm2-135m, a Hugging Face id, or a .gguf file) ready for use. Prints its folder."""
    from agentcompress.drafts import load

    with show_progress():
        files = load.pull_draft(name)
    click.echo(files.folder)


@group_drafts.command("path")
@click.argument("name")
def print_draft_path(name: str) -> None:
    """Print the folder of NAME; exit code 3 when it is not on this machine. Never touches the network."""
    from agentcompress.drafts import load
    from agentcompress.errors import DraftUnavailableError

    files = load.find_draft(name)
    if files is None:
        raise DraftUnavailableError(f"draft {name!r} is not on this machine: `agentcompress draft pull {name}`")
    click.echo(files.folder)


@group_drafts.command("remove")
@click.argument("name")
def remove_draft(name: str) -> None:
    """Delete the converted weights of NAME. The Hugging Face cache and your own folders are left alone."""
    from agentcompress.drafts import load

    removed = load.remove_draft(name)
    click.echo(f"removed {removed}" if removed else f"nothing of {name} to remove", err=removed is None)


@main.group("ledger")
@click.option("--ledger", "name", default="auto", show_default=True, help="SQLite file, Redis URL, or auto.")
@click.pass_context
def group_ledger(context: click.Context, name: str) -> None:
    """Look at what was decided about conversations, and drop what is old."""
    context.obj = name


@group_ledger.command("stats")
@click.pass_obj
def print_ledger_stats(name: str) -> None:
    """Print how many decisions there are, and what they saved, as JSON."""
    click.echo(json.dumps(asdict(_open_ledger(name).stats()), indent=1))


@group_ledger.command("show")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Most to show.")
@click.option("--text", is_flag=True, help="Print the texts, too.")
@click.pass_obj
def show_ledger(name: str, limit: int, *, text: bool) -> None:
    """Print the decisions seen last, a line of JSON each."""
    for entry in _open_ledger(name).entries(limit):
        shown = asdict(entry)
        if not text:
            del shown["decision"]["text"]
        click.echo(json.dumps(shown))


@group_ledger.command("prune")
@click.option(
    "--older-than", "days", type=click.FloatRange(min=0), default=30.0, show_default=True, help="Days unseen."
)
@click.option("--max-bytes", type=click.IntRange(min=0), help="Most that texts and keys may take.")
@click.option(
    "--keep-days", type=click.FloatRange(min=0), default=7.0, show_default=True, help="Never drop younger ones."
)
@click.pass_obj
def prune_ledger(name: str, days: float, max_bytes: int | None, keep_days: float) -> None:
    """Drop decisions about conversations that were not seen for long. A dropped one may be decided differently."""
    dropped = _open_ledger(name).prune(older_than_s=days * 86_400, max_bytes=max_bytes, keep_s=keep_days * 86_400)
    click.echo(f"dropped {dropped}")


def _open_ledger(name: str) -> LastingStore:
    """Open the ledger of a name; raise where it is one in memory, which ends with its process."""
    from agentcompress.ledger.opening import open_lasting_store

    store = open_lasting_store(name)
    if store is None:
        raise click.UsageError("a ledger in memory is gone when its process is")
    return store


def summarise(result: CompressedText) -> str:
    """Say in one line: tokens before and after, share kept, who counted and scored, how long it took."""
    return (
        f"{result.tokens_before:,} -> {result.tokens_after:,} tokens ({result.keep_rate:.1%}) for {result.target}, "
        f"scorer {result.scorer}, {result.timings_ms['total'] / 1000:.1f} s"
    )


def _to_json(result: CompressedText) -> str:
    return json.dumps(
        {
            "text": result.text,
            "spans": result.spans,
            "tokens_before": result.tokens_before,
            "tokens_after": result.tokens_after,
            "keep_rate": result.keep_rate,
            "target": result.target,
            "scorer": result.scorer,
            "timings_ms": dict(result.timings_ms),
        }
    )


for command in (run_bench, evaluate, calibrate, train, replay, explain, report_receipts):
    main.add_command(command)
