"""The draft's layers, one sequence at a time: transformers' own modules, or the same arithmetic with fewer passes.

`FusedDecoder` is for the common shape (Llama, Mistral, Qwen2, Qwen3): q, k, v in one product, norm weights folded into
the weights behind them, SwiGLU and residuals in the products' epilogues (oneDNN, where this build of torch has it).
It is checked against transformers' modules when it is made, and left aside where it does not agree.

Knows weights and tensors; knows nothing of windows or caches: attention goes to a `capture.State`.
"""

from __future__ import annotations

import logging
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from agentcompress.drafts import capture

_log = logging.getLogger("agentcompress")
_ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
_HEAD_NORMS = {"q_norm", "k_norm"}
_LAYER = {"self_attn", "mlp", "input_layernorm", "post_attention_layernorm"}
_ROPES = {"default", "linear", "llama3", "yarn"}  # those whose angles depend on nothing but the position
_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.06, torch.float16: 0.02}


class Decoder(Protocol):
    """A draft's layers up to the end of its band, run for their attention alone."""

    @property
    def device(self) -> torch.device:
        """The device that the weights are on."""
        ...

    @property
    def layers(self) -> int:
        """The number of layers that are run."""
        ...

    def forward(self, ids: Tensor, start: int, state: capture.State) -> None:
        """Run token ids (R,) at positions `start`..; every layer's attention goes to `state`."""
        ...


class ModuleDecoder:
    """Transformers' own modules, of any architecture whose attention can be captured."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.device = model.device
        self.layers = model.config.num_hidden_layers

    def forward(self, ids: Tensor, start: int, state: capture.State) -> None:
        """Run token ids (R,) at positions `start`..; every layer's attention goes to `state`."""
        positions = torch.arange(start, start + len(ids), device=self.device)[None]
        with capture.capture_attention(state):
            self.model(input_ids=ids.to(self.device)[None], position_ids=positions, use_cache=False)


class UnlikeError(Exception):
    """Raised where a model has not the shape that `FusedDecoder` computes. Never leaves this module."""


class FusedDecoder:
    """The common shape, from the modules of a loaded model; shares no memory with them but the embeddings."""

    def __init__(self, model: Any) -> None:
        self._embedding = model.embed_tokens.weight
        self.device = model.device
        rope = getattr(model.config, "rope_parameters", None) or {}
        if type(model.embed_tokens) is not torch.nn.Embedding or rope.get("rope_type", "default") not in _ROPES:
            raise UnlikeError("embeddings or rotary positions")
        self._rotary = model.rotary_emb
        self._angles: tuple[Tensor, Tensor] | None = None
        self._layers = [_FusedLayer(layer, model.config) for layer in model.layers]
        self.layers = len(self._layers)

    def forward(self, ids: Tensor, start: int, state: capture.State) -> None:
        """Run token ids (R,) at positions `start`..; every layer's attention goes to `state`.

        The last layer's attention is the last thing computed: nobody reads what comes behind it.
        """
        x = functional.embedding(ids.to(self.device), self._embedding)  # (R, E)
        cos, sin = self._get_angles(start, start + len(ids))
        for index, layer in enumerate(self._layers):
            q, k, v = layer.project(x, cos, sin)
            out = state.attend(index, q, k, v, layer.scaling, None)  # (1, H, R, D)
            if index + 1 < self.layers:
                x = layer.finish(x, out)

    def _get_angles(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Cosines and signed sines of positions [start, stop), (stop - start, D) each."""
        angles = self._angles
        if angles is None or len(angles[0]) < stop:
            positions = torch.arange(2 * stop, device=self.device)[None]
            cos, sin = self._rotary(self._embedding[:1], positions)
            sin = sin.clone()
            sin[..., : sin.shape[-1] // 2].neg_()  # rotate_half's sign
            angles = self._angles = cos[0], sin[0]
        return angles[0][start:stop], angles[1][start:stop]


class _FusedLayer:
    """One layer's weights, fused. Raises `UnlikeError` where it is not built as Llama's are."""

    def __init__(self, layer: Any, config: Any) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        children = {name for name, _ in attention.named_children()}
        if (
            {name for name, _ in layer.named_children()} != _LAYER
            or children - _HEAD_NORMS != _ATTENTION
            or {name for name, _ in mlp.named_children()} - {"act_fn"} != {"gate_proj", "up_proj", "down_proj"}
            or config.hidden_act != "silu"
        ):
            raise UnlikeError("layers")
        self.scaling, self._dim = attention.scaling, attention.head_dim
        self._kv_heads = attention.k_proj.out_features // self._dim
        self._heads = attention.q_proj.out_features // self._dim
        self._eps = layer.input_layernorm.variance_epsilon
        self._head_norms = None
        if children & _HEAD_NORMS:
            q_norm, k_norm = attention.q_norm, attention.k_norm
            self._head_norms = (q_norm.weight, q_norm.variance_epsilon), (k_norm.weight, k_norm.variance_epsilon)
        before, behind = layer.input_layernorm.weight, layer.post_attention_layernorm.weight
        self._qkv = _fuse_linears([attention.q_proj, attention.k_proj, attention.v_proj], before)
        self._out = _fuse_linears([attention.o_proj])
        self._gate, self._up = _fuse_linears([mlp.gate_proj], behind), _fuse_linears([mlp.up_proj], behind)
        self._down = _fuse_linears([mlp.down_proj])

    def project(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden states (R, E) -> q (1, H, R, D), k and v (1, KV, R, D), positions applied."""
        heads = self._qkv(_normalise_rms(x, self._eps)).view(len(x), -1, self._dim).transpose(0, 1)  # (H + 2 KV, R, D)
        turned = heads[: -self._kv_heads]
        if self._head_norms:
            parts = turned[: self._heads], turned[self._heads :]
            turned = torch.cat(
                [
                    _normalise_rms(part, eps) * weight
                    for part, (weight, eps) in zip(parts, self._head_norms, strict=True)
                ]
            )
        half = self._dim // 2
        rotated = torch.mul(turned, cos, out=turned.new_empty(turned.shape))  # head by head, as attention reads it
        rotated[..., :half].addcmul_(turned[..., half:], sin[..., :half])
        rotated[..., half:].addcmul_(turned[..., :half], sin[..., half:])
        return rotated[None, : self._heads], rotated[None, self._heads :], heads[None, -self._kv_heads :]

    def finish(self, x: Tensor, out: Tensor) -> Tensor:
        """Attention's output (1, H, R, D) -> the layer's output (R, E), residuals and SwiGLU included."""
        x = self._out.apply_plus(out[0].transpose(0, 1).reshape(len(x), -1), x)
        normed = _normalise_rms(x, self._eps)
        return self._down.apply_plus(self._up.apply_times(normed, self._gate.apply_swish(normed)), x)


def _normalise_rms(x: Tensor, eps: float) -> Tensor:
    """RMS norm without its weight.

    Torch adds squares up in float32 but gives the norm in x's type; by quarters, the rounding is no more than x's own.
    """
    width = x.shape[-1]
    quarters = x.unflatten(-1, (4, width // 4)) if width % 4 == 0 else x[..., None, :]
    norms = torch.linalg.vector_norm(quarters, dim=-1).float()
    return x * norms.square_().sum(-1, keepdim=True).div_(width).add_(eps).rsqrt_().to(x.dtype)


class _Plain:
    """A product with a weight matrix, by torch's public operations; `_Packed` computes the same."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight, self._bias = weight, bias

    def __call__(self, x: Tensor) -> Tensor:
        return functional.linear(x, self._weight, self._bias)

    def apply_swish(self, x: Tensor) -> Tensor:
        """The product, passed through SiLU."""
        return functional.silu(self(x), inplace=True)

    def apply_times(self, x: Tensor, other: Tensor) -> Tensor:
        """The product, times `other` element by element."""
        return self(x).mul_(other)

    def apply_plus(self, x: Tensor, other: Tensor) -> Tensor:
        """The product plus `other`."""
        return self(x).add_(other)


class _Packed:
    """What `_Plain` computes, by oneDNN: weights laid out once for the CPU's units, what follows done in registers."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), 512)
        self._bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, "none", [], "")

    def apply_swish(self, x: Tensor) -> Tensor:
        """The product, passed through SiLU."""
        return torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, "swish", [], "")

    def apply_times(self, x: Tensor, other: Tensor) -> Tensor:
        """The product, times `other` element by element."""
        return torch.ops.mkldnn._linear_pointwise.binary(x, other, self._weight, self._bias, "mul")

    def apply_plus(self, x: Tensor, other: Tensor) -> Tensor:
        """The product plus `other`."""
        return torch.ops.mkldnn._linear_pointwise.binary(x, other, self._weight, self._bias, "add")


def _fuse_linears(modules: list[Any], norm: Tensor | None = None) -> _Plain | _Packed:
    """Several products of one input as one, the weight of the norm before them folded in."""
    if not all(type(module) is torch.nn.Linear for module in modules):
        raise UnlikeError("a projection that is no plain Linear")
    weight = torch.cat([module.weight for module in modules])
    if norm is not None:
        weight = (weight.float() * norm.float()).to(weight.dtype)
    biases = [module.bias for module in modules]
    bias = None
    if any(b is not None for b in biases):
        bias = torch.cat(
            [
                torch.zeros(m.out_features, dtype=weight.dtype, device=weight.device) if m.bias is None else m.bias
                for m in modules
            ]
        )
    packable = weight.device.type == "cpu" and torch.backends.mkldnn.is_available()
    packable = packable and all(hasattr(torch.ops.mkldnn, op) for op in ("_linear_pointwise", "_reorder_linear_weight"))
    return (_Packed if packable else _Plain)(weight, bias)


@torch.inference_mode()
def choose_decoder(model: Any, sample: Tensor) -> Decoder:
    """The fused decoder where it agrees with the model's modules on the token ids `sample` (R,), else the modules."""
    modules = ModuleDecoder(model)
    expected = _compute_last_kv(modules, sample)  # all layers before it show there
    try:
        fused = FusedDecoder(model)
        found = _compute_last_kv(fused, sample)
    except Exception as error:  # noqa: BLE001 - not of the common shape, or not within this build's operators
        _log.debug("%s runs on transformers' modules: %s", type(model).__name__, error)
        return modules
    off = float((found - expected).norm() / expected.norm())
    if not off <= _TOLERANCE.get(model.dtype, 0.0):  # NaN compares false
        _log.warning("%s runs on transformers' modules: fused layers are %.2g off", type(model).__name__, off)
        return modules
    return fused


def _compute_last_kv(decoder: Decoder, ids: Tensor) -> Tensor:
    """Keys and values of the last layer for token ids (R,), float32 (2 KV, R, D): every layer before it shows there."""
    written: list[Tensor] = []
    state = capture.Encode(decoder.layers, lambda _, k, v: written.append(torch.cat([k, v]).float()))
    decoder.forward(ids, 0, state)
    return written[-1]
