"""LiteLLM's hooks: one reads what a request wants, one compresses what goes to a deployment, one names the receipt.

Compression happens after routing, once per attempt, on the messages as the client sent them, so that retries and
fallbacks find the same decisions. No hook ever raises: an exception there would be the client's error.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from cachetools import LRUCache
from litellm.integrations.custom_logger import CustomLogger

from agentcompress.config import PER_CALL, CallSettings
from agentcompress.conversation.own_texts import SEEN
from agentcompress.doors.background import in_background
from agentcompress.doors.catch import run_or_else
from agentcompress.doors.litellm_sender import FORMATS, Sent, compress_call
from agentcompress.doors.requests import RequestCompressor
from agentcompress.receipt import Receipt
from litellm_agentcompress import metrics
from litellm_agentcompress.settings import (
    HEADER,
    METADATA,
    ProxySettings,
    merge_overrides,
    read_header,
    read_proxy_settings,
)

if TYPE_CHECKING:
    from litellm.caching.dual_cache import DualCache
    from litellm.proxy._types import UserAPIKeyAuth
    from litellm.types.utils import CallTypes

_log = logging.getLogger("agentcompress")

_RESOLVED = "agentcompress_resolved"
"""In a request's metadata: what the first hook found that holds for it."""

_ORIGINAL = "sending the original messages"
_RECEIPT = "agentcompress_receipt"
_SAVINGS = "compression_savings"  # LiteLLM's own name for it
RECEIPT_HEADER = "x-agentcompress-receipt"
SAVED_HEADER = "x-agentcompress-tokens-saved"


class AgentCompressHandler(CustomLogger):
    """The callback. settings: by default those of the proxy that runs in this process. Raises `ConfigError` for bad
    ones, when it is made: a proxy does not start with them."""

    def __init__(self, settings: ProxySettings | None = None) -> None:
        super().__init__()
        self.settings = settings or read_proxy_settings()
        self._requests: RequestCompressor | None = None
        self._making = threading.Lock()
        self._receipts: LRUCache[str, Receipt] = LRUCache(1000)  # of calls that are not answered yet
        if self.settings.warmup:
            threading.Thread(target=self._warm_up, name="agentcompress-warmup", daemon=True).start()

    async def async_pre_call_hook(
        self, user_api_key_dict: UserAPIKeyAuth, cache: DualCache, data: dict[str, Any], call_type: str
    ) -> dict[str, Any]:
        """Note in the request's metadata what its key, its team, its headers and itself want."""
        name = _find_metadata_name(data, call_type)
        metadata = dict(data[name]) if isinstance(data.get(name), Mapping) else {}
        resolved = run_or_else(
            partial(self._resolve_request, user_api_key_dict, data, name),
            lambda _: {"enabled": False},
            saying="a request's settings can't be read, it is not compressed",
        )
        for mapping in (metadata, data.get("metadata")):
            if isinstance(mapping, dict):
                for key in (METADATA, _RESOLVED, _RECEIPT, _SAVINGS):  # what only we may say
                    mapping.pop(key, None)
        data[name] = {**metadata, _RESOLVED: resolved}
        return data

    async def async_pre_call_deployment_hook(
        self, kwargs: dict[str, Any], call_type: CallTypes | None
    ) -> dict[str, Any] | None:
        """Compress what goes to a deployment, in a thread; None where nothing changes."""
        if call_type is None:
            return None
        settings = run_or_else(partial(self._read_settings, kwargs, call_type.value), lambda _: None, saying=_ORIGINAL)
        if settings is None:
            return None
        work = partial(self._compress_attempt, kwargs, call_type.value, settings)
        sent = await in_background(lambda: run_or_else(work, lambda _: None, saying=_ORIGINAL))
        if sent is None:
            return None
        return run_or_else(partial(self._note_attempt, sent, call_type.value), lambda _: None, saying=_ORIGINAL)

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
                saved = metadata[_SAVINGS]["tokens_saved"]
                return {RECEIPT_HEADER: str(metadata[_RECEIPT]), SAVED_HEADER: str(saved)}
        return None

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Hold what was billed against the receipt; of a stream, this comes after its end."""
        params = kwargs.get("litellm_params") or {}
        groups = (params.get("metadata"), params.get("litellm_metadata"))
        ids = [group[_RECEIPT] for group in groups if isinstance(group, Mapping) and group.get(_RECEIPT)]
        receipt = self._receipts.pop(ids[0], None) if ids else None
        if receipt is not None and self._requests is not None:
            self._requests.note_billed(receipt, getattr(response_obj, "usage", None))

    def _resolve_request(self, user: Any, data: Mapping[str, Any], name: str) -> dict[str, Any]:
        """What holds for a request: whether and how it is compressed, JSON-able."""
        enabled, settings = merge_overrides(*self._collect_wishes(user, data, dict(data.get(name) or {})))
        settings = settings.model_copy(update={"namespace": self._find_namespace(user, settings)})
        said = {} if enabled is None else {"enabled": enabled}
        return {**said, **settings.model_dump(exclude_none=True, include=set(PER_CALL))}

    def _read_settings(self, kwargs: dict[str, Any], call_type: str) -> CallSettings | None:
        """How an attempt is compressed; None where it is not."""
        enabled, settings = self._read_resolved(kwargs, call_type)
        models = _find_models(kwargs)
        each_attempt_comes_by_itself = kwargs.get("fallbacks") and len(models) == 1
        if not enabled or self.settings.skips(*models) or each_attempt_comes_by_itself:
            _forget_savings(kwargs)
            return None
        return settings

    def _compress_attempt(self, kwargs: dict[str, Any], call_type: str, settings: CallSettings) -> Sent:
        """Compress what goes to a deployment, once per attempt, in a thread: it writes nothing of this object's."""
        return compress_call(self._load(), kwargs, call_type, settings)

    def _note_attempt(self, sent: Sent, call_type: str) -> dict[str, Any] | None:
        """Note what was saved; return the arguments to send, None where nothing was done."""
        if sent.receipt is None or _is_second_pass(sent.receipt):
            metrics.count_uncompressed(sent.skipped_because or SEEN)
            return sent.kwargs if sent.receipt else None
        _note_savings(sent.kwargs, sent.receipt, call_type)
        self._receipts[sent.receipt.id] = sent.receipt
        metrics.count_compressed(sent.receipt)
        _log.info("compressed", extra={"agentcompress": _describe_receipt(sent.receipt)})
        return sent.kwargs

    def _collect_wishes(self, user: Any, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> list[Any]:
        """Team, key, header and request, in this order."""
        return [*_read_admins(user), *(_read_request(data, metadata) if self.settings.allow_overrides else ())]

    def _find_namespace(self, user: Any, settings: CallSettings) -> str | None:
        """What a team or a key says; what a request says is a part of its tenant's."""
        _, said = merge_overrides(*_read_admins(user))
        if settings.namespace is None or said.namespace == settings.namespace:
            return settings.namespace or _find_tenant(user)
        return f"{_find_tenant(user)}:{settings.namespace}"

    def _read_resolved(self, kwargs: Mapping[str, Any], call_type: str) -> tuple[bool, CallSettings]:
        """Whether and how to compress: as the first hook found, or, outside of a proxy, as the call's metadata says."""
        metadata = kwargs.get(_find_metadata_name(kwargs, call_type))
        metadata = metadata if isinstance(metadata, Mapping) else {}
        enabled, settings = merge_overrides(metadata.get(_RESOLVED, metadata.get(METADATA)))
        fit = settings.fit and self.settings.fit
        return self.settings.enabled if enabled is None else enabled, settings.model_copy(update={"fit": fit})

    def _load(self) -> RequestCompressor:
        """The compressor behind it, made on first use."""
        with self._making:
            if self._requests is None:
                from agentcompress.compressor import Compressor

                self._requests = RequestCompressor(Compressor(self.settings.config), self.settings.targets)
            return self._requests

    def _warm_up(self) -> None:
        """Load the draft before the first request comes; requests say what is wrong, one by one."""
        text = "The first line says nothing. The second line says that it is ready. " * 20
        run_or_else(
            lambda: self._load().compressor.compress_text(text, query="Which one is ready?", keep_rate=0.5),
            lambda _: None,
            saying="warm-up",
            shows_message=True,
        )


def _read_admins(user: Any) -> list[Any]:
    """What a team, and what a key says."""
    return [(getattr(user, name, None) or {}).get(METADATA) for name in ("team_metadata", "metadata")]


def _read_request(data: Mapping[str, Any], metadata: Mapping[str, Any]) -> list[Any]:
    """What a request says of itself: in a header, in its metadata."""
    headers = (data.get("proxy_server_request") or {}).get("headers") or {}
    header = next((value for name, value in headers.items() if str(name).lower() == HEADER), None)
    own = data.get("metadata")  # on Responses the client's, and LiteLLM's is another
    said = metadata.get(METADATA, own.get(METADATA) if isinstance(own, Mapping) else None)
    return [read_header(header), said]


def _find_metadata_name(data: Mapping[str, Any], call_type: str) -> str:
    """`metadata` is the provider's own field on some routes; LiteLLM's is `litellm_metadata` there."""
    is_its_own = FORMATS.get(call_type) not in (None, "openai")
    return "litellm_metadata" if is_its_own or isinstance(data.get("litellm_metadata"), Mapping) else "metadata"


def _find_tenant(user: Any) -> str | None:
    """Whose conversation it is: the team's, else the key's, by a hash, since it stands in logs."""
    whose = getattr(user, "team_id", None) or getattr(user, "api_key", None)
    return hashlib.sha256(str(whose).encode()).hexdigest()[:16] if whose else None


def _find_models(kwargs: Mapping[str, Any]) -> list[str | None]:
    """The deployment's model, and the name it was asked for by, where it was routed."""
    groups = [kwargs.get(name) for name in ("litellm_metadata", "metadata")]
    named = [group["model_group"] for group in groups if isinstance(group, Mapping) and group.get("model_group")]
    return [kwargs.get("model"), *named]


def _is_second_pass(receipt: Receipt) -> bool:
    """Whether a request came by before: translated for another provider."""
    return any(block.reason == SEEN for block in receipt.blocks)


def _forget_savings(kwargs: Mapping[str, Any]) -> None:
    """Take back what was noted of an attempt before."""
    for name in ("litellm_metadata", "metadata"):
        if isinstance(kwargs.get(name), dict):
            kwargs[name].pop(_RECEIPT, None)
            kwargs[name].pop(_SAVINGS, None)


def _note_savings(kwargs: dict[str, Any], receipt: Receipt, call_type: str) -> None:
    """Put the receipt's id and the savings where LiteLLM's logs and headers look: in place, others hold the mapping."""
    before = receipt.tokens_before
    after = receipt.tokens_after if receipt.mode == "live" else before  # what a shadow would save is in its receipt
    savings = {"tokens_before": before, "tokens_after": after, "tokens_saved": max(0, before - after)}
    name = _find_metadata_name(kwargs, call_type)
    if not isinstance(kwargs.get(name), dict):
        kwargs[name] = {}
    kwargs[name].update({_SAVINGS: {**savings, "source": "agentcompress"}, _RECEIPT: receipt.id})


def _describe_receipt(receipt: Receipt) -> dict[str, Any]:
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
