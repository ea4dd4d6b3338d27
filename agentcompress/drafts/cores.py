"""How many cores the draft may use: affinity, cgroup quota, OMP_NUM_THREADS, and what others leave of them now."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

_CGROUP, _MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_SAMPLE_S = 0.5
# Not what a hypervisor steals: leaving that alone helps nobody.
_BUSY = ("user", "nice", "system", "irq", "softirq", "interrupt", "dpc")


def count_available_cores(cgroup: Path = _CGROUP) -> int:
    """Cores this process may use, at least 1: the least of its affinity, its cgroup's quota and OMP_NUM_THREADS."""
    counts = [float(len(_get_affinity())), _read_quota(cgroup)]
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if asked.isdecimal() and int(asked) > 0:
        counts.append(float(asked))
    return max(1, int(min(counts)))


class Load:
    """What other processes leave of our cores, looked at no more often than every half second. Not thread-safe.

    busy: seconds of work so far on our cores, by everyone and by this process (`_measure_busy_s`). clock: seconds that
    only go forward.
    """

    def __init__(
        self,
        cores: int,
        busy: Callable[[], tuple[float, float]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.cores = cores
        self._busy, self._clock = busy or _measure_busy_s, clock
        self._seen = (self._clock(), *self._busy())
        self._free = cores

    def count_free_cores(self) -> int:
        """Cores, of those that are ours, that nobody else keeps busy: 1 to `cores`."""
        then, all_then, own_then = self._seen
        now = self._clock()
        if now - then >= _SAMPLE_S:
            busy, own = self._busy()
            others = max(0.0, (busy - all_then) - (own - own_then)) / (now - then)
            self._free = min(self.cores, max(1, round(len(_get_affinity()) - others)))
            self._seen = (now, busy, own)
        return self._free


def _measure_busy_s() -> tuple[float, float]:
    """Seconds of work so far on this process's cores: by everyone, and by this process; zeros where that is hidden."""
    import psutil

    try:
        times = psutil.cpu_times(percpu=True)
        own = psutil.Process().cpu_times()
    except (OSError, NotImplementedError, psutil.Error):  # a sandbox that hides it: then nobody else is busy
        return 0.0, 0.0
    ours = [times[core] for core in _get_affinity() if core < len(times)]
    return sum(getattr(core, name, 0.0) for core in ours for name in _BUSY), own.user + own.system


def _get_affinity() -> set[int]:
    """Numbers of the cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _read_quota(cgroup: Path) -> float:
    """Cores' worth of time per period that our cgroup and those above it allow (v2, v1); infinite without a limit."""
    try:
        lines = _MEMBERSHIP.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    folders = {cgroup, cgroup / "cpu"}
    for line in lines:  # "0::/path" in v2, "4:cpu,cpuacct:/path" in v1
        _, _, membership = line.partition(":")
        controllers, _, path = membership.partition(":")
        if not controllers or "cpu" in controllers.split(","):
            root = cgroup / "cpu" if controllers else cgroup
            own = root / path.lstrip("/")
            folders.update(folder for folder in (own, *own.parents) if folder.is_relative_to(root))
    return min(map(_read_folder_quota, folders))


def _read_folder_quota(folder: Path) -> float:
    """Cores' worth of time that one cgroup folder allows; infinite where it says nothing."""
    try:
        quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:
            quota, period = (
                (folder / f"cpu.cfs_{part}_us").read_text(encoding="ascii") for part in ("quota", "period")
            )
        except (OSError, ValueError):
            return float("inf")
    try:
        share = float(quota) / float(period)
    except (ValueError, ZeroDivisionError):  # "max"
        return float("inf")
    return share if share > 0 else float("inf")  # v1 says -1
