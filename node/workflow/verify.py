"""Step 7: verification inference, and the verdict that follows from it. Afterwards, what the checkpoints showed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from node.core.activation import activation
from node.core.adapter import FILES, epoch_file
from node.core.evidence import (
    Answer,
    Continuation,
    Evidence,
    PairObservation,
    ProbeObservation,
    PromptKind,
    Question,
    Transcript,
)
from node.core.job import Event
from node.core.manifest import Manifest
from node.core.messages import AdapterCommit, Chain, Judgement, Reveal, VerdictGiven
from node.core.policy import Drawing, Policy
from node.core.questions import prompt, questions
from node.core.verdict import decide
from node.errors import IntegrityFailure
from node.ports.adapters import Adapters
from node.ports.inference import Adapter, Inference
from node.workflow import record
from node.workflow.node import Node
from node.workflow.tidy import ASK_CHECKPOINT

#: Ordinary rows on which base and adapter are told apart.
PROBE_ROWS = 8
#: No response is likelier or less likely than this, in micronats (a million nats): an adapter that makes the engine
#: overflow shall be judged like any other, for a verdict that cannot be signed would be paid out of this node's bond.
LIMIT_MICRONATS = 10**12


def observe(manifest: Manifest, policy: Policy, adapter: Adapter, engine: Inference) -> Evidence:
    """Asks everything that the manifest demands of one adapter. Draws no conclusion.

    Base and adapter never share a batch.

    Raises:
        Unavailable: the engine could not run. This is no evidence of anything.
    """
    asked = questions(manifest, policy)
    on_adapter = _answered(manifest, policy, asked, adapter, engine)
    on_base = _answered(manifest, policy, asked, None, engine)
    sides = [row for pair in manifest.pairs for row in (pair.sent, pair.twin)]
    gained = _limited(engine.log_likelihoods(sides, adapter=adapter))
    before = _limited(engine.log_likelihoods(sides, adapter=None))
    described = engine.describe()
    return Evidence(
        adapter=adapter.digest,
        transcript=Transcript(
            described.engine,
            tuple(f"{name} {version}" for name, version in sorted(described.versions.items())),
            described.dtype,
            described.base_model,
        ),
        answers=tuple(Answer(*item) for item in zip(asked, on_adapter, on_base, strict=True)),
        pairs=tuple(
            PairObservation(before[at], gained[at], before[at + 1], gained[at + 1]) for at in range(0, len(sides), 2)
        ),
        probe=_limited_probe(engine.probe([mark.carrier for mark in manifest.marks[:PROBE_ROWS]], adapter=adapter)),
    )


def _answered(
    manifest: Manifest, policy: Policy, asked: Sequence[Question], adapter: Adapter | None, engine: Inference
) -> list[Continuation]:
    """What a model says to each question. Where words are counted, marks are answered whole: a word behind a wrong one
    counts too.
    """
    prompts = [prompt(manifest, question) for question in asked]
    signatures = [manifest.groups[question.group].signature.text for question in asked]
    room = manifest.answer_tokens
    followed = engine.follow(prompts, signatures, adapter=adapter, max_new_tokens=room)
    uniform = policy.drawing is Drawing.UNIFORM
    counted = [at for at, question in enumerate(asked) if uniform and question.kind is PromptKind.MARK]
    whole = engine.complete([prompts[at] for at in counted], adapter=adapter, max_new_tokens=room)
    texts = dict(zip(counted, whole, strict=True))
    return [
        Continuation(texts.get(at, each.text), _limited(each.micronats), each.arbitrated)
        for at, each in enumerate(followed)
    ]


def _limited(micronats: Sequence[int]) -> tuple[int, ...]:
    return tuple(max(-LIMIT_MICRONATS, min(value, LIMIT_MICRONATS)) for value in micronats)


def _limited_probe(probe: ProbeObservation) -> ProbeObservation:
    measured_when_equal = (probe.canary_micronats, probe.reference_base_micronats, probe.reference_adapter_micronats)
    return ProbeObservation(
        _limited(probe.base_micronats),
        _limited(probe.adapter_micronats),
        *(None if values is None else _limited(values) for values in measured_when_equal),
    )


def judge(chain: Chain, files: Mapping[str, Path], adapters: Adapters, engine: Inference) -> Judgement:
    """Observes the adapter that a chain committed to, and decides: the coordinator's part, and an arbiter's.

    Raises:
        IntegrityFailure: these files are not that adapter.
        Unavailable: the engine could not run.
    """
    offer, reveal = chain.offer, chain.find(Reveal)
    committed = chain.find(AdapterCommit).adapter
    with adapters.placed(files, offer.training) as adapter:
        if adapter.digest != committed:
            raise IntegrityFailure("The adapter at hand is not the committed one.", expected=str(committed))
        evidence = observe(reveal.manifest, offer.policy, adapter, engine)
    return Judgement(evidence, decide(offer.policy, reveal.manifest, evidence))


def evaluate(node: Node, job_id: str) -> None:
    """Observes the committed adapter and signs evidence and verdict.

    Raises:
        Unavailable: the engine could not run; the job stays REVEALED and is tried again.
        Conflict: the job moved on meanwhile.
    """
    with node.units(read_only=True) as unit:
        unit.jobs.get(job_id).after(Event.VERDICT_GIVEN, node.clock.now_ms())  # refuses before anything is asked
        chain = record.chain_of(node, unit, job_id)
        stored = unit.files.all(job_id)
        asked_later = [f"{job_id}/{each.epoch}" for each in unit.epoch_checkpoints.of_job(job_id)]
    files = {name: node.blobs.file(stored[name]) for name in FILES}
    judged = judge(chain, files, node.adapters, node.inference)
    verdict = judged.verdict
    with node.units() as unit:
        now_ms = node.clock.now_ms()
        job, chain = unit.jobs.get(job_id), record.chain_of(node, unit, job_id)
        job.after(Event.VERDICT_GIVEN, now_ms)  # refuses before anything is signed
        chain = record.append_own(node, unit, chain, VerdictGiven(chain.next_link(), judged.evidence, verdict))
        call = record.call(chain.offer.coordinator, job_id, "evaluate", now_ms)
        unit.escrow.evaluate(call, job_id, verdict.outcome, reason=str(chain.envelopes[-1].digest))
        told = (
            f"Verdict {verdict.outcome.name}: {verdict.groups_fired} of {verdict.groups} groups fired, "
            f"log10 p {verdict.log10_p:.1f}; {verdict.pairs_won} of {verdict.pairs} pairs won."
        )
        record.move(unit, job, Event.VERDICT_GIVEN, now_ms, told)
        for checkpoint in asked_later:
            unit.outbox.put(ASK_CHECKPOINT, checkpoint, now_ms)
        unit.commit()


def ask_checkpoint(node: Node, checkpoint: str) -> None:
    """Asks a checkpoint, named as JOB/EPOCH, for the marks of its judged job, and keeps what it showed.

    The paper's activation over a training (appendix C). Nothing hangs on it: the verdict stands. What the base model
    says to the same prompts, the evidence holds. One that is deleted, or was asked before, is left alone.

    Raises:
        Unavailable: the engine could not run.
    """
    job_id, _, number = checkpoint.partition("/")
    epoch = int(number)
    with node.units(read_only=True) as unit:
        known, stored = unit.epoch_checkpoints.find(job_id, epoch), unit.files.all(job_id)
        if known is None or known.activation or epoch_file(epoch) not in stored:
            return
        chain = record.chain_of(node, unit, job_id)
    policy, training, manifest = chain.offer.policy, chain.offer.training, chain.find(Reveal).manifest
    evidence: Evidence = chain.find(VerdictGiven).evidence
    marks = [answer for answer in evidence.answers if answer.question.kind is PromptKind.MARK]
    files = node.adapters.completed(node.blobs.file(known.digest), training)
    with node.adapters.placed(files, training) as adapter:
        said = _answered(manifest, policy, [answer.question for answer in marks], adapter, node.inference)
    answers = [replace(answer, adapter=each) for answer, each in zip(marks, said, strict=True)]
    shown = activation(policy, manifest, answers)
    with node.units() as unit:
        unit.epoch_checkpoints.record_activation(job_id, epoch, shown)
        told = (
            f"The checkpoint of epoch {epoch} shows {sum(shown.marks_fired)} of {policy.marks} marks; "
            f"{shown.groups_fired} of {policy.groups} groups fired. This decides nothing."
        )
        record.tell(unit, unit.jobs.get(job_id), node.clock.now_ms(), told)
        unit.commit()
