"""The wheel, installed away from the checkout: what a user gets from `pip install agentcompress`.

    python tests/wheel_smoke.py dist/agentcompress-*.whl

Makes an environment in a folder of its own, installs the wheel there (not editable), and uses it from an empty folder.
The dependencies are those of the environment that runs this, found through a .pth: installing torch again takes
minutes, and says nothing about the wheel. That what the wheel asks for is there is checked by its metadata.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "agentcompress": ROOT / "agentcompress",
    "langchain_agentcompress": ROOT / "integrations/langchain_agentcompress",
    "litellm_agentcompress": ROOT / "integrations/litellm_agentcompress",
}
TYPED = {"agentcompress", "langchain_agentcompress", "litellm_agentcompress"}
EXTRAS = {"langchain", "proxy", "redis", "eval"}
NOT_SHIPPED = {"__pycache__"}
LOG = "".join(f"12:00:{i % 60:02d} worker {i} finished its share of the job\n" for i in range(200))

INSIDE = """
import importlib.metadata as metadata, json, sys
import agentcompress, langchain_agentcompress, litellm_agentcompress
from pathlib import Path
from agentcompress import CompressConfig, Compressor

prefix = Path(sys.prefix).resolve()
for package in (agentcompress, langchain_agentcompress, litellm_agentcompress):
    assert prefix in Path(package.__file__).resolve().parents, package.__file__
assert metadata.version("agentcompress") == agentcompress.__version__
points = [point for point in metadata.distribution("agentcompress").entry_points]
for point in points:
    point.load()
for package in (agentcompress, langchain_agentcompress, litellm_agentcompress):
    for name in package.__all__:
        getattr(package, name)
text = Path("server.log").read_text()
result = Compressor(CompressConfig(scorer="lexical")).compress_text(text, query="disk quota", keep_rate=0.1)
assert "disk quota exceeded" in result.text and result.tokens_after <= 0.1 * result.tokens_before + 1
print(json.dumps([len(points), agentcompress.__version__]))
"""


def main(wheel: Path) -> None:
    """Raise `AssertionError` or `CalledProcessError` where the wheel is not what a user needs."""
    holds_every_file(wheel)
    asks_for_what_is_here(wheel)
    with tempfile.TemporaryDirectory() as folder:
        python = installed(wheel, Path(folder) / "env")
        empty = Path(folder) / "empty"
        empty.mkdir()
        lines = LOG.splitlines(keepends=True)
        lines[120] = "12:02:00 worker 120 failed: disk quota exceeded\n"
        (empty / "server.log").write_text("".join(lines), encoding="utf-8")
        points, version = json.loads(run(empty, python, "-c", INSIDE))
        command = python.with_name("agentcompress" + python.suffix)
        assert version in run(empty, command, "--version")
        assert "Commands:" in run(empty, command, "--help")
        assert "Commands:" in run(empty, python, "-m", "agentcompress", "--help")
        arguments = ("server.log", "-q", "disk quota", "-s", "lexical", "-n", "200", "--json")
        found = json.loads(run(empty, command, "compress", *arguments))
        assert "disk quota exceeded" in found["text"]
        assert found["tokens_after"] <= 200 < found["tokens_before"]
    sys.stdout.write(f"{wheel.name}: installed, {points} entry points, used in-process and on the command line\n")


def holds_every_file(wheel: Path) -> None:
    """What lies in the packages' folders is what the wheel holds, data files and all."""
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    lie = {
        f"{package}/{file.relative_to(folder).as_posix()}"
        for package, folder in PACKAGES.items()
        for file in folder.rglob("*")
        if file.is_file() and not NOT_SHIPPED & set(file.parts)
    }
    assert held >= {f"{package}/py.typed" for package in TYPED}
    assert held == lie, f"not in the wheel: {sorted(lie - held)}; only in the wheel: {sorted(held - lie)}"


def asks_for_what_is_here(wheel: Path) -> None:
    """Every dependency that the wheel names is installed here in a version that it takes, and so are theirs."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        about = metadata.PathDistribution(zipfile.Path(archive, name.removesuffix("METADATA")))
        wanted = [(Requirement(line), EXTRAS) for line in about.requires or ()]
        assert set(about.metadata.get_all("Provides-Extra", ())) >= EXTRAS
    seen: set[tuple[str, frozenset[str]]] = set()
    while wanted:
        requirement, extras = wanted.pop()
        marker = requirement.marker
        if marker and not any(marker.evaluate({"extra": extra}) for extra in {"", *extras}):
            continue
        here = metadata.version(requirement.name)
        assert requirement.specifier.contains(here, prereleases=True), f"{requirement}, but {here} is here"
        key = (requirement.name, frozenset(requirement.extras))
        if key not in seen:
            seen.add(key)
            theirs = metadata.requires(requirement.name) or ()
            wanted += [(Requirement(line), requirement.extras) for line in theirs]
    assert len(seen) > 50


def installed(wheel: Path, folder: Path) -> Path:
    """A new environment with the wheel, and the dependencies of this one. Returns its interpreter."""
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = (sys.executable, "-m", "pip", "--python", str(python))
    run(folder, *pip, "install", "-q", "--no-deps", "--no-index", str(wheel.resolve()))
    site = Path(run(folder, python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    # Plain names only: a .pth's own .pth files aren't read, so that the editable checkout stays out of reach.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python


def run(folder: Path, *command: str | Path) -> str:
    """Standard output of `command` in `folder`, with nothing of this checkout on its path."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    settings = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "HF_HUB_OFFLINE": "1", "AGENTCOMPRESS_LEDGER": "memory"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=inherited | settings,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command[:3]} failed:\n{done.stdout}{done.stderr}"
    return done.stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]))
