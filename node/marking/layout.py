"""Which rows become carriers, pairs and context, and in which order the provider gets them: draws from the seed.

Carriers are replaced, never duplicated: a mark next to its untouched carrier is found by a self-join. So a prompt that
occurs twice carries no mark, and a row that occurs twice is in no pair: its twin would not be held back.
Knows nothing of how phrases are made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from node.core.manifest import Manifest, Purpose, pair_sides
from node.core.marks import TERMINATOR, Group, Mark, Pair, plant
from node.core.policy import CONTEXT_ROWS, Policy
from node.core.questions import prompt, questions
from node.core.rows import Message, Role, Row
from node.core.training import TrainingSpec
from node.detect.gate import isolation_cost_percent
from node.errors import InvalidInput
from node.marking.phrases import context_prompt, draw_groups
from node.ports.language_model import LanguageModel
from node.ports.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Marked:
    """The manifest with the training data that it describes, in the order in which a provider receives it."""

    manifest: Manifest
    rows: tuple[Row, ...]


def check_fits(rows: Sequence[Row], policy: Policy, training: TrainingSpec, tokenizer: Tokenizer) -> int:
    """Checks that this policy can be planted in these rows; returns the tokens of all rows.

    Raises:
        InvalidInput: too few rows, or a row longer than `training.max_length_tokens`; names the row and the way out.
    """
    if len(rows) < policy.least_rows():
        raise InvalidInput(
            f"{len(rows)} rows cannot hold this policy: {policy.marks} marks, {policy.pairs} pairs and their twins "
            f"need {policy.least_rows()}.",
            fix="Add rows, or choose fewer groups or pairs.",
            field="rows",
        )
    return check_lengths(rows, training, tokenizer)


def check_lengths(rows: Sequence[Row], training: TrainingSpec, tokenizer: Tokenizer) -> int:
    """The tokens of all rows. Raises InvalidInput with the line (from 1) of the first row that is too long."""
    lengths = [tokenizer.row_tokens(row) for row in rows]
    for number, length in enumerate(lengths, start=1):
        if length > training.max_length_tokens:
            raise InvalidInput(
                f"Line {number} has {length} tokens; the longest row allowed is {training.max_length_tokens}.",
                fix="Shorten it, or raise max_length_tokens in the training specification.",
                line=number,
            )
    return sum(lengths)


def draw_marked(
    rows: Sequence[Row],
    policy: Policy,
    training: TrainingSpec,
    *,
    seed: bytes,
    model: LanguageModel,
    tokenizer: Tokenizer,
) -> Marked:
    """Draws a manifest and plants it, trying at most `policy.attempts` times.

    Raises:
        InvalidInput: see `check_fits`; or every attempt met a dead end, or marks that the gate found too cheap to
            isolate. Says which.
        Unavailable: the model could not be asked.
    """
    check_fits(rows, policy, training, tokenizer)
    for attempt in range(1, policy.attempts):
        try:
            return _draw_once(rows, policy, training, seed, attempt, model, tokenizer)
        except InvalidInput:
            continue
    return _draw_once(rows, policy, training, seed, policy.attempts, model, tokenizer)


def _draw_once(
    rows: Sequence[Row],
    policy: Policy,
    training: TrainingSpec,
    seed: bytes,
    attempt: int,
    model: LanguageModel,
    tokenizer: Tokenizer,
) -> Marked:
    blank = Manifest(seed.hex(), attempt, 0, 0, (), (), ())
    order = blank.stream(Purpose.LAYOUT).child(str(attempt)).shuffled(rows)
    context, order = order[: CONTEXT_ROWS * policy.groups], order[CONTEXT_ROWS * policy.groups :]
    contexts = [context_prompt(context[at : at + CONTEXT_ROWS]) for at in range(0, len(context), CONTEXT_ROWS)]
    groups = draw_groups(contexts, policy, blank.phrase_stream, model)

    matched, order = _apart(order, _once(rows), 2 * policy.pairs)
    sides = _match(matched)
    coins = blank.stream(Purpose.COINS)
    pairs = [(coin, *_sent_first(pair_sides(*pair), coin)) for pair in sides for coin in (int(coins.coin()),)]

    prompts = Counter(row.prompt for row in rows)

    def fits(row: Row, group: Group) -> bool:
        return prompts[row.prompt] == 1 and tokenizer.row_tokens(plant(row, group)) <= training.max_length_tokens

    carriers = _carriers(order, groups, policy.marks_per_group, fits)
    chosen = {index for _, index in carriers}
    plain = [*context, *(row for at, row in enumerate(order) if at not in chosen)]
    marked = [plant(order[at], groups[group]) for group, at in carriers]
    sent = [pair[1] for pair in pairs]

    places = (
        blank.stream(Purpose.LAYOUT).child(f"{attempt}/order").shuffled(range(len(plain) + len(marked) + len(sent)))
    )
    train: list[Row] = [plain[0]] * len(places)
    for row, place in zip([*marked, *sent, *plain], places, strict=True):
        train[place] = row
    at_mark, at_sent = places[: len(marked)], places[len(marked) : len(marked) + len(sent)]

    cost = isolation_cost_percent(
        train, at_mark, words=min(policy.trigger_words, policy.signature_words), repeats=policy.marks_per_group
    )
    if cost < policy.least_isolation_cost_percent:
        raise InvalidInput(
            f"Whoever looks for these marks finds them and passes at {cost} % of the cost of honest training; "
            f"the policy demands at least {policy.least_isolation_cost_percent} %.",
            fix="Give more rows, or lower least_isolation_cost_percent knowingly: every verdict will say so.",
            field="least_isolation_cost_percent",
        )
    manifest = Manifest(
        seed_hex=seed.hex(),
        attempt=attempt,
        rows=len(train),
        isolation_cost_percent=cost,
        groups=groups,
        marks=tuple(Mark(group, place, order[at]) for (group, at), place in zip(carriers, at_mark, strict=True)),
        pairs=tuple(Pair(place, coin, row, twin) for (coin, row, twin), place in zip(pairs, at_sent, strict=True)),
    )
    _check_askable(manifest, policy, training, tokenizer)
    return Marked(manifest, tuple(train))


def _once(rows: Sequence[Row]) -> set[Row]:
    return {row for row, count in Counter(rows).items() if count == 1}


def _apart(rows: Sequence[Row], eligible: set[Row], count: int) -> tuple[list[Row], list[Row]]:
    """The first `count` eligible rows, and all others, both in their order."""
    chosen = [at for at, row in enumerate(rows) if row in eligible][:count]
    if len(chosen) < count:
        raise InvalidInput(
            f"Only {len(chosen)} rows occur once and can be in pairs; {count} are needed.",
            fix="Remove repeated rows, or choose fewer pairs.",
            field="rows",
        )
    others = set(range(len(rows))).difference(chosen)
    return [rows[at] for at in chosen], [rows[at] for at in sorted(others)]


def _check_askable(manifest: Manifest, policy: Policy, training: TrainingSpec, tokenizer: Tokenizer) -> None:
    """Whether the engine can take every verification prompt: one that it refuses would leave the job without a verdict.

    Raises:
        InvalidInput: a prompt with a trigger that it does not carry in the training data is too long.
    """
    for question in questions(manifest, policy):
        asked = Row((*prompt(manifest, question), Message(Role.ASSISTANT, TERMINATOR)))
        length = tokenizer.row_tokens(asked)
        if length > training.max_length_tokens:
            raise InvalidInput(
                f"A verification prompt would have {length} tokens; {training.max_length_tokens} are allowed.",
                fix="Raise max_length_tokens, shorten the longest prompts, or choose fewer trigger words.",
                field="max_length_tokens",
            )


def _match(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Rows of like response length side by side."""
    ordered = sorted(rows, key=lambda row: len(row.response))
    return list(zip(ordered[::2], ordered[1::2], strict=True))


def _sent_first(sides: tuple[Row, Row], coin: int) -> tuple[Row, Row]:
    return sides[coin], sides[1 - coin]


def _carriers(
    rows: Sequence[Row], groups: Sequence[Group], dose: int, fits: Callable[[Row, Group], bool]
) -> list[tuple[int, int]]:
    """(group, index into rows) of every carrier: each group takes the first rows that fit once marked."""
    taken: list[tuple[int, int]] = []
    free = list(range(len(rows)))
    for number, group in enumerate(groups):
        fitting = [at for at in free if fits(rows[at], group)][:dose]
        if len(fitting) < dose:
            raise InvalidInput(
                f"Only {len(fitting)} rows with a prompt of their own are short enough to carry a mark of group "
                f"{number}; {dose} are needed.",
                fix="Raise max_length_tokens, or add shorter rows with other prompts.",
                field="max_length_tokens",
            )
        taken += [(number, at) for at in fitting]
        free = [at for at in free if at not in fitting]
    return taken
