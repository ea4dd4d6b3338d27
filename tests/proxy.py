"""A LiteLLM proxy in a process of its own, as users start it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

_PATIENCE_S = 90
KEY = "sk-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"


class Proxy:
    """`litellm --config FILE` on a free port."""

    def __init__(self, folder: Path, config: dict[str, Any], name: str = "proxy", **environment: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = folder / f"{name}.log"
        self._file = folder / f"{name}.yaml"
        self._file.write_text(yaml.safe_dump(config))
        own = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MASTER_KEY": KEY, "NO_PROXY": "*"}
        self._environment = {**os.environ, **own, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [str(Path(sys.executable).with_name("litellm")), "--config", str(self._file)]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(self.port)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self._file.parent,
            )
        for _ in range(_PATIENCE_S * 5):
            if self._process.poll() is not None:
                break
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/health/liveliness", timeout=1):
                return
            time.sleep(0.2)
        self.stop()
        raise RuntimeError(f"the proxy did not start:\n{self.log.read_text()[-3000:]}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def get(self, path: str) -> str:
        request = urllib.request.Request(f"{self.url}{path}", headers={"Authorization": f"Bearer {KEY}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read().decode()


def config(upstream_url: str, settings: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    """A proxy's configuration: two providers behind one server, and compression unless settings are None."""

    def deployment(name: str, model: str, base: str) -> dict[str, Any]:
        return {"model_name": name, "litellm_params": {"model": model, "api_base": base, "api_key": "x"}}

    models = [
        deployment("gpt-4o", "openai/gpt-4o", f"{upstream_url}/v1"),
        deployment("gpt-4", "openai/gpt-4", f"{upstream_url}/v1"),
        deployment("claude", "anthropic/claude-sonnet-4-5", upstream_url),
    ]
    made: dict[str, Any] = {"model_list": models, "litellm_settings": {}, **more}
    if settings is not None:
        made["litellm_settings"] = {**made["litellm_settings"], "callbacks": ["litellm_agentcompress.handler"]}
        made["agentcompress_settings"] = settings
    return made


EXAMPLE = Path(__file__).parent.parent / "examples" / "litellm_proxy" / "config.yaml"


@contextlib.contextmanager
def proxy(folder: Path, made: dict[str, Any], **options: Any) -> Iterator[Proxy]:
    """A proxy for as long as this context lasts."""
    running = Proxy(folder, made, **options)
    running.start()
    try:
        yield running
    finally:
        running.stop()
