"""A tiny Llama that the tests make themselves: real architecture, real tokenizer, no download, ready in seconds."""

from __future__ import annotations

import argparse
import asyncio
import email.message
import inspect
import json
import pathlib
import subprocess
import types
from collections.abc import Iterator
from pathlib import Path

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def docstrings(*modules: types.ModuleType) -> Iterator[str]:
    """Every docstring of the modules' public classes and functions."""
    for module in modules:
        for _, member in inspect.getmembers(module, lambda each: inspect.isclass(each) or inspect.isfunction(each)):
            yield inspect.getdoc(member) or ""
            for _, method in inspect.getmembers(member, inspect.isfunction):
                yield inspect.getdoc(method) or ""


def write_tiny_llama(folder: Path) -> None:
    """A byte-level BPE tokenizer of 2,048 tokens and two random layers of width 128: about 700,000 parameters."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2048,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(docstrings(argparse, asyncio, email.message, pathlib, subprocess), trainer)
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **names}))
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)

    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        # Wide enough that greedy answers have no near-ties by accident of a flat distribution.
        initializer_range=0.2,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
