"""LiteLLM's hooks: one reads what a request wants, one compresses what goes to a deployment, one names the receipt.

Compression happens after routing, once per attempt, on the messages as the client sent them, so that retries and
fallbacks find the same decisions. No hook ever raises: an exception there would be the client's error.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from litellm.integrations.custom_logger import CustomLogger

from agentcompress.overrides import Overrides
from agentcompress.receipts import Receipt
from agentcompress.sending import FORMATS, Sender, in_background, without_values
from litellm_agentcompress import metrics
from litellm_agentcompress.settings import (
    HEADER,
    METADATA,
    ProxySettings,
    from_header,
    overrides_from,
    proxy_settings,
)

if TYPE_CHECKING:
    from litellm.caching.dual_cache import DualCache
    from litellm.proxy._types import UserAPIKeyAuth
    from litellm.types.utils import CallTypes

_log = logging.getLogger("agentcompress")

_RESOLVED = "agentcompress_resolved"
"""In a request's metadata: what the first hook found that holds for it."""

_RECEIPT = "agentcompress_receipt"
_SAVINGS = "compression_savings"  # LiteLLM's own name for it
RECEIPT_HEADER = "x-agentcompress-receipt"
SAVED_HEADER = "x-agentcompress-tokens-saved"


class AgentCompressHandler(CustomLogger):
    """The callback. settings: by default those of the proxy that runs in this process. Raises `ConfigError` for bad
    ones, when it is made: a proxy does not start with them."""

    def __init__(self, settings: ProxySettings | None = None) -> None:
        super().__init__()
        self.settings = settings or proxy_settings()
        self._sender: Sender | None = None
        self._making = threading.Lock()
        if self.settings.warmup:
            threading.Thread(target=self._warm_up, name="agentcompress-warmup", daemon=True).start()

    async def async_pre_call_hook(
        self, user_api_key_dict: UserAPIKeyAuth, cache: DualCache, data: dict[str, Any], call_type: str
    ) -> dict[str, Any]:
        """Note in the request's metadata what its key, its team, its headers and itself want."""
        name = _metadata_name(data, call_type)
        try:
            metadata = dict(data.get(name) or {})
            enabled, overrides = overrides_from(*self._says(user_api_key_dict, data, metadata))
            if overrides.namespace is None:
                overrides = overrides.model_copy(update={"namespace": _tenant(user_api_key_dict)})
            said = {} if enabled is None else {"enabled": enabled}
            resolved = {**said, **overrides.model_dump(exclude_none=True)}
        except Exception as error:  # noqa: BLE001 - see above
            _log.warning("a request's settings can't be read, it is not compressed: %s", without_values(error))
            resolved = {"enabled": False}
            metadata = dict(data[name]) if isinstance(data.get(name), Mapping) else {}
        metadata.pop(METADATA, None)
        data[name] = {**metadata, _RESOLVED: resolved}
        return data

    async def async_pre_call_deployment_hook(
        self, kwargs: dict[str, Any], call_type: CallTypes | None
    ) -> dict[str, Any] | None:
        """Compress what goes to a deployment, in a thread; None where nothing changes."""
        try:
            if call_type is None:
                return None
            enabled, overrides = self._resolved(kwargs)
            if not enabled or self.settings.skips(*_models(kwargs)):
                return None
            sent = await in_background(lambda: self._made().sent(kwargs, call_type.value, overrides))
            if sent.receipt is None:
                metrics.not_compressed(sent.skipped_because)
                return None
            _note(sent.kwargs, sent.receipt, call_type.value)
            metrics.compressed(sent.receipt)
            _log.info("compressed", extra={"agentcompress": _logged(sent.receipt)})
            return sent.kwargs
        except Exception as error:  # noqa: BLE001 - see above
            _log.warning("sending the original messages: %s: %s", type(error).__name__, without_values(error))
            return None

    async def async_post_call_response_headers_hook(
        self,
        data: dict[str, Any],
        user_api_key_dict: UserAPIKeyAuth,
        response: object,
        request_headers: dict[str, str] | None = None,
        litellm_call_info: dict[str, object] | None = None,
    ) -> dict[str, str] | None:
        """Name the receipt, and the tokens that were saved."""
        for name in ("litellm_metadata", "metadata"):
            metadata = data.get(name)
            if isinstance(metadata, Mapping) and _RECEIPT in metadata:
                saved = metadata.get(_SAVINGS) or {}
                return {RECEIPT_HEADER: str(metadata[_RECEIPT]), SAVED_HEADER: str(saved.get("tokens_saved", 0))}
        return None

    def _says(self, user: Any, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> list[Any]:
        """Team, key, header and request, in this order."""
        says = [(getattr(user, name, None) or {}).get(METADATA) for name in ("team_metadata", "metadata")]
        if self.settings.allow_overrides:
            headers = (data.get("proxy_server_request") or {}).get("headers") or {}
            lower = {str(name).lower(): value for name, value in headers.items()}
            says += [from_header(lower.get(HEADER)), _request_says(data, metadata)]
        return says

    def _resolved(self, kwargs: Mapping[str, Any]) -> tuple[bool, Overrides]:
        """Whether and how to compress: as the first hook found, or, outside of a proxy, as the call's metadata says."""
        for name in ("litellm_metadata", "metadata"):
            metadata = kwargs.get(name)
            if isinstance(metadata, Mapping) and isinstance(metadata.get(_RESOLVED), Mapping):
                enabled, overrides = overrides_from(metadata[_RESOLVED])
                break
        else:
            enabled, overrides = overrides_from(_request_says(kwargs, kwargs.get("metadata") or {}))
        fit = overrides.fit and self.settings.fit
        return self.settings.enabled if enabled is None else enabled, overrides.model_copy(update={"fit": fit})

    def _made(self) -> Sender:
        """The compressor behind it, made on first use."""
        with self._making:
            if self._sender is None:
                from agentcompress.compressor import Compressor

                self._sender = Sender(Compressor(self.settings.config), self.settings.targets)
            return self._sender

    def _warm_up(self) -> None:
        try:
            text = "The first line says nothing. The second line says that it is ready. " * 20
            self._made().compressor.compress_text(text, query="Which one is ready?", keep_rate=0.5)
        except Exception as error:  # noqa: BLE001 - requests say what is wrong, one by one
            _log.warning("warm-up: %s: %s", type(error).__name__, error)


def _request_says(data: Mapping[str, Any], metadata: Mapping[str, Any]) -> Any:
    """What a request says of itself, in its metadata or beside its messages."""
    return metadata.get(METADATA) if isinstance(metadata, Mapping) else None


def _metadata_name(data: Mapping[str, Any], call_type: str) -> str:
    """`metadata` is the provider's own field on some routes; LiteLLM's is `litellm_metadata` there."""
    is_its_own = FORMATS.get(call_type) not in (None, "openai")
    return "litellm_metadata" if is_its_own or isinstance(data.get("litellm_metadata"), Mapping) else "metadata"


def _tenant(user: Any) -> str | None:
    """Whose conversation it is: the team's, else the key's, by a hash, since it stands in logs."""
    whose = getattr(user, "team_id", None) or getattr(user, "api_key", None)
    return hashlib.sha256(str(whose).encode()).hexdigest()[:16] if whose else None


def _models(kwargs: Mapping[str, Any]) -> list[str | None]:
    groups = [(kwargs.get(name) or {}) for name in ("litellm_metadata", "metadata")]
    named = [group.get("model_group") for group in groups if isinstance(group, Mapping)]
    return [kwargs.get("model"), *named]


def _note(kwargs: dict[str, Any], receipt: Receipt, call_type: str) -> None:
    """Put the receipt's id and the savings where LiteLLM's logs and headers look: in place, others hold the mapping."""
    before, after = receipt.tokens_before, receipt.tokens_after
    savings = {"tokens_before": before, "tokens_after": after, "tokens_saved": max(0, before - after)}
    name = _metadata_name(kwargs, call_type)
    if not isinstance(kwargs.get(name), dict):
        kwargs[name] = {}
    if _RECEIPT in kwargs[name] and before == after:
        return  # translated for another provider, and seen again
    kwargs[name].update({_SAVINGS: {**savings, "source": "agentcompress"}, _RECEIPT: receipt.id})


def _logged(receipt: Receipt) -> dict[str, Any]:
    """A receipt for the log: figures and reasons, no text of anybody's."""
    kinds = [block.decision for block in receipt.blocks]
    return {
        "receipt": receipt.id,
        "target": receipt.target,
        "scorer": receipt.scorer,
        "tokens_before": receipt.tokens_before,
        "tokens_after": receipt.tokens_after,
        "ms": round(receipt.ms, 1),
        **{kind: kinds.count(kind) for kind in ("new", "replayed", "raw")},
        "rewritten_from": receipt.rewritten_from,
        "skipped_because": receipt.skipped_because,
    }
