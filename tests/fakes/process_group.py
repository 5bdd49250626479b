"""Trainings by two processes of one process group, such as Ray Train makes, at a fraction of its cost."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from node.core.rows import Row
from node.core.training import TrainingSpec
from node.models.base import local_model
from node.models.chat import ChatTokenizer
from node.provider.checkpoints import training_digest

PROCESSES = 2


def train_in_two_processes(
    rows: Sequence[Row], spec: TrainingSpec, model: Path, trainings: Mapping[Path, Sequence[int]]
) -> None:
    """One training after the other; each leaves its checkpoints in its folder, and `told-RANK.json` of each process.

    Args:
        trainings: by folder, how many rows each process can hold at once.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_work, (port, rows, spec, model, trainings), nprocs=PROCESSES)


def _work(
    rank: int,
    port: int,
    rows: Sequence[Row],
    spec: TrainingSpec,
    model: Path,
    trainings: Mapping[Path, Sequence[int]],
) -> None:
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(PROCESSES))
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    for folder, holds in trainings.items():
        told = _train(rows, spec, model, folder, holds[rank])
        (folder / f"told-{rank}.json").write_text(json.dumps(told))
    torch.distributed.destroy_process_group()


def _train(rows: Sequence[Row], spec: TrainingSpec, model: Path, folder: Path, most_rows: int) -> dict[str, list[Any]]:
    """The losses that this process reported, the rows that passed through its model, and how many at a time."""
    from node.provider.trainer import RowTrainer, encode_rows

    told: dict[str, list[Any]] = {"losses": [], "rows": [], "parts": []}
    encoded = encode_rows(rows, ChatTokenizer(model), max_length_tokens=spec.max_length_tokens)
    trainer = RowTrainer(
        encoded,
        spec,
        base_model=model,
        folder=folder,
        training=training_digest(rows, spec, local_model(model).digest),
        report=lambda progress: told["losses"].append(progress.loss),
        most_rows_at_once=spec.batch_rows,
    )

    def look(module: object, arguments: Any, named: dict[str, Any], output: object) -> None:
        lengths = named["row_lengths"]
        if len(lengths) > most_rows:
            raise MemoryError
        told["parts"].append(len(lengths))
        told["rows"] += [row.tolist() for row in torch.split(arguments[0][0], lengths)]

    trainer.model.get_base_model().base_model.register_forward_hook(look, with_kwargs=True)
    trainer.train_from(None)
    trainer.require_seen(
        rows=spec.epochs * len(encoded),
        supervised_tokens=spec.epochs * sum(len(row.response_ids) for row in encoded),
    )
    return told
