"""A provider's metrics: what its journal says, read whenever somebody asks. Labels have few values: no job is one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from node.provider.journal import Journal, Outcome


class JournalCollector(Collector):
    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def collect(self) -> Iterator[Metric]:
        told = self._journal.told
        jobs = CounterMetricFamily(
            "hallmark_provider_jobs", "Jobs that left this agent's hands, by how.", labels=["outcome"]
        )
        for outcome in get_args(Outcome):
            jobs.add_metric([outcome], told.outcomes.get(outcome, 0))
        yield jobs
        yield GaugeMetricFamily("hallmark_provider_jobs_in_hand", "Jobs being worked on.", int(bool(told.job)))
        yield GaugeMetricFamily(
            "hallmark_provider_coordinator_answered_timestamp_seconds",
            "When the coordinator last answered, give or take 5 s.",
            told.heard_at_ms / 1000,
        )
        if progress := told.progress:
            yield GaugeMetricFamily("hallmark_provider_training_loss", "Loss of the last step.", progress.loss)
            yield GaugeMetricFamily(
                "hallmark_provider_training_tokens_per_second",
                "Tokens that the training takes in, prompts included.",
                progress.tokens_per_second,
            )
            yield GaugeMetricFamily(
                "hallmark_provider_training_progress_ratio",
                "Share of the training's steps that are done.",
                progress.step / progress.steps,
            )
