"""A provider's agent over a fake base model and its fake gate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import grpc
from fakes.adapters import FakeAdapters
from fakes.world import BASE_MODEL

from node.core.capabilities import Machine
from node.crypto.digest import Digest
from node.crypto.signing import PrivateKey, PublicKey
from node.models.base import BaseModel
from node.ports.fine_tuner import FineTuner
from node.provider.agent import Agent
from node.provider.journal import Journal
from node.provider.leasing import Trainable
from node.provider.work import Work


def working_agent(
    channel: grpc.aio.Channel,
    key: PrivateKey,
    work: Work,
    tuner: FineTuner,
    *,
    coordinators: Mapping[str, PublicKey],
    cancel_training: Callable[[], None] = lambda: None,
    trainer_lacks: Callable[[], str] = lambda: "",
    machine: Machine = Machine(),  # noqa: B008 (frozen)
    least_price: int = 0,
    base_model: Digest = BASE_MODEL,
) -> Agent:
    """What it remembers lies beside its work, and is read again by the next one over that work."""
    gate = FakeAdapters(work.folder.with_name(f"{work.folder.name}-gate"))
    return Agent(
        channel,
        key,
        coordinators=coordinators,
        base_models=[Trainable(BaseModel(base_model, Path()), gate)],
        machine=machine,
        least_price_minor_per_1000_tokens=least_price,
        fine_tuner=tuner,
        cancel_training=cancel_training,
        trainer_lacks=trainer_lacks,
        work=work,
        journal=Journal(journal_file(work)),
    )


def journal_file(work: Work) -> Path:
    return work.folder.with_name(f"{work.folder.name}-agent.json")
