"""Logs as tools really write them: of a failing test suite, a failing install, a failing build."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agentcompress import CompressConfig, Compressor
from agentcompress.segmenters.kinds import Kind, detect_kind

pytestmark = pytest.mark.integration

_SUITE = """
import pytest

@pytest.mark.parametrize("n", range(320))
def test_price(n):
    stock = {{i: i * 3 for i in range(n)}}
    assert stock.get(n - 1, -3) == (n - 1) * 3 {fault}

def test_folder(tmp_path):
    (tmp_path / "missing" / "file").read_text()
"""
_BACKEND = """
def build_wheel(folder, settings=None, metadata=None):
    for n in range(300):
        print(f"copying shop/module{n}.py -> build/lib/shop")
    raise RuntimeError("no compiler for price.pyx")
"""
_MAKEFILE = """
OBJECTS := $(foreach n,$(shell seq 1 120),part$(n).o)
all: $(OBJECTS)
\tcc -o all $(OBJECTS)
%.o: %.c
\t@echo "cc -O2 -Wall -c $< -o $@"
\t@if [ $@ = part97.o ]; then echo "part97.c:12:5: error: unknown type name 'price_t'" >&2; exit 2; fi
"""


def ran(*command: str, folder: Path) -> str:
    # As in a terminal: pytest writes more where CI is set, make where another make has started it.
    plain = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("MAKE")}
    done = subprocess.run(command, cwd=folder, env=plain, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode != 0
    return done.stdout + done.stderr


def kept(text: str, seed: int) -> str:
    compressor = Compressor(CompressConfig(scorer="random", seed=seed))
    result = compressor.compress_text(text, query="", keep_rate=0.1)
    assert result.tokens_after <= 0.1 * result.tokens_before + 1
    return result.text


@pytest.mark.parametrize("seed", [0, 1])
def test_a_failing_suite_keeps_every_id_and_its_summary(tmp_path: Path, seed: int) -> None:
    (tmp_path / "test_shop.py").write_text(_SUITE.format(fault="- (n % 9 == 4)"), encoding="utf-8")
    log = ran(sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-c", "/dev/null", folder=tmp_path)
    ids = re.findall(r"^FAILED (\S+)", log, re.MULTILINE)
    assert len(ids) == 37
    assert detect_kind(log) == Kind("log")
    text = kept(log, seed)
    assert [name for name in ids if f"FAILED {name}" not in text] == []
    assert log.rstrip().rsplit("\n", 1)[1] in text


def test_a_failing_install_keeps_what_was_wrong(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "shop"\nversion = "1"\n',
        encoding="utf-8",
    )
    (tmp_path / "backend.py").write_text(_BACKEND, encoding="utf-8")
    log = ran(sys.executable, "-m", "pip", "install", "-v", "--no-index", "--no-deps", ".", folder=tmp_path)
    assert detect_kind(log) == Kind("log")
    text = kept(log, 0)
    assert "RuntimeError: no compiler for price.pyx" in text
    assert log.rstrip().rsplit("\n", 1)[1] in text


def test_a_failing_build_keeps_its_error(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(_MAKEFILE, encoding="utf-8")
    for n in range(1, 121):
        (tmp_path / f"part{n}.c").write_text("int x;\n", encoding="utf-8")
    log = ran("make", "-k", folder=tmp_path)
    assert detect_kind(log) == Kind("log")
    text = kept(log, 0)
    assert "part97.c:12:5: error: unknown type name 'price_t'" in text
    assert re.search(r"make: \*\*\* .*part97\.o. Error 2", text)
    assert log.rstrip().rsplit("\n", 1)[1] in text
