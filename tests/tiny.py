"""Tiny random-weight drafts: three architectures, grouped-query attention, a trained byte-level tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

CORPUS = [
    "The cat sat on the mat. The dog barked at the cat, and then it ran away.",
    "def main(argument):\n    return argument + 1\n",
    "ERROR 2024-01-02 connection refused by 10.0.0.1:8080\n",
]
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS * 20, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=CHAT,
    )


def tiny_shape(vocabulary: int) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 8,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "initializer_range": 0.3,
    }


def tiny_configs(vocabulary: int) -> dict[str, PreTrainedConfig]:
    shape = tiny_shape(vocabulary)
    return {
        "llama": LlamaConfig(**shape),
        "qwen3": Qwen3Config(**shape),
        # A sliding window far shorter than the texts: the probe must see past it all the same.
        "gemma3": Gemma3TextConfig(**shape, sliding_window=16, query_pre_attn_scalar=8),
    }


def write_tiny_drafts(root: Path) -> dict[str, Path]:
    tokenizer = tiny_tokenizer()
    folders = {}
    for name, config in tiny_configs(len(tokenizer)).items():
        torch.manual_seed(7)
        folders[name] = root / name
        AutoModelForCausalLM.from_config(config).save_pretrained(folders[name])
        tokenizer.save_pretrained(folders[name])
    return folders
