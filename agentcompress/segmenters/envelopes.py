"""Envelopes: what a harness puts around a tool's output (ids, exit code, wall time, how many lines there are more).

Lines of it are kept whatever else is: without them an agent repeats the call. What is inside is of a kind of its own.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from agentcompress.text.lines import Rows
from agentcompress.text.reminders import find_reminders

_CERTAIN = re.compile(
    r"""
    \s*(?:
      Chunk\sID:|Wall\stime:|Process\s(?:exited|running)|Original\stoken\scount:|Total\soutput\slines:|Exit\s?code:|Exit\sstatus:
      |Duration:\s\d|Command:\s|(?:STDOUT|STDERR|stdout|stderr|Output|Result|Content)\s?:\s*$|Command\sfailed\swith|Shell\scwd\swas
      |</?(?:returncode|exit_?code|output|output_head|output_tail|elided_chars|warning|stdout|stderr|path|type|content|file|result|tool_result
        |error|system-reminder|system_warning|duration|command|cwd|bash-\w+|local-command-\w+|function_results|observation|file_content|document|source)\b[^>]{0,120}>
      |\[(?:File|The\scommand\scompleted|Command\sfinished|Current\sworking\sdirectory|Python\sInterpreter|Jupyter\scurrent|Python\sinterpreter|Showing|Exit|exit|Process)\b
      |\[?\(?\d+\s(?:more\s)?lines?\s(?:above|below|total)|\((?:End\sof\sfile|File\shas\smore|Results\sare|Output\s|Showing\s|Use\s|\d+\s(?:more\s)?lines)\b
      |Here's\sthe\s(?:result|files)|Found\s\d+\s(?:match|file|result|line)|Showing\s(?:lines?|results?|matches)|Execution\s(?:time|result)
      |.{0,60}\boutput\s(?:was\s)?(?:truncated|too\slong)|\(Bash\scompleted|Error:\sExit\scode|The\sfile\s.{1,200}\shas\sbeen|Launching\s
    )
    """,
    re.VERBOSE,
)
_POSSIBLE = re.compile(
    r"\s*(?:</?[A-Za-z][\w:-]*(?:\s[^<>]*)?>.{0,200}(?:</[\w:-]+>)?|[A-Z][\w -]{1,30}:\s.{1,160}|\[[^\]]{3,240}\]"
    r"|\([^)]{3,240}\))\s*$"
)
_INSIDE = re.compile(
    r"\s*(?:(?:STDOUT|STDERR|stdout|stderr|Output|Result|Content)\s?:|<(?:output|output_head|stdout|content|file_content)>)\s*$"
)
_CERTAIN_TAIL = re.compile(
    r"^\s*(?:</|<system|\[The|\[Command|\[Current|\[Python|\[Jupyter|\[File|\[?\(?\d+\s(?:more\s)?lines?|\((?:End|File|Results|Output|"
    r"Showing|Use)|Exit|Process)|output\s(?:was\s)?truncated",
    re.MULTILINE | re.IGNORECASE,
)
_MOST_LINES = 14
_TAIL_CHARS = 6000


class Envelope(NamedTuple):
    """Where what stands in an envelope begins and ends."""

    start: int
    end: int


def find_envelope(text: str) -> Envelope | None:
    """Find what a harness has put before and behind a tool's output; None where it has put nothing."""
    rows = Rows(text[:_TAIL_CHARS])
    head = _measure_head([rows[row] for row in range(min(len(rows), _MOST_LINES + 1))])
    start = rows.get_span(0, head - 1)[1] if head else 0
    end = _find_tail(text, start)
    if not start and not _CERTAIN_TAIL.search(text, end):
        end = len(text)  # a report's own last words
    if not text[start:end].strip() or (not start and end == len(text)):
        return None
    return Envelope(start, end)


def _measure_head(lines: list[str]) -> int:
    """How many lines at the beginning are an envelope's: up to the last that certainly is one."""
    last = 0
    for number, line in enumerate(lines, 1):
        if _CERTAIN.match(line):
            last = number
            if _INSIDE.match(line):
                return last
        elif line.strip() and not _POSSIBLE.match(line):
            break
    return min(last, _MOST_LINES)


def _find_tail(text: str, start: int) -> int:
    """Where an envelope's last lines begin: from the first that certainly is one, with nothing else behind it."""
    end = len(text)
    floor = max(start, end - _TAIL_CHARS)
    for span in find_reminders(text[floor:]):
        if not text[floor + span.end :].strip():
            end = floor + len(text[floor : floor + span.start].rstrip(" \t"))
            break
    at = found = end
    for _ in range(_MOST_LINES):
        line_start = text.rfind("\n", floor, at - 1) + 1 if at > floor else 0
        if line_start <= floor:
            break
        line = text[line_start:at]
        if _CERTAIN.match(line):
            found = line_start
        elif line.strip() and not _POSSIBLE.match(line):
            break
        at = line_start
    return found
