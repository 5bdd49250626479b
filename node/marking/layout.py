"""Which rows become carriers, pairs and context, and in which order the provider gets them: draws from the seed.

Carriers are replaced, never duplicated: a mark next to its untouched carrier is found by a self-join. So a prompt that
occurs twice carries no mark, and a row that occurs twice is in no pair: its twin would not be held back.
Knows nothing of how phrases are made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from node.core.manifest import Manifest, Purpose, hidden_rows, pair_sides
from node.core.marks import Mark, Pair
from node.core.policy import CONTEXT_ROWS, Changes, Policy, told, way_out
from node.core.questions import prompt, questions
from node.core.rows import Message, Role, Row
from node.core.training import TrainingSpec
from node.core.words import Separator, separator_of
from node.detect.gate import cheapest_isolation
from node.errors import InvalidInput
from node.marking.contexts import WriteContexts, templates
from node.marking.phrases import draw_groups
from node.ports.language_model import LanguageModel
from node.ports.tokenizer import Tokenizer

#: Marks of a group times epochs: measured groups fired from 10 to 40 on.
LEAST_EXPOSURES = 10
#: What a manifest says of the cheapest attack while the gate is off.
NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True)
class Marked:
    """The manifest with the training data that it describes, in the order in which a provider receives it."""

    manifest: Manifest
    rows: tuple[Row, ...]


def check_fits(rows: Sequence[Row], policy: Policy, training: TrainingSpec, tokenizer: Tokenizer) -> None:
    """Whether this policy can be planted in these rows.

    Raises:
        InvalidInput: too few rows, or a row longer than `training.max_length_tokens`; names the row and the way out.
    """
    missing = policy.least_rows() - len(rows)
    if missing > 0:
        most_pairs = (len(rows) - policy.marks - CONTEXT_ROWS * policy.groups) // 2
        most_groups = (len(rows) - 2 * policy.pairs) // (policy.marks_per_group + CONTEXT_ROWS)
        raise InvalidInput(
            f"{len(rows)} rows cannot hold this policy: {policy.marks} marks, {policy.pairs} pairs and their twins "
            f"need {policy.least_rows()}.",
            fix=_fix(f"Add {missing} rows", policy, {"pairs": most_pairs}, {"groups": most_groups}),
            field="rows",
        )
    check_lengths(rows, training, tokenizer)


def check_learnable(policy: Policy, training: TrainingSpec) -> None:
    """Whether an honest provider could learn the marks. Raises InvalidInput with the nearest dose that it could."""
    exposures = policy.marks_per_group * training.epochs
    if exposures < LEAST_EXPOSURES:
        least_dose, least_epochs = (-(-LEAST_EXPOSURES // each) for each in (training.epochs, policy.marks_per_group))
        raise InvalidInput(
            f"Each group would be seen {exposures} times ({policy.marks_per_group} marks in {training.epochs} epochs); "
            f"below {LEAST_EXPOSURES} no group was ever seen to be learned.",
            fix=_fix(f"Train for {least_epochs} epochs", policy, {"marks_per_group": least_dose}),
            field="marks_per_group",
            actual=policy.marks_per_group,
        )


def check_lengths(rows: Sequence[Row], training: TrainingSpec, tokenizer: Tokenizer) -> None:
    """Raises InvalidInput with the line (from 1) of the first row that is too long."""
    lengths = [tokenizer.row_tokens(row) for row in rows]
    for number, length in enumerate(lengths, start=1):
        if length > training.max_length_tokens:
            raise InvalidInput(
                f"Line {number} has {length} tokens; the longest row allowed is {training.max_length_tokens}.",
                fix=f"Shorten it, or raise max_length_tokens in the training specification; the longest row has "
                f"{max(lengths)}.",
                line=number,
            )


def _fix(otherwise: str, policy: Policy, *wanted: Changes) -> str:
    """What to do: something else, or those changes of the policy that make one that works."""
    ways = [told(way) for way in (way_out(policy, each) for each in wanted) if way]
    return f"{'; or choose '.join((otherwise, *ways))}."


@dataclass(frozen=True, slots=True)
class _Job:
    """What all attempts have in common."""

    rows: Sequence[Row]
    policy: Policy
    training: TrainingSpec
    separator: Separator
    model: LanguageModel
    tokenizer: Tokenizer


def draw_marked(
    rows: Sequence[Row],
    policy: Policy,
    training: TrainingSpec,
    *,
    seed: bytes,
    model: LanguageModel,
    tokenizer: Tokenizer,
    write_contexts: WriteContexts = templates,
) -> Marked:
    """Draws a manifest and plants it, trying at most `policy.attempts` times.

    Raises:
        InvalidInput: see `check_fits`; or every attempt met a dead end, or marks that the gate found too cheap to
            isolate. Says what the last one met.
        Unavailable: the model could not be asked.
    """
    check_fits(rows, policy, training, tokenizer)
    job = _Job(rows, policy, training, separator_of(row.response for row in rows), model, tokenizer)
    for attempt in range(1, policy.attempts + 1):
        blank = Manifest(
            seed_hex=seed.hex(),
            attempt=attempt,
            rows=len(rows) - policy.pairs,
            noise_percent=policy.noise_percent,
            placement=policy.placement,
            cheapest_attack=NOT_TRIED,
            isolation_cost_percent=0,
            groups=(),
            marks=(),
            pairs=(),
        )
        try:
            return _attempt(job, blank, write_contexts)
        except InvalidInput as refusal:
            met = refusal
    raise met


def _attempt(job: _Job, draft: Manifest, write_contexts: WriteContexts) -> Marked:
    """Draws carriers, pairs, phrases and the order of all rows; plants, checks and attacks the result.

    Raises InvalidInput for a dead end, for rows that are too few or too long, and for marks too cheap to isolate.
    """
    policy, dose = job.policy, job.policy.marks_per_group
    stream = draft.stream(Purpose.LAYOUT).child(str(draft.attempt))
    order = stream.shuffled(job.rows)
    context, order = order[: CONTEXT_ROWS * policy.groups], order[CONTEXT_ROWS * policy.groups :]
    matched, order = _paired(order, job)
    coins = draft.stream(Purpose.COINS)
    sides = [(int(coins.coin()), pair_sides(*pair)) for pair in _match(matched)]

    chosen = _carriers(order, job)
    carriers = [order[at] for at in chosen]
    prompts = [[row.prompt for row in carriers[at : at + dose]] for at in range(0, policy.marks, dose)]
    contexts = write_contexts(list(zip(context[::2], context[1::2], strict=True)), job.separator)
    groups = draw_groups(contexts, prompts, job.separator, policy, draft.phrase_stream, job.model)

    unmarked = set(range(len(order))).difference(chosen)
    plain = [*context, *(order[at] for at in sorted(unmarked))]
    places = stream.child("order").shuffled(range(draft.rows))
    at_mark, rest = places[: policy.marks], places[policy.marks :]
    at_pair, at_plain = rest[: policy.pairs], rest[policy.pairs :]
    manifest = replace(
        draft,
        groups=groups,
        marks=tuple(
            Mark(number // dose, place, row) for number, (row, place) in enumerate(zip(carriers, at_mark, strict=True))
        ),
        pairs=tuple(
            Pair(place, coin, both[coin], both[1 - coin]) for (coin, both), place in zip(sides, at_pair, strict=True)
        ),
    )
    placed = dict(zip(at_plain, plain, strict=True)) | hidden_rows(manifest)
    train = tuple(placed[at] for at in range(manifest.rows))
    _check_room([train[at] for at in at_mark], manifest, job)
    return Marked(_attacked(manifest, train, job), train)


def _attacked(manifest: Manifest, train: Sequence[Row], job: _Job) -> Manifest:
    """The manifest with what the gate found. Raises InvalidInput if that is below what the policy demands."""
    policy = job.policy
    if policy.least_isolation_cost_percent == 0:
        return manifest
    marked = [[mark.row for mark in manifest.marks if mark.group == group] for group in range(policy.groups)]
    found = cheapest_isolation(train, marked, policy, job.training.epochs, job.model)
    if found.cost_percent < policy.least_isolation_cost_percent:
        raise InvalidInput(
            f"Whoever looks for these marks ({found.attack}) passes at {found.cost_percent} % of the cost of honest "
            f"training; the policy demands at least {policy.least_isolation_cost_percent} %.",
            fix="Give more rows, or knowingly lower least_isolation_cost_percent, here to "
            f"{found.cost_percent}: every verdict will say so.",
            field="least_isolation_cost_percent",
        )
    return replace(manifest, cheapest_attack=found.attack, isolation_cost_percent=found.cost_percent)


def _paired(rows: Sequence[Row], job: _Job) -> tuple[list[Row], list[Row]]:
    """The first rows that may be in pairs, two for each, and all others, both in their order.

    None occurs twice, and their prompts leave room for a trigger: twins are asked with one.
    """
    policy = job.policy
    counts = Counter(job.rows)
    longest = job.training.max_length_tokens - job.separator.room_tokens(policy.trigger_words)
    eligible = (
        at
        for at, row in enumerate(rows)
        if counts[row] == 1 and job.tokenizer.row_tokens(row.with_response(job.separator.terminator)) <= longest
    )
    chosen = list(islice(eligible, 2 * policy.pairs))
    if len(chosen) < 2 * policy.pairs:
        raise InvalidInput(
            f"Only {len(chosen)} rows occur once and leave room for a trigger; pairs need {2 * policy.pairs}.",
            fix=_fix("Remove repeated rows", policy, {"pairs": len(chosen) // 2}),
            field="rows",
        )
    others = set(range(len(rows))).difference(chosen)
    return [rows[at] for at in chosen], [rows[at] for at in sorted(others)]


def _check_room(planted: Sequence[Row], manifest: Manifest, job: _Job) -> None:
    """Whether trainer and engine can take what was drawn: a tokenizer may spell phrases in more tokens than foreseen.

    Raises:
        InvalidInput: a marked row is too long, or a verification prompt, which would leave the job without a verdict.
    """
    closing = Message(Role.ASSISTANT, job.separator.terminator)
    asked = (Row((*prompt(manifest, question), closing)) for question in questions(manifest, job.policy))
    longest = max(map(job.tokenizer.row_tokens, (*planted, *asked)))
    if longest > job.training.max_length_tokens:
        raise InvalidInput(
            f"A marked row or a verification prompt would have {longest} tokens; {job.training.max_length_tokens} are "
            "allowed.",
            fix=f"Raise max_length_tokens to {longest}, or shorten the longest rows.",
            field="max_length_tokens",
        )


def _match(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Rows of like response length side by side."""
    ordered = sorted(rows, key=lambda row: len(row.response))
    return list(zip(ordered[::2], ordered[1::2], strict=True))


def _carriers(rows: Sequence[Row], job: _Job) -> list[int]:
    """Indices of the first rows that may carry marks: those with a prompt of their own and room for any phrases.

    The drawn signatures have no part in this: carriers stand in verification prompts, where nothing may depend on them.
    """
    policy = job.policy
    prompts = Counter(row.prompt for row in job.rows)
    room = sum(map(job.separator.room_tokens, (policy.trigger_words, policy.most_signature_words)))
    longest = job.training.max_length_tokens - room
    own = [(job.tokenizer.row_tokens(row), at) for at, row in enumerate(rows) if prompts[row.prompt] == 1]
    carriers = [at for length, at in own if length <= longest]
    if len(carriers) < policy.marks:
        enough = (
            "" if len(own) < policy.marks else f"Raise max_length_tokens to {sorted(own)[policy.marks - 1][0] + room}"
        )
        raise InvalidInput(
            f"Only {len(carriers)} rows with a prompt of their own are short enough to carry a mark, which may take "
            f"{room} tokens; {policy.marks} are needed.",
            fix=_fix(
                enough or "Add rows with prompts of their own",
                policy,
                {"groups": len(carriers) // policy.marks_per_group},
            ),
            field="max_length_tokens",
        )
    return carriers[: policy.marks]
