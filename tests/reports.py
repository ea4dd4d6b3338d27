"""Outputs of test runners, builds and the like, made up, and what must be kept of each at a tenth of its tokens."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

WORDS = (
    "cache",
    "index",
    "shard",
    "token",
    "ledger",
    "queue",
    "batch",
    "replica",
    "cursor",
    "window",
    "parser",
    "buffer",
)


@dataclass(frozen=True)
class Report:
    """A text, what an agent wants of it, and the strings that anyone would keep."""

    text: str
    query: str
    must: tuple[str, ...]


class Lines:
    """Makes lines that a run is full of."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)

    def name(self, joint: str = "_") -> str:
        """Two words."""
        return f"{self.random.choice(WORDS)}{joint}{self.random.choice(WORDS)}"

    def ms(self) -> int:
        """A time that a test took."""
        return self.random.randrange(1, 90)

    def among(self, lines: list[str], block: list[str]) -> list[str]:
        """Lines with a block in the middle of them."""
        at = self.random.randrange(len(lines) // 3, 2 * len(lines) // 3)
        return [*lines[:at], *block, *lines[at:]]


REPORTS: dict[str, Callable[[], Report]] = {}


def report(make: Callable[[Lines], tuple[list[str], tuple[str, ...]]]) -> None:
    """Note a report under its maker's name."""

    def build() -> Report:
        lines, must = make(Lines(make.__name__))
        return Report("\n".join(lines) + "\n", "Task: make it pass\nLast action: bash {}", must)

    REPORTS[make.__name__] = build


@report
def vitest(r: Lines) -> tuple[list[str], tuple[str, ...]]:
    ok = [f" ✓ src/{r.name('/')}.test.ts ({r.ms()} tests) {r.ms()}ms" for _ in range(240)]
    failed = [" ❯ src/cart/totals.test.ts (9 tests | 1 failed) 31ms", "   × applies the loyalty discount 4ms"]
    report = [
        "⎯⎯⎯⎯⎯⎯⎯ Failed Tests 1 ⎯⎯⎯⎯⎯⎯⎯",
        "",
        " FAIL  src/cart/totals.test.ts > totals > applies the loyalty discount",
        "AssertionError: expected 119 to be 107.1 // Object.is equality",
        "",
        "- Expected",
        "+ Received",
        "",
        "- 107.1",
        "+ 119",
        "",
        " ❯ src/cart/totals.test.ts:43:24",
        "     41|   it('applies the loyalty discount', () => {",
        "     42|     const cart = makeCart({ loyalty: true })",
        "     43|     expect(totals(cart).sum).toBe(107.1)",
        "       |                              ^",
        "",
        "⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯[1/1]⎯",
        "",
        " Test Files  1 failed | 160 passed (161)",
        "      Tests  1 failed | 2911 passed (2912)",
        "   Duration  12.01s",
    ]
    must = ("FAIL  src/cart/totals.test.ts > totals", "expected 119 to be 107.1", "src/cart/totals.test.ts:43:24")
    return [*r.among(ok, failed), "", *report], (*must, "1 failed | 2911 passed")


@report
def dotnet(r: Lines) -> tuple[list[str], tuple[str, ...]]:
    ok = [f"  Passed Shop.Tests.{r.name('.')}.Case{i} [{r.ms()} ms]" for i in range(200)]
    failed = [
        "  Failed Shop.Tests.Price.RoundsHalfUp [12 ms]",
        "  Error Message:",
        "   Assert.Equal() Failure: Values differ",
        "Expected: 10",
        "Actual:   9",
        "  Stack Trace:",
        "     at Shop.Tests.Price.RoundsHalfUp() in /src/Shop.Tests/Price.cs:line 88",
    ]
    end = ["", "Test Run Failed.", "Total tests: 201", "     Passed: 200", "     Failed: 1", " Total time: 4.1 Seconds"]
    must = ("Failed Shop.Tests.Price.RoundsHalfUp", "Expected: 10", "Actual:   9", "Price.cs:line 88")
    return r.among(ok, failed) + end, (*must, "Total tests: 201", "Failed: 1")


@report
def phpunit(r: Lines) -> tuple[list[str], tuple[str, ...]]:
    dots = [f"{'.' * 61} {61 * i} / 3660 ({i * 100 // 60}%)" for i in range(1, 60)]
    deprecated = [
        f"{i}) {r.name('::')}: Optional parameter before required one in /app/{r.name('/')}.php" for i in range(80)
    ]
    failed = [
        "There was 1 failure:",
        "",
        "1) App\\Tests\\PriceTest::testRounds",
        "Failed asserting that 9 matches expected 10.",
        "",
        "/app/tests/PriceTest.php:41",
        "",
        "FAILURES!",
        "Tests: 3660, Assertions: 9100, Failures: 1.",
    ]
    must = ("PriceTest::testRounds", "Failed asserting that 9 matches expected 10.", "/app/tests/PriceTest.php:41")
    return ["PHPUnit 11.2.0", "", *dots, "", *deprecated, "", *failed], (*must, "Assertions: 9100, Failures: 1.")


@report
def go_test(r: Lines) -> tuple[list[str], tuple[str, ...]]:
    ok = [
        line
        for i in range(150)
        for line in (f"=== RUN   Test{r.name('').title()}{i}", f"--- PASS: Test{i} (0.0{i % 9}s)")
    ]
    failed = [
        "=== RUN   TestRefund",
        "    refund_test.go:64: got 9 cents, want 10 cents",
        "--- FAIL: TestRefund (0.00s)",
    ]
    return [*r.among(ok, failed), "FAIL", "FAIL\texample.com/shop\t0.412s", "FAIL"], (
        "refund_test.go:64: got 9 cents, want 10 cents",
        "--- FAIL: TestRefund",
        "FAIL\texample.com/shop",
    )


@report
def ctest(r: Lines) -> tuple[list[str], tuple[str, ...]]:
    ok = [
        line
        for i in range(1, 160)
        for line in (
            f"      Start {i:3d}: {r.name()}",
            f"{i:3d}/160 Test #{i}: {r.name()} ......   Passed    0.{r.ms():02d} sec",
        )
    ]
    failed = ["      Start 160: codec_roundtrip", "160/160 Test #160: codec_roundtrip ...***Failed    0.31 sec"]
    end = [
        "",
        "99% tests passed, 1 tests failed out of 160",
        "",
        "The following tests FAILED:",
        "\t160 - codec_roundtrip (Failed)",
    ]
    return [*r.among(ok, failed), *end, "Errors while running CTest"], (
        "codec_roundtrip ...***Failed",
        "99% tests passed, 1 tests failed out of 160",
    )


@report
def gtest(r: Lines) -> tuple[list[str], tuple[str, ...]]:
    ok = [
        line
        for _ in range(120)
        for name in [f"{r.name('.')}"]
        for line in (f"[ RUN      ] {name}", f"[       OK ] {name} ({r.ms()} ms)")
    ]
    failed = [
        "[ RUN      ] Ledger.Balances",
        "/src/ledger_test.cc:77: Failure",
        "Expected equality of these values:",
        "  ledger.sum()",
        "    Which is: 41",
        "  42",
        "[  FAILED  ] Ledger.Balances (0 ms)",
    ]
    end = [
        "[==========] 121 tests from 9 test suites ran. (900 ms total)",
        "[  PASSED  ] 120 tests.",
        "[  FAILED  ] 1 test, listed below:",
    ]
    return [*r.among(ok, failed), *end, "[  FAILED  ] Ledger.Balances"], (
        "/src/ledger_test.cc:77: Failure",
        "Which is: 41",
        "[  FAILED  ] Ledger.Balances",
        "[  PASSED  ] 120 tests.",
    )


@report
def maven(r: Lines) -> tuple[list[str], tuple[str, ...]]:
    ok = [
        line
        for _ in range(70)
        for name in [f"com.shop.{r.name('.').title()}Test"]
        for line in (
            f"[INFO] Running {name}",
            f"[INFO] Tests run: 9, Failures: 0, Errors: 0, Skipped: 0, Time elapsed: 0.{r.ms():02d} s -- in {name}",
        )
    ]
    failed = [
        "[INFO] Running com.shop.PriceTest",
        "[ERROR] Tests run: 8, Failures: 1, Errors: 0, Skipped: 0, Time elapsed: 0.03 s <<< FAILURE!",
        "[ERROR] com.shop.PriceTest.roundsUp -- Time elapsed: 0.004 s <<< FAILURE!",
        "org.opentest4j.AssertionFailedError: expected: <10> but was: <9>",
        "\tat com.shop.PriceTest.roundsUp(PriceTest.java:88)",
        "",
    ]
    end = [
        "[INFO] Results:",
        "[ERROR] Failures: ",
        "[ERROR]   PriceTest.roundsUp:88 expected: <10> but was: <9>",
        "[INFO] ",
        "[ERROR] Tests run: 638, Failures: 1, Errors: 0, Skipped: 0",
        "[INFO] BUILD FAILURE",
    ]
    return r.among(ok, failed) + end, (
        "expected: <10> but was: <9>",
        "PriceTest.roundsUp",
        "88",
        "Tests run: 638, Failures: 1",
        "BUILD FAILURE",
    )


@report
def eslint(r: Lines) -> tuple[list[str], tuple[str, ...]]:
    lines = []
    for i in range(60):
        lines += [
            f"/repo/src/{r.name('/')}{i}.js",
            *(f"  {r.ms()}:{r.ms()}  warning  Unexpected console statement  no-console" for _ in range(3)),
        ]
        if i == 31:
            lines.append("  118:9   error    'sessionToken' is not defined  no-undef")
        lines.append("")
    place = next(
        line
        for line in reversed(lines[: lines.index("  118:9   error    'sessionToken' is not defined  no-undef")])
        if line.startswith("/")
    )
    return [*lines, "✖ 181 problems (1 error, 180 warnings)"], (
        "118:9   error    'sessionToken'",
        place,
        "181 problems (1 error, 180 warnings)",
    )


@report
def git_status(r: Lines) -> tuple[list[str], tuple[str, ...]]:
    changed = [f"\tmodified:   src/{r.name('/')}_{i}.py" for i in range(140)]
    return [
        "On branch main",
        "Your branch is ahead of 'origin/main' by 3 commits.",
        "",
        "Changes not staged for commit:",
        '  (use "git add <file>..." to update what will be committed)',
        *changed,
        "",
        "Untracked files:",
        '  (use "git add <file>..." to include in what will be committed)',
        "\tsecrets/prod.env",
        "",
        'no changes added to commit (use "git add" and/or "git commit -a")',
    ], ("On branch main", "Untracked files:", "secrets/prod.env")


@report
def nmap(r: Lines) -> tuple[list[str], tuple[str, ...]]:
    hosts = []
    for i in range(1, 60):
        hosts += [
            f"Nmap scan report for 10.0.3.{i}",
            "Host is up (0.0021s latency).",
            "PORT    STATE SERVICE",
            "22/tcp  open  ssh",
            "443/tcp open  https",
            "",
        ]
        if i == 37:
            hosts[-1:] = ["6379/tcp open  redis", ""]
    return ["Starting Nmap 7.94", *hosts, "Nmap done: 256 IP addresses (59 hosts up) scanned in 12.31 seconds"], (
        "6379/tcp open  redis",
        "10.0.3.37",
        "59 hosts up",
    )


@report
def javac(r: Lines) -> tuple[list[str], tuple[str, ...]]:
    lines = []
    for _ in range(50):
        name = r.name("/")
        lines += [
            f"src/{name}.java:{r.ms()}: warning: [deprecation] getTime() in Clock has been deprecated",
            "        clock.getTime();",
            "             ^",
        ]
    error = [
        "src/shop/Price.java:88: error: cannot find symbol",
        "        rate.roundUp();",
        "            ^",
        "  symbol:   method roundUp()",
        "  location: variable rate of type Rate",
    ]
    return [*lines[:90], *error, *lines[90:], "1 error", "50 warnings"], (
        "src/shop/Price.java:88: error: cannot find symbol",
        "symbol:   method roundUp()",
        "1 error",
    )


@report
def npm_audit(r: Lines) -> tuple[list[str], tuple[str, ...]]:
    lines = ["# npm audit report", ""]
    for i in range(45):
        name = r.name("-") + str(i)
        lines += [
            f"{name}  <{i}.2.1",
            "Severity: moderate",
            f"{r.name(' ')} in {name} - https://example.test/GHSA-{i:04d}",
            "fix available via `npm audit fix`",
            f"node_modules/{name}",
            "",
        ]
        if i == 22:
            lines += [
                "tar-stream-lite  <=2.0.3",
                "Severity: critical",
                "Arbitrary file overwrite - https://example.test/GHSA-9999",
                "No fix available",
                "node_modules/tar-stream-lite",
                "",
            ]
    return [
        *lines,
        "46 vulnerabilities (45 moderate, 1 critical)",
        "",
        "To address all issues that do not require attention, run:",
        "  npm audit fix",
    ], (
        "tar-stream-lite  <=2.0.3",
        "Severity: critical",
        "46 vulnerabilities (45 moderate, 1 critical)",
    )


@report
def ansible(r: Lines) -> tuple[list[str], tuple[str, ...]]:
    lines = ["PLAY [all] *******", ""]
    for i in range(40):
        lines += [f"TASK [{r.name(' ')} : step {i}] *******", *(f"ok: [web-{h:02d}]" for h in range(6)), ""]
        if i == 20:
            lines[-1:] = ['fatal: [web-04]: FAILED! => {"changed": false, "msg": "No space left on device"}', ""]
    recap = [
        "PLAY RECAP *******",
        *(f"web-{h:02d} : ok=40 changed=3 unreachable=0 failed={int(h == 4)} skipped=0" for h in range(6)),
    ]
    return lines + recap, ("fatal: [web-04]: FAILED!", "No space left on device", "failed=1")


@report
def github_actions(r: Lines) -> tuple[list[str], tuple[str, ...]]:
    stamp = "2026-03-01T10:00:{:02d}.1234567Z "
    ok = [stamp.format(i % 60) + f"  Downloading {r.name('-')} {r.ms()}.{r.ms()}.0 ({r.ms()} kB)" for i in range(180)]
    failed = [
        stamp.format(9) + "##[error]Resource not accessible by integration",
        stamp.format(9) + "##[error]Process completed with exit code 3.",
    ]
    return [*ok, *failed, stamp.format(10) + "Post job cleanup."], (
        "Resource not accessible by integration",
        "exit code 3",
    )


@report
def codex_envelope(r: Lines) -> tuple[list[str], tuple[str, ...]]:
    hits = [f"src/{r.name()}.py:{r.ms()}:    {r.name()}({r.name()})" for _ in range(200)]
    head = [
        "Chunk ID: 3fa901",
        "Wall time: 0.2113 seconds",
        "Process exited with code 2",
        "Original token count: 5120",
        "Output:",
    ]
    return head + hits, ("Chunk ID: 3fa901", "Process exited with code 2", "Original token count: 5120")


@report
def mini_swe_agent(r: Lines) -> tuple[list[str], tuple[str, ...]]:
    ok = [f"  copying build/{r.name('/')}.py" for _ in range(200)]
    text = [
        "<returncode>1</returncode>",
        "<warning>",
        "The output of your last command was too long.",
        "</warning>",
        "<output_head>",
        *ok,
        "</output_head>",
        "<elided_chars>",
        "21034 characters elided",
        "</elided_chars>",
        "<output_tail>",
        *ok[:50],
        "</output_tail>",
    ]
    return text, ("<returncode>1</returncode>", "21034 characters elided")


@report
def overwritten(r: Lines) -> tuple[list[str], tuple[str, ...]]:
    bar = "\r".join(f"  Downloading big-wheel {i}% of 812 MB eta 0:00:{60 - i // 2:02d}" for i in range(100))
    return ["Collecting big-wheel", bar, "ERROR: Could not install packages: [Errno 28] No space left on device"] + [
        f"Collecting {r.name('-')}" for _ in range(20)
    ], (
        "[Errno 28] No space left on device",
        "Downloading big-wheel 99%",
    )


@report
def coloured(r: Lines) -> tuple[list[str], tuple[str, ...]]:
    ok = [f"\x1b[32m  ✔\x1b[39m \x1b[2m{r.name(' ')} works ({r.ms()}ms)\x1b[22m" for _ in range(200)]
    failed = [
        "\x1b[31m  ✖ renews the lease\x1b[39m",
        "",
        "\x1b[31m    Expected: \x1b[1m60\x1b[22m\x1b[39m",
        "\x1b[31m    Received: \x1b[1m61\x1b[22m\x1b[39m",
        "",
    ]
    return [*r.among(ok, failed), "", "\x1b[31m1 test failed\x1b[39m", "\x1b[32m200 tests passed\x1b[39m"], (
        "renews the lease",
        "Received: \x1b[1m61",
        "1 test failed",
    )
