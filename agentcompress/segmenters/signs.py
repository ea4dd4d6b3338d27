"""What a line says for its own sake: how it ended, what was left out, what failed, where, and what was expected."""

from __future__ import annotations

import re

TOLD, FIRST, ENDS, ERROR, WARNING, BODY = 50, 40, 30, 20, 10, 5
"""Floors of lines: counts, exit codes and notices of what another tool left out; what belongs to the first failures, a
little less for each that follows; names of others, and how it ended; errors; warnings, and lines unlike all others;
what else stands below the first failures."""

_COUNTED = (
    r"(?:tests?|specs?|examples?|assertions?|suites?|scenarios?|steps?|checks?|tasks?|jobs?|passed|passing|failed|failing"
    r"|failures?|errors?|warnings?|warns?|problems?|issues?|vulnerabilit(?:y|ies)|violations?|offenses?|rows?|records?"
    r"|results?|matches|skipped|skips|skip|pending|todo|ignored|cancelled|flaky|xfailed|xpassed|deselected|insertions?"
    r"|deletions?|added|changed|removed|destroyed|unreachable|succeeded|executed|incomplete|risky|not\s+upgraded"
    r"|to\s+(?:add|change|destroy|install|remove|upgrade)|files?\s+changed|files?\s+would\s+be|packages?"
    r"|updated|unchanged|created|replaced|deleted|modified|upgraded|installed|reachable"
    r"|loaded\s+units\s+listed|hosts?\s+up|source\s+files?|files?)\b"
)
_COUNT = rf"\d[\d,.]*\s+(?:\w+\s+){{0,2}}?{_COUNTED}(?!=)"
_ENDS_COUNT = r"[^a-z]*(?:$|[,;|(·]|\.\s|\b(?:in|of|with|and|total)\b)"
_COUNTS = re.compile(
    rf"^[\s=*#>~+✖✗✘×✔✓ℹ❌-]*(?:{_COUNT}|(?i:{_COUNTED})\s*[:=]\s*\d){_ENDS_COUNT}|{_COUNT}.{{0,60}}?{_COUNT}|"
    + r"""
    ^\W*(?i:found|ran|total|executed|collected|plan|finished|completed|tests\s+run|took|done|duration|elapsed|(?:total|execution|planning|elapsed)\s(?:run\s?)?time)\b[\s:!=]{1,4}[^a-z]{0,12}\d
    |^\W*(?i:plan|totals?|summary|results?|tests?|test\s+(?:files|suites|cases)|tests\s+run|test\s+run\s+(?:failed|successful)
      |test\s+result|suites|failures?|failed\s+tests|failed|passed|total\s+tests|errors|warnings|skipped|stats|changes|status
      |(?:destroy|apply)\s+complete!?)\s*[:=!]\s.{0,40}?\d
    |^(?i:tests?|test\sfiles|suites|snapshots)\s\s?\d+\s\w+|^(?:FAILED|PASSED|OK)\s\|\s\d+|^Ran\s\d+
    |^\#\s(?:tests|pass|fail|suites|skipped|cancelled|todo|ok|failed|passed)\b.*\d
    |^\W*\d+\s+(?:errors?|warnings?|failures?|failed|problems?|vulnerabilities)\b.{0,40}$
    |\b[1-9]\d*\s+(?:errors?|failures?|problems?|vulnerabilities)\W*$
    |\b(?i:passed|succeeded|ok|failed|errors?|failures|warnings|skipped|ignored)\s\d+,\s(?i:passed|succeeded|failed|errors?
      |failures|warnings|skipped|ignored|canceled)\s\d
    |^\(\d+\s+rows?\)|^\d+\s+rows?\s+in\s+set|\bdue\s+to\s+\d+\s+(?:previous\s+)?errors?\b
    |^OK(?:\s\(|\s*$)|\b100%\s+tests\s+passed|\b\d+%\s+tests\s+passed
    """,
    re.VERBOSE,
)
_EXIT = re.compile(
    r"\bexit(?:ed)?(?:\s+(?:with|non-?zero))?(?:\s*[_ ]?(?:code|status))?(?:\s+value)?\s*[:=\s]\s*-?\d+\b"
    r"|\b(?:return(?:ed)?[ _]?code|returned\s+(?:a\s+)?non-zero\s+code)\s*[:=>\s]\s*-?\d+"
    r"|\b(?:terminated by|killed by|received)\s+signal\b|\bcompleted with exit code\b|\bSIG(?:KILL|SEGV|ABRT|TERM)\b"
    r"|\bBUILD\s+(?:FAILED|FAILURE|SUCCESS(?:FUL)?)\b|\bmake(?:\[\d+\])?:\s\*\*\*"
)
_FAILED_EXIT = re.compile(
    r"(?i)\bexit(?:ed)?\b[\w\s]{0,20}[:=\s]\s*-?[1-9]\d*\b|\breturn(?:ed)?[ _]?code\s*[:=>\s]\s*-?[1-9]|\bnon-zero\b"
)
_NOTICE = re.compile(
    r"(?i)\b(?:output|results?|content|file|log|lines?|response|text|list)\b.{0,40}\b(?:truncated|elided|abbreviated)\b"
    r"|\btruncated\b.{0,60}\b(?:of|at|to|from|after|output|results?|characters|lines|bytes)\b"
    r"|\b(?:full|complete|entire)\s+(?:output|logs?|results?|report|details)\b.{0,60}(?:\bat\b|\bin\b|:|\bsaved\b)"
    r"|\b(?:a\s+)?complete\s+log\s+of\s+this\s+run\b|\b(?:log|report|output)\s+(?:was\s+)?(?:saved|written)\s+(?:to|in)\b"
    r"|\b\d[\d,]*\s+(?:more|other|further|additional|remaining)\s+(?:\w+\s+)?(?:lines?|matches|results?|rows?|entries|items|files?|errors?|tests?)\b"
    r"|\b\d[\d,]*\s+(?:\w+\s+)?(?:lines?|matches|results?|rows?|entries|items|files|characters|chars|bytes|tokens)\s+(?:\w+\s+)?"
    r"(?:above|below|omitted|hidden|not\s+shown|elided|truncated|skipped|left\s+out|suppressed)\b"
    r"|^\W*\d+\s+more\b|\bmore\s+lines\s+(?:above|below)\b|\bmore\s+(?:rows|results|pages)\s+available\b"
)
_NAMED = re.compile(
    r"""
    ^(?:FAILED|ERROR)\s\S+(?:::\S|\.py\b)                                      # pytest's summary
    |^!\s[A-Z]\w+\s                                                            # TeX
    |^(?:FAIL|ERROR):\s\S+\s\(|^FAILED\s\(                                     # unittest
    |^_{3,}\s.*\S\s_{3,}$                                                      # pytest's sections
    |^\s*---\sFAIL:|^FAIL\s+\S+|^test\s.*\.\.\.\sFAILED|^----\s.*\sstdout\s----   # go, cargo
    |^\s*[✕✗✖✘×●❌]\s\S|^\s*not\sok\s\d|^rspec\s\S+:\d|\s>\s.*\bFAILED$           # jest, TAP, rspec, gradle
    |^\s*FAIL(?:ED|URE)?\b\s*[\[:|]?\s*\S|\bFAIL(?:ED|URE)?\]?[.!\s|]*$|<<<\s(?:FAILURE|ERROR)!
    |^\s*\[\s*(?:FAILED|FAIL)\s*\]|\[FAIL\]|\[E\]$|^\(fail\)\s|\*\*\*\s?(?:Failed|Exception|Timeout|Not\sRun)
    |^\s*Failed\s\S+\s\[|^\s*\d+\)\s\S|^Test\sCase\s.*\sfailed\b|\|\sFAIL\s\||^\s*Failed\stest|^\s*[\w./-]+:\s+FAIL|\bFAIL\b|^X\s\s\S|\bRequested\schanges\b|\bFAILED\b(?=\s*(?:\(|in\b|after\b))
    """,
    re.VERBOSE,
)
_NUMBERED = re.compile(r"\s*\d+\)\s\S")
_ERROR = re.compile(
    r"""
    (?i:\b(?:errors?|fatal|panic(?:ked)?|critical|failed|failures?|failing|segmentation\sfault|core\sdumped|aborted|denied
      |unhealthy|crashloopbackoff|oomkilled|no\sspace\sleft|not\sfound|cannot|can't|could\snot|couldn't|unable\sto|no\ssuch|exceeded)\b)
    |\bNaN\b|[\s=:]nan\b|=\s-1\sE[A-Z]{3,}|(?i:fehler|fehlgeschlagen|erreur|échec|errore|ошибк)|错误|失败|失敗|エラー|오류|실패
    |^E\s{2,}\S|^>\ {2,}\S|(?:Error|Exception|EXCEPTION)\b|^Caused\sby:|^e:\s|\bnpm\sERR!|\bERR\b
    |\bundefined\sreference\b|^E:\s
    """,
    re.VERBOSE,
)
_NO_ERROR = re.compile(
    r"(?i)(?<![=:\w.])(?:0|no|without|zero)\s(?:errors?|failures?|failed)\b|\b(?:errors?|failures?|failed|fail)[=:]\s*0\b"
    r"|\w*(?:errors?|failures?|exception)[\"']?\s*[=:]\s*(?:null|none|nil|false|\"\"|''|\[\]|\{\}|-)(?!\w)"
)
_WARNING = re.compile(
    r"(?i:warnings?\b|\b(?:warn|deprecated|timed?\s?out|timeout|retry(?:ing)?|refused|corrupt(?:ed)?)\b)"
    r"|\bSKIP(?:PED|PING)?\b"
)
_VALUE = re.compile(
    r"""
    ^\W{0,6}(?:
      (?i:expected|actual|received|got|want(?:ed)?|left|right|to\s(?:be|equal|match|have|contain)|but\s(?:was|got)|assert\w*|message|reason|cause|code|errno
      |severity|operator|found|symbol|location|signal|status|note|hint|required|error\smessage|failure/error|which\sis|with\sexpansion
      |diff|value\sof|actual\svalue|evaluates?\sto|caused\sby|details?)\b[^:=]{0,30}[:=>]
    )
    |!==?|\s===?\s|\bexpected\b.*\b(?:got|to|but|found|received|actual|not)\b|\b(?:got|received|was)\b.{0,80}\b(?:want|expected)\b
    |^E\s+\S|^raise\s|\^.*\w|\b(?:Error|Exception|Failure)\b:|\bassert\w*\b.*[!=<>]=
    """,
    re.VERBOSE,
)
_MARKED = re.compile(r"(?!--\w)[-+>]\s?\S|(?:\d+\s*)?[|│]\s*\^|\^+")
_PLACE = re.compile(
    r"-->\s*\S|\bFile\s\".*\",\sline\s\d|[\w./\\$()<>@-]*[\w)]\.\w{1,8}[:(]\d+|[\w./\\-]+\.\w{1,8}:line\s\d+|\bline\s\d+\b"
    r"|[\w./-]+\.\w{1,5}\s\d+:\d+|^@\s\S+\.\w{1,5}\b"
)
_CRASH = re.compile(r"\bsignal\s+(?:SIG|\d)|(?i:segmentation fault|core dumped)")
_LIBRARY = re.compile(
    r"node_modules|site-packages|dist-packages|\bnode:|/rustc/|\binternal/|\bjava\.base|/usr/lib|vendor/|\.cargo/|goroot|/go/src/|\bsun\.|org\.junit"
    r"|System\.\w+\.|xunit|/gems/|testing\.go"
)
_CODE = re.compile(r"(?<![\w./-])[A-Z]{1,4}\d{2,5}(?![\w.-])")
"""What linters and compilers call a rule: `E1120`, `SC2115`, `TS2741`."""

_LETTERS = re.compile(r"[a-z']+")
_SIGNS = (
    "error errors err fail failed failure failures failing fatal panic panicked critical exception abort"
    " aborted fault denied dumped caused undefined warn warning warnings deprecated timeout timed time retry"
    " retrying refused unhealthy crashloopbackoff oomkilled space found cannot can't could couldn't unable such"
    " e xfailed exceeded nan corrupt corrupted skip skipped skipping fehler erreur errore"
    " fehlgeschlagen"
)
_SIGN_WORDS = frozenset(_SIGNS.split())

_SIGN_IDEOGRAMS = ("错误", "失败", "失敗", "エラー", "오류", "실패")
_SIGN_PARTS = ("Error", "Exception", "EXCEPTION", "Warning", ">  ", "FAIL", "= -1 E", "chec", "шибк", *_SIGN_IDEOGRAMS)
_NAME_PARTS = (
    "FAIL",
    "! ",
    "X  ",
    "Requested",
    "ail",
    "ERROR",
    "not ok",
    "rspec",
    "___",
    "----",
    "[E]",
    "***",
    ") ",
    *"✕✗✖✘×●❌",
)
_TOLD = (
    "test tests spec specs example examples assertion assertions suite suites scenario scenarios step steps"
    " check checks task tasks job jobs passed passing failed failing failure failures error errors warning"
    " warnings warns warn problem problems issue issues vulnerability vulnerabilities violation violations"
    " offense offenses row rows record records result results matches skipped skips skip pending todo ignored"
    " cancelled flaky xfailed xpassed deselected insertion insertions deletion deletions added changed removed"
    " destroyed unreachable succeeded executed incomplete risky upgraded file files package packages host hosts"
    " unit units source found plan total totals summary ran collected finished completed took done stats changes"
    " status apply destroy pass ok exit exited return returned code signal build make truncated elided"
    " abbreviated full complete entire saved written more lines omitted shown sigkill sigsegv sigabrt sigterm"
    " updated unchanged created replaced deleted modified installed duration elapsed execution planning time"
    " add change install remove upgrade fail log report output snapshots returncode exitcode"
)
_TOLD_WORDS = frozenset(_TOLD.split())

_SEEN_CHARS = 400


def rate_line(line: str) -> int:
    """The floor of a line for its own sake: `TOLD`, `ENDS`, `ERROR`, `WARNING`, or 0. line: without colours."""
    return TOLD if tells_count(line) else rate_sign(line)


def rate_sign(line: str) -> int:
    """The floor of a line for what has failed: `ENDS`, `ERROR`, `WARNING`, or 0. line: without colours."""
    line = line[:_SEEN_CHARS]
    if any(part in line for part in _NAME_PARTS) and _NAMED.search(line):
        return ENDS
    if _SIGN_WORDS.isdisjoint(_LETTERS.findall(line.lower())) and not any(part in line for part in _SIGN_PARTS):
        return 0
    if _ERROR.search(_NO_ERROR.sub("", line)):
        return ERROR
    return WARNING if _WARNING.search(line) else 0


def find_code(line: str) -> str | None:
    """The code of a rule that a line of a linter or compiler names; None where it names none."""
    found = _CODE.search(line[:_SEEN_CHARS])
    return found.group() if found else None


def is_numbered(line: str) -> bool:
    """Whether a line is an item of a numbered list, as failures are that stand apart, and much else."""
    return _NUMBERED.match(line) is not None


def tells_count(line: str) -> bool:
    """Whether a line says how many there were, how it exited, or what another tool has left out."""
    line = line[:_SEEN_CHARS]
    if _TOLD_WORDS.isdisjoint(_LETTERS.findall(line.lower())):
        return False
    return _COUNTS.search(line) is not None or _EXIT.search(line) is not None or _NOTICE.search(line) is not None


def tells_failed_exit(line: str) -> bool:
    """Whether a line says that something has ended with a failure."""
    return _FAILED_EXIT.search(line[:_SEEN_CHARS]) is not None


def tells_crash(line: str) -> bool:
    """Whether a line says that a signal has ended a program: what follows says where."""
    return _CRASH.search(line[:_SEEN_CHARS]) is not None


def tells_notice(line: str) -> bool:
    """Whether a line says what another tool has left out, or where all of it is."""
    return _NOTICE.search(line[:_SEEN_CHARS]) is not None


def tells_value(line: str) -> bool:
    """Whether a line says what was expected or received, or why."""
    return _VALUE.search(line[:_SEEN_CHARS].strip()) is not None


def is_marked(line: str) -> bool:
    """Whether a line of source is pointed at, or one of a difference."""
    return _MARKED.match(line[:_SEEN_CHARS].strip()) is not None


def tells_place(line: str) -> bool:
    """Whether a line says where in the source, and not in a library's."""
    line = line[:_SEEN_CHARS]
    return _PLACE.search(line) is not None and _LIBRARY.search(line) is None
