"""Tables, files and pages as tools show them, made up: each with a question and what must be kept at a tenth of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from tests.reports import REPORTS, WORDS, Report

_WORDS = WORDS[:11]


class Made:
    """Makes words and rows from a seed."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)

    def name(self, joint: str = "-") -> str:
        """Two words."""
        return f"{self.random.choice(_WORDS)}{joint}{self.random.choice(_WORDS)}"

    def sentence(self, words: int = 24) -> str:
        """Words with a capital and a full stop."""
        return " ".join(self.random.choices(_WORDS, k=words)).capitalize() + "."


def align(head: Sequence[str], rows: Sequence[Sequence[str]], gap: str = "   ") -> str:
    """Columns aligned by blanks."""
    widths = [max(len(row[k]) for row in (head, *rows)) for k in range(len(head))]
    return (
        "\n".join(gap.join(row[k].ljust(widths[k]) for k in range(len(head))).rstrip() for row in (head, *rows)) + "\n"
    )


TEXTS: dict[str, Callable[[], Report]] = {}


def text(make: Callable[[Made], tuple[str, str, tuple[str, ...]]]) -> None:
    """Note a text under its maker's name."""
    TEXTS[make.__name__] = lambda: Report(*make(Made(make.__name__)))


@text
def pods(m: Made) -> tuple[str, str, tuple[str, ...]]:
    rows = [["prod", f"{m.name()}-{i}", "1/1", "Running", "0", f"{i}d (2h ago)"] for i in range(110)]
    rows[70][2:4] = ["0/1", "CrashLoopBackOff"]
    rows[23][2:4] = ["0/1", "Pending"]
    head = ["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    return (
        align(head, rows),
        "which pods are unhealthy?",
        ("NAMESPACE", rows[70][1], "CrashLoopBackOff", rows[23][1], "Pending"),
    )


@text
def containers(m: Made) -> tuple[str, str, tuple[str, ...]]:
    rows = [
        [f"{m.random.getrandbits(48):012x}", m.name("/"), f'"/entry {m.name()}"', f"Up {i % 9 + 1} days"]
        for i in range(70)
    ]
    rows[41][3] = "Exited (137) 2 hours ago"
    return (
        align(["CONTAINER ID", "IMAGE", "COMMAND", "STATUS"], rows),
        "what is wrong?",
        ("CONTAINER ID", "Exited (137)"),
    )


@text
def disks(m: Made) -> tuple[str, str, tuple[str, ...]]:
    rows = [
        [f"/dev/sd{i}", f"{m.random.randrange(20, 900)}G", f"{m.random.randrange(5, 70)}%", f"/mnt/{m.name('_')}{i}"]
        for i in range(90)
    ]
    rows[60][2:] = ["100%", "/var/spool/queue"]
    return (
        align(["Filesystem", "Size", "Use%", "Mounted on"], rows),
        "why are writes failing?",
        ("Filesystem", "100%", "/var/spool/queue"),
    )


@text
def processes(m: Made) -> tuple[str, str, tuple[str, ...]]:
    lines = ["USER         PID %CPU %MEM COMMAND"]
    for i in range(160):
        user, share = m.random.choice(_WORDS), m.random.random() * 2
        lines.append(f"{user:<10} {1000 + i:>5} {share:>4.1f}  0.{i % 9} /usr/bin/{m.name()} {i}")
    lines[90] = "root       40417 99.7  0.4 /usr/bin/indexer --all"
    return "\n".join(lines) + "\n", "which process eats the CPU?", ("USER         PID %CPU", "40417 99.7")


@text
def units_of_a_system(m: Made) -> tuple[str, str, tuple[str, ...]]:
    rows = [[f"  {m.name()}-{i}.service", "loaded", "active", "running", f"{m.name(' ')} service"] for i in range(100)]
    rows[50][2:4] = ["failed", "failed"]
    end = "\nLOAD   = Reflects whether the unit was loaded.\n100 loaded units listed. Pass --all to see more.\n"
    table = align(["  UNIT", "LOAD", "ACTIVE", "SUB", "DESCRIPTION"], rows)
    return table + end, "which unit failed?", ("UNIT", rows[50][0].strip(), "100 loaded units listed")


@text
def coverage(m: Made) -> tuple[str, str, tuple[str, ...]]:
    rows = [
        [
            f"src/{m.name('/')}_{i}.py",
            str(m.random.randrange(20, 300)),
            str(m.random.randrange(9)),
            f"{m.random.randrange(88, 100)}%",
        ]
        for i in range(100)
    ]
    rows[40][2:] = ["211", "3%"]
    rule = ["-" * 20, "-----", "----", "-----"]
    table = align(["Name", "Stmts", "Miss", "Cover"], [rule, *rows, rule, ["TOTAL", "4312", "811", "81%"]])
    return table, "what is not covered?", ("Stmts", "211", "TOTAL", "81%")


@text
def several_tables(m: Made) -> tuple[str, str, tuple[str, ...]]:
    pods = [["pod/" + m.name() + str(i), "1/1", "Running"] for i in range(60)]
    pods[20][1:] = ["0/1", "ImagePullBackOff"]
    deployments = [["deployment.apps/" + m.name() + str(i), "2/2", "2"] for i in range(40)]
    deployments[9][1:] = ["0/2", "0"]
    shown = align(["NAME", "READY", "STATUS"], pods) + "\n" + align(["NAME", "READY", "AVAILABLE"], deployments)
    return shown, "what is not ready?", ("STATUS", "ImagePullBackOff", "AVAILABLE", deployments[9][0])


@text
def database_rows(m: Made) -> tuple[str, str, tuple[str, ...]]:
    bar = "+------+----------------------+--------+\n"
    rows = "".join(f"| {7000 + i} | {m.name('_'):<20} | {'lost' if i == 91 else 'open':<6} |\n" for i in range(180))
    return (
        f"{bar}|   id | item                 | state  |\n{bar}{rows}{bar}180 rows in set (0.02 sec)\n",
        "what was lost?",
        ("|   id | item", "| lost   |", "180 rows in set"),
    )


@text
def quoted_csv(m: Made) -> tuple[str, str, tuple[str, ...]]:
    rows = [
        f'{i},"{m.name()}, {m.name()}","asked about\n""{m.name()}"" twice",{"failed" if i == 99 else "done"}'
        for i in range(200)
    ]
    return (
        'id,name,"note, long",status\n' + "\n".join(rows) + "\n",
        "which failed?",
        ('id,name,"note, long",status', ",failed", "\n99,"),
    )


@text
def box_drawing(m: Made) -> tuple[str, str, tuple[str, ...]]:
    rows = "".join(f"│ {1000 + i} │ {m.name('_'):<20} │ {'lost' if i == 70 else 'open':<6} │\n" for i in range(130))
    top, middle, end = (
        "┌──────┬──────────────────────┬────────┐\n",
        "├──────┼──────────────────────┼────────┤\n",
        "└──────┴──────────────────────┴────────┘\n",
    )
    return (
        f"{top}│  id  │ item                 │ state  │\n{middle}{rows}{end}",
        "what was lost?",
        ("│  id  │ item", "│ lost   │"),
    )


@text
def access_log(m: Made) -> tuple[str, str, tuple[str, ...]]:
    rows = []
    for i in range(180):
        asked, status = f'"GET /{m.name("/")} HTTP/1.1"', 500 if i == 77 else 200
        stamp = f"[01/Mar/2026:10:{i % 60:02d}:00 +0000]"
        rows.append(f"10.0.0.{i % 9} - - {stamp} {asked} {status} {m.random.randrange(100, 9000)}\n")
    return "".join(rows), "what went wrong?", ('HTTP/1.1" 500',)


_MANIFEST = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  labels:
    app: {name}
spec:
  replicas: 2
  template:
    spec:
      containers:
      - name: {container}
        resources:
          limits:
            memory: {memory}
"""


@text
def manifests(m: Made) -> tuple[str, str, tuple[str, ...]]:
    names = [f"{m.name()}-{i}" for i in range(28)]
    documents = [
        _MANIFEST.format(name=name, container=m.name(), memory="3Gi" if i == 17 else "256Mi")
        for i, name in enumerate(names)
    ]
    must = ("kind: Deployment", f"name: {names[17]}", "limits:", "memory: 3Gi")
    return "---\n".join(documents), "which deployment has too much memory?", must


@text
def lock_file(m: Made) -> tuple[str, str, tuple[str, ...]]:
    packages = [
        f'[[package]]\nname = "{m.name()}{i}"\nversion = "{i}.0.{i}"\ndependencies = [\n "{m.name()}",\n]\n'
        for i in range(90)
    ]
    name = packages[40].split('"')[1]
    return (
        "# generated\nversion = 3\n\n" + "\n".join(packages),
        "Cargo.lock: what is at 40.0.40?",
        ("[[package]]", f'name = "{name}"', "40.0.40"),
    )


@text
def settings(m: Made) -> tuple[str, str, tuple[str, ...]]:
    sections = [f"[{m.name('.')}{i}]\nhost = {m.name()}\ntimeout = {9911 if i == 40 else 30}\n" for i in range(90)]
    return "\n".join(sections), "where is the timeout 9911?", (sections[40].split("\n")[0], "timeout = 9911")


_FAILED_CASE = """    <testcase classname="a.Money" name="roundsUp" time="0.01">
      <failure message="expected 10 but was 9">
        at a.Money.roundsUp(Money.java:88)
      </failure>
    </testcase>"""


@text
def test_report_in_xml(m: Made) -> tuple[str, str, tuple[str, ...]]:
    cases = [
        f'    <testcase classname="a.{m.name("_")}" name="{m.name("_")}{i}" time="0.0{i % 9}"/>' for i in range(160)
    ]
    cases[90] = _FAILED_CASE
    head = '<?xml version="1.0"?>\n<testsuites tests="160" failures="1">\n  <testsuite name="all">\n'
    text = head + "\n".join(cases) + "\n  </testsuite>\n</testsuites>\n"
    return text, "which test failed?", ('name="roundsUp"', "expected 10 but was 9")


@text
def page_with_a_script(m: Made) -> tuple[str, str, tuple[str, ...]]:
    script = "\n".join(f"  var {m.name('_')}{i} = function() {{ return '{m.name()}'; }};" for i in range(160))
    body = "\n".join(f"<h2>{m.name(' ')}</h2>\n<p>{m.sentence()}</p>" for _ in range(50))
    head = f"<!doctype html><html><head>\n<script>\n{script}\n</script></head><body>\n"
    wanted = "<p>The last admission of the lighthouse is at 16:45.</p>"
    return f"{head}{body}\n{wanted}\n{body}\n</body></html>\n", "when is the last admission?", ("16:45",)


@text
def page_on_one_row(m: Made) -> tuple[str, str, tuple[str, ...]]:
    body = "".join(f"<h2>{m.name(' ')}</h2><p>{m.sentence()}</p>" for _ in range(60))
    return (
        f"<html><body>{body}<p>The last admission is at 16:45.</p>{body}</body></html>",
        "when is the last admission?",
        ("16:45",),
    )


@text
def here_document(m: Made) -> tuple[str, str, tuple[str, ...]]:
    lines = "\n".join(f"{m.name('_')} = {m.name('_')} {i}" for i in range(220))
    return (
        f"#!/bin/bash\nset -e\ncat <<EOF > conf\n{lines}\nlease_timeout = 4411\n{lines}\nEOF\necho done\n",
        "what is lease_timeout?",
        ("lease_timeout = 4411",),
    )


@text
def long_constant(m: Made) -> tuple[str, str, tuple[str, ...]]:
    functions = "\n\n".join(
        f"def {m.name('_')}_{i}(x):\n    y = {m.name('_')}(x, {i})\n    return y + {i}" for i in range(80)
    )
    text = f'import os\n\nDATA = "{"QUJD" * 3000}"\n\n{functions}\n\n\ndef renew(x):\n    raise LeaseExpired(x)\n'
    return text, "a.py: where is LeaseExpired raised?", ("def renew(x):", "raise LeaseExpired(x)")


_FILE_OF_A_DIFF = """diff --git a/src/f{i}.py b/src/f{i}.py
--- a/src/f{i}.py
+++ b/src/f{i}.py
@@ -3,7 +3,7 @@ def f(self):
     a = 1
-    {old}
+    {new}
     b += 1
"""


@text
def minified_in_a_diff(m: Made) -> tuple[str, str, tuple[str, ...]]:
    files = []
    for i in range(12):
        old, new = ("timeout_ms = 5000", "timeout_ms = 500") if i == 6 else (f"{m.name('_')} = 1", f"{m.name('_')} = 2")
        files.append(_FILE_OF_A_DIFF.format(i=i, old=old, new=new))
    code = "var a=function(b){return b+1};" * 2500
    head = "diff --git a/dist/a.min.js b/dist/a.min.js\n--- a/dist/a.min.js\n+++ b/dist/a.min.js\n@@ -1 +1 @@\n"
    files.insert(4, f"{head}-{code}\n+{code.replace('1', '2')}\n")
    must = ("+++ b/src/f6.py", "-    timeout_ms = 5000", "+    timeout_ms = 500")
    return "".join(files), "in which file was the timeout changed?", must


@text
def lock_file_in_a_diff(m: Made) -> tuple[str, str, tuple[str, ...]]:
    hunks = [
        f'@@ -{40 * i},7 +{40 * i},7 @@\n     "{m.name()}": {{\n-      "version": "1.{i}.0",\n'
        f'+      "version": "1.{i}.1",\n       "license": "MIT"\n     }},\n'
        for i in range(90)
    ]
    head = "diff --git a/package-lock.json b/package-lock.json\n--- a/package-lock.json\n+++ b/package-lock.json\n"
    change = _FILE_OF_A_DIFF.format(i=1, old="cookie.secure = True", new="cookie.secure = False")
    must = ("+++ b/src/f1.py", "+    cookie.secure = False")
    return head + "".join(hunks) + change, "review this bump of versions: does it do anything else?", must


@text
def plan_of_a_query(m: Made) -> tuple[str, str, tuple[str, ...]]:
    lines = ["QUERY PLAN"]
    for i in range(90):
        indent, slow = "  " * (i % 12 + 1), i == 58
        node = "Seq Scan on archive" if slow else f"Hash Join {m.name()}"
        took = f"0.044..{38417.901 if slow else m.random.randrange(20, 400)}"
        lines.append(
            f"{indent}->  {node}  (cost={i}.06..{9 * i}.81 rows={7 * i}) (actual time={took} rows={7 * i} loops=1)"
        )
        lines.append(f"{indent}      Buffers: shared hit={i}")
    end = ["Planning Time: 6.112 ms", "Execution Time: 40218.554 ms", "(182 rows)"]
    return "\n".join([*lines, *end]), "why is it slow?", ("Seq Scan on archive", "Execution Time: 40218.554 ms")


@text
def dump_of_a_core(m: Made) -> tuple[str, str, tuple[str, ...]]:
    lines = [f"[New LWP {21100 + i}]" for i in range(24)]
    lines += [
        "Core was generated by `/opt/tiler'.",
        "Program terminated with signal SIGSEGV, Segmentation fault.",
        "#0  0x00005581c0a9 in ring::pop (this=0x0) at src/ring_buffer.cpp:64",
        "64\t  if (head_ == tail_) return false;",
    ]
    for i in range(24):
        lines += ["", f"Thread {24 - i} (LWP {21100 + i}):"]
        lines += [
            f"#{k}  0x{m.random.getrandbits(40):x} in {m.name('::')} () at src/{m.name('/')}.cpp:{k}" for k in range(5)
        ]
    must = ("terminated with signal SIGSEGV", "src/ring_buffer.cpp:64")
    return "\n".join(lines), "where did it crash?", must


@text
def printed_objects(m: Made) -> tuple[str, str, tuple[str, ...]]:
    records = []
    for i in range(40):
        odd = i == 27
        status, error = ("exception", "{ code: 'NO_READ', attempts: 57 }") if odd else ("delivered", "null")
        records.append(
            f"  {{\n    _id: ObjectId('{m.random.getrandbits(64):016x}'),\n    parcel: 'PX{i}',\n"
            f"    status: '{status}',\n"
            f"    weight_g: {m.random.randrange(90, 900)},\n    lastError: {error},\n  }},\n"
        )
    return f"[\n{''.join(records)}]\n", "which one is stuck?", ("status: 'exception'", "code: 'NO_READ', attempts: 57")


@text
def calendar(m: Made) -> tuple[str, str, tuple[str, ...]]:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0"]
    for i in range(40):
        answer = "NEEDS-ACTION" if i == 23 else "ACCEPTED"
        lines += [
            "BEGIN:VEVENT",
            f"DTSTART:202506{i % 28 + 1:02}T140000",
            f"UID:{m.random.getrandbits(60):x}@example.com",
        ]
        lines += [f"ATTENDEE;PARTSTAT={answer}:mailto:zoe@example.com", f"SUMMARY:Talk {i} on {m.name()}", "END:VEVENT"]
    must = ("PARTSTAT=NEEDS-ACTION", "SUMMARY:Talk 23 ")
    return "\n".join([*lines, "END:VCALENDAR"]), "which invitation has not been answered, PARTSTAT=NEEDS-ACTION?", must


@text
def batch_in_xml(m: Made) -> tuple[str, str, tuple[str, ...]]:
    results = []
    for i in range(150):
        status = "<Status>REJECTED</Status><Code>CO-15</Code>" if i == 33 else "<Status>ACCEPTED</Status>"
        results.append(
            f'  <Result invoice="RE-{i}">\n    {status}\n    <Gross>{m.random.randrange(9999)}</Gross>\n  </Result>\n'
        )
    end = '  <Summary submitted="150" accepted="149" rejected="1"/>\n</Batch>\n'
    must = ("REJECTED", "CO-15", 'submitted="150" accepted="149" rejected="1"')
    return f'<?xml version="1.0"?>\n<Batch>\n{"".join(results)}{end}', "did all go through?", must


@text
def update_of_a_stack(m: Made) -> tuple[str, str, tuple[str, ...]]:
    lines = [
        f" ~  aws:iam:Role {m.name()} updating ({i % 9}s) [diff: ~tags]\n      tags: {{ build: {i} }}"
        for i in range(90)
    ]
    lines += ["Diagnostics:", "  aws:cache:Group (sessions):", "    error: Cannot downgrade from 7.1 to 6.2", ""]
    lines += ["Resources:", "    ~ 37 updated", "    38 unchanged", "", "Duration: 1m41s"]
    must = ("Cannot downgrade from 7.1 to 6.2", "~ 37 updated", "Duration: 1m41s")
    return "\n".join(lines), "deploy the stack", must


EVERYTHING: dict[str, Callable[[], Report]] = {**REPORTS, **TEXTS}
"""These, and the reports of runs."""
