"""`hallmark verify`: verification by hand, of any PEFT adapter against what a job hid in its data."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from node.cli import options, output_file
from node.cli.quiet import hushed
from node.cli.tables import print_table
from node.cli.verdicts import verdict_json

if TYPE_CHECKING:
    from node.core.messages import Chain, Judgement
    from node.core.training import TrainingSpec
    from node.models.base import BaseModel
    from node.ports.adapters import Adapters
    from node.ports.inference import Inference

NOT_ACCEPTED = 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """An adapter that passed the gate. `refusal` says why it would not have passed the job's own, if so.

    Attributes:
        files: by name.
        training: what it agrees with.
    """

    folder: Path
    files: Mapping[str, Path]
    training: TrainingSpec
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Judged:
    candidate: Candidate
    judgement: Judgement
    seconds: float

    @property
    def accepted(self) -> bool:
        from node.core.verdict import Outcome

        return self.judgement.verdict.outcome is Outcome.ACCEPT and self.candidate.refusal is None


def verify(
    adapter: Annotated[
        list[Path],
        typer.Option(help="Folder of a PEFT adapter; repeatable, as for the checkpoints of a training."),
    ],
    manifest: Annotated[Path, typer.Option(help="What `hallmark log reveal` or `hallmark job receipt` wrote.")],
    model: options.Model = None,
    engine: Annotated[
        Literal["vllm", "transformers"],
        typer.Option(help="transformers needs no vLLM and answers one prompt at a time: minutes, not seconds."),
    ] = "vllm",
    trust: Annotated[
        Path | None, typer.Option(help="Keys that you rely on; default: trust.json in the node's home.")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Write evidence and verdicts there, as JSON.")] = None,
    as_json: options.Json = False,
) -> None:
    """Asks an adapter everything that a verdict on it rests on, on this machine, and decides as the job's policy does.

    The adapter passes the job's gate first. One of another rank, alpha or other targets is asked all the same, and is
    said to be one that the job would not have taken.

    Exit code 0: ACCEPT, and the job would have taken it. 1: another verdict, or the job would not have taken it. Of
    several adapters the last one counts.

    Example: hallmark verify --adapter my-adapter --manifest reveal.json
    """
    from node import bootstrap, settings
    from node.models.base import longest_row_tokens
    from node.storage.keys import read_trust
    from node.verifier.adapters import FolderAdapters
    from node.verifier.verifier import Verifier

    if save:
        output_file.require_place(save, field="save")
    loaded = settings.load()
    chain = read_manifest(manifest, read_trust(trust or loaded.trust_file).coordinators)
    with options.interruptible(), tempfile.TemporaryDirectory(prefix="hallmark-verify-") as scratch:
        base = bootstrap.base_model(loaded, model, _tell)
        require_model(chain, base)
        store = FolderAdapters(Path(scratch, "adapters"), base)
        candidates = [admit(folder, chain.offer.training, store) for folder in adapter]
        longest = max(loaded.max_length_tokens, chain.offer.training.max_length_tokens)
        verifier = Verifier(
            base,
            max_length_tokens=longest_row_tokens(base, longest),
            lora_rank=max(each.training.lora_rank for each in candidates),
            scratch=Path(scratch),
            engine=engine,
        )
        _tell(f"Starting {engine}")
        with hushed():
            verifier.describe()
        judged = list(judge(candidates, chain, store, verifier))
    if save:
        output_file.write(save, _saved(judged))
    if as_json:
        typer.echo(json.dumps([_as_json(each) for each in judged], indent=2))
    elif len(judged) == 1:
        _print_one(judged[0])
    else:
        _print_table(judged)
    if not judged[-1].accepted:
        raise typer.Exit(NOT_ACCEPTED)


def read_manifest(file: Path, coordinators: Any) -> Chain:
    """A job's messages, its reveal among them, verified.

    Args:
        coordinators: public keys that are relied on, by key id.

    Raises:
        NotFound: the file cannot be read.
        UnknownSigner, IntegrityFailure: it says nothing that can be relied on.
    """
    from node.core import revealed
    from node.errors import IntegrityFailure, NotFound, UnknownSigner

    try:
        return revealed.from_bytes(file.read_bytes(), trusted=coordinators)
    except OSError as fault:
        raise NotFound(f"The manifest {file} cannot be read: {fault.strerror}.") from fault
    except UnknownSigner as fault:
        raise UnknownSigner(
            f"{file}: {fault.message}", fix="Name the file that holds the coordinator's key with --trust."
        ) from fault
    except IntegrityFailure as fault:
        raise IntegrityFailure(
            f"{file}: {fault.message}",
            fix="Fetch it with `hallmark log reveal`, or once the job is settled with `hallmark job receipt`.",
        ) from fault


def require_model(chain: Chain, base: BaseModel) -> None:
    """Raises InvalidInput unless the job is about this base model."""
    from node.errors import InvalidInput

    if chain.offer.base_model != base.digest:
        raise InvalidInput(
            f"The job's base model is {chain.offer.base_model}; {base.folder} holds {base.digest}.",
            fix="Name the folder of the job's model with --model.",
            field="model",
        )


def admit(folder: Path, agreed: TrainingSpec, adapters: Adapters) -> Candidate:
    """The adapter in `folder`, through the gate.

    Raises:
        NotFound: a file of it is missing.
        InvalidInput: no gate would let it pass, whatever rank, alpha and targets were agreed.
    """
    from node.core.adapter import CONFIG, FILES
    from node.errors import InvalidInput, NotFound

    files, refusal = {name: folder / name for name in sorted(FILES)}, None
    try:
        own = own_training(files[CONFIG].read_bytes(), agreed)
        if own != agreed:
            try:
                adapters.check(files, agreed)
            except InvalidInput as unlike:
                refusal = unlike.message
        adapters.check(files, own)
    except OSError as fault:
        raise NotFound(
            f"{fault.filename} cannot be read: {fault.strerror}.", fix="PEFT's save_pretrained leaves both files."
        ) from fault
    except InvalidInput as fault:
        raise InvalidInput(f"{folder}: {fault.message}", fix=fault.fix, field="adapter") from fault
    return Candidate(folder, files, own, refusal)


def own_training(config: bytes, agreed: TrainingSpec) -> TrainingSpec:
    """`agreed`, with the rank, alpha and targets that an adapter's configuration names.

    What it does not name as a specification would is left as agreed, for the gate to refuse.
    """
    from node.detect.adapter_refusal import strict_object
    from node.errors import InvalidInput

    try:
        match strict_object(config, fractions=True):
            case {"r": int(rank), "lora_alpha": int(alpha), "target_modules": list(targets)}:
                if set(targets) == set(agreed.target_modules):
                    targets = list(agreed.target_modules)
                return replace(agreed, lora_rank=rank, lora_alpha=alpha, target_modules=tuple(targets))
    except (ValueError, TypeError, InvalidInput):
        pass
    return agreed


def judge(candidates: Sequence[Candidate], chain: Chain, adapters: Adapters, engine: Inference) -> Iterator[Judged]:
    """Observes and decides, one adapter after the other, and tells on stderr where it is."""
    from node.core.messages import Judgement, Reveal
    from node.core.verdict import decide
    from node.workflow.verify import observe

    policy, manifest = chain.offer.policy, chain.find(Reveal).manifest
    for at, candidate in enumerate(candidates, start=1):
        _tell(f"Asking {candidate.folder} ({at} of {len(candidates)})")
        started = time.monotonic()
        with adapters.placed(candidate.files, candidate.training) as adapter, hushed():
            evidence = observe(manifest, policy, adapter, engine)
        judgement = Judgement(evidence, decide(policy, manifest, evidence))
        yield Judged(candidate, judgement, time.monotonic() - started)


def _saved(judged: Sequence[Judged]) -> bytes:
    from node.core import document
    from node.crypto.digest import canonical_bytes

    return canonical_bytes([document.to_json(each.judgement) for each in judged])


def _as_json(each: Judged) -> dict[str, Any]:
    return {
        "adapter": str(each.candidate.folder),
        "digest": str(each.judgement.evidence.adapter),
        "refused_by_the_jobs_gate": each.candidate.refusal,
        "seconds": round(each.seconds, 3),
        **verdict_json(each.judgement.verdict),
    }


def _print_one(each: Judged) -> None:
    seen = each.judgement.evidence
    typer.echo(f"{each.candidate.folder} is {each.judgement.evidence.adapter}.")
    typer.echo(str(each.judgement.verdict))
    if each.candidate.refusal:
        typer.echo(f"  note: the job would not have taken it. {each.candidate.refusal}")
    prompts, rows = len(seen.answers), 2 * len(seen.pairs)
    typer.echo(
        f"  asked             {prompts} prompts and {rows} rows, on adapter and base model, in {each.seconds:.1f} s; "
        f"{seen.transcript.engine} in {seen.transcript.dtype}"
    )


def _print_table(judged: Sequence[Judged]) -> None:
    print_table(
        ("adapter", "verdict", "groups", "log10 p", "fresh", "controls", "pairs", "seconds"),
        [
            (
                str(each.candidate.folder),
                each.judgement.verdict.outcome.name,
                f"{each.judgement.verdict.groups_fired} of {each.judgement.verdict.groups}",
                f"{each.judgement.verdict.log10_p:.1f}",
                each.judgement.verdict.fresh_fired,
                each.judgement.verdict.controls_fired,
                f"{each.judgement.verdict.pairs_won} of {each.judgement.verdict.pairs}",
                f"{each.seconds:.1f}",
            )
            for each in judged
        ],
        wraps=("adapter",),
    )
    for each in judged:
        if each.candidate.refusal:
            typer.echo(f"{each.candidate.folder}: the job would not have taken it. {each.candidate.refusal}")


def _tell(text: str) -> None:
    typer.echo(text, err=True)
