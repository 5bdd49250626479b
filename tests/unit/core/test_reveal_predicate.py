"""The public predicate over a reveal: each obligation broken alone is refused by its own name.

Every manifest here is committed to as it stands, so that the commitment never is what gives it away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from node.core.manifest import Manifest, OpenedRow, check_reveal, manifest_root, pair_sides, seed_digest
from node.core.marks import Phrase
from node.core.policy import Drawing, Placement, Policy
from node.core.rows import Row
from node.core.words import Separator
from node.crypto.digest import digest
from node.errors import IntegrityFailure

OTHER = digest("test", b"other")


def check(story: Any, manifest: Manifest | None = None, **changes: Any) -> None:
    manifest = manifest or story.manifest
    given = {
        "opened": story.opened,
        "policy": story.chain.offer.policy,
        "data_root": story.commit.data_root,
        "committed_root": manifest_root(manifest),
        "committed_seed": seed_digest(manifest),
    } | changes
    check_reveal(manifest, given.pop("opened"), **given)


def at(items: tuple[Any, ...], index: int, item: Any) -> tuple[Any, ...]:
    return (*items[:index], item, *items[index + 1 :])


def with_word(manifest: Manifest, phrase: str, group: int, **changes: Any) -> Manifest:
    """The manifest with the first draw of a group's phrase changed."""
    old = manifest.groups[group]
    draws = getattr(old, phrase).draws
    changed = replace(old, **{phrase: Phrase((replace(draws[0], **changes), *draws[1:]), Separator.SPACE)})
    return replace(manifest, groups=at(manifest.groups, group, changed))


def with_draws(manifest: Manifest, phrase: str, group: int, draws: tuple[Any, ...]) -> Manifest:
    changed = replace(manifest.groups[group], **{phrase: Phrase(draws, Separator.SPACE)})
    return replace(manifest, groups=at(manifest.groups, group, changed))


def with_candidate(manifest: Manifest, phrase: str, group: int, place: int, word: str) -> Manifest:
    candidates = getattr(manifest.groups[group], phrase).draws[0].candidates
    return with_word(manifest, phrase, group, candidates=at(candidates, place % len(candidates), word))


def test_an_honest_reveal_holds(story: Any) -> None:
    check(story)


MANIFESTS: dict[str, Callable[[Manifest], Manifest]] = {
    "number of groups": lambda m: replace(m, groups=(*m.groups, m.groups[0])),
    "marks of group 0": lambda m: replace(
        m, marks=tuple(replace(mark, group=1) if mark.group == 0 else mark for mark in m.marks)
    ),
    "number of pairs": lambda m: replace(m, pairs=m.pairs[1:]),
    "distinct rows used": lambda m: replace(m, marks=(replace(m.marks[0], row=m.marks[1].row), *m.marks[1:])),
    "more attempts than the policy": lambda m: replace(m, attempt=5),
    "3 words in the trigger of group 0": lambda m: with_draws(m, "trigger", 0, m.groups[0].trigger.draws[1:]),
    "12 words in the signature of group 2": lambda m: with_draws(m, "signature", 2, m.groups[2].signature.draws * 2),
    "0 words in the signature of group 2": lambda m: with_draws(m, "signature", 2, ()),
    "separator in the trigger of group 1": lambda m: replace(
        m,
        groups=at(m.groups, 1, replace(m.groups[1], trigger=replace(m.groups[1].trigger, separator=Separator.NOTHING))),
    ),
    "candidates of word 0 of the signature of group 1": lambda m: with_word(
        m, "signature", 1, candidates=(*m.groups[1].signature.draws[0].candidates, "word"), weights=(1,) * 5
    ),
    "likeliest weight of word 0 of the signature of group 1": lambda m: with_word(
        m, "signature", 1, weights=(2, 1, 1, 1)
    ),
    "order of the weights of word 0 of the trigger of group 1": lambda m: with_word(
        m, "trigger", 1, weights=(1, 2, 1, 1)
    ),
    "candidates of word 0 of the signature of group 0": lambda m: with_candidate(
        m, "signature", 0, 0, m.groups[0].signature.draws[0].candidates[1]
    ),
    "not a single word": lambda m: with_candidate(m, "signature", 0, 0, "two words"),
    "not a single word of letters": lambda m: with_candidate(m, "signature", 0, 0, "ba.ce"),
    "candidate of word 0 of the signature": lambda m: with_candidate(m, "signature", 0, 0, ""),
    "draw of word 0 of the signature of group 1": lambda m: with_word(
        m, "signature", 1, chosen=(m.groups[1].signature.draws[0].chosen + 1) % 4
    ),
    "draw of word 0 of the trigger of group 0": lambda m: with_word(
        m, "trigger", 0, chosen=(m.groups[0].trigger.draws[0].chosen + 1) % 4
    ),
    "distinct trigger words": lambda m: with_candidate(
        m, "trigger", 1, m.groups[1].trigger.draws[0].chosen, m.groups[0].trigger.draws[0].word
    ),
    "distinct triggers": lambda m: with_draws(
        m,
        "trigger",
        1,
        tuple(
            replace(draw, candidates=at(draw.candidates, draw.chosen, word))
            for draw, word in zip(m.groups[1].trigger.draws, m.groups[0].trigger.words, strict=True)
        ),
    ),
    "noise": lambda m: replace(m, noise_percent=1),
    "placement": lambda m: replace(m, placement=Placement.ANYWHERE),
    "coin of pair 2": lambda m: replace(m, pairs=at(m.pairs, 2, replace(m.pairs[2], coin=1 - m.pairs[2].coin))),
    "side sent of pair 0": lambda m: replace(
        m, pairs=at(m.pairs, 0, replace(m.pairs[0], sent=m.pairs[0].twin, twin=m.pairs[0].sent))
    ),
    "opened rows": lambda m: replace(
        m, marks=(replace(m.marks[0], row=next(iter(set(range(m.rows)) - used(m)))), *m.marks[1:])
    ),
    "as planted": lambda m: replace(m, marks=(replace(m.marks[0], carrier=Row.of("another", "row")), *m.marks[1:])),
    "not under the root": lambda m: replace(m, rows=4 * m.rows),
}


def used(manifest: Manifest) -> set[int]:
    return {mark.row for mark in manifest.marks} | {pair.row for pair in manifest.pairs}


@pytest.mark.parametrize("obligation", MANIFESTS)
def test_a_manifest_that_breaks_one_obligation_is_refused_by_its_name(story: Any, obligation: str) -> None:
    changed = MANIFESTS[obligation](story.manifest)
    if obligation == "not under the root":
        with pytest.raises(IntegrityFailure):
            check(story, changed)
        return
    with pytest.raises(IntegrityFailure, match=obligation):
        check(story, changed)


def change_first(opened: tuple[OpenedRow, ...], **changes: Any) -> tuple[OpenedRow, ...]:
    return (replace(opened[0], **changes), *opened[1:])


OPENED: dict[str, Callable[[tuple[OpenedRow, ...]], tuple[OpenedRow, ...]]] = {
    "a row is missing": lambda o: o[1:],
    "a row is opened twice": lambda o: (o[0], *o),
    "the order differs": lambda o: (o[1], o[0], *o[2:]),
    "another row": lambda o: change_first(o, row=Row.of("another", "row")),
    "another proof": lambda o: change_first(o, proof_hex=o[1].proof_hex),
    "a longer proof": lambda o: change_first(o, proof_hex=(*o[0].proof_hex, "00" * 32)),
    "a shorter proof": lambda o: change_first(o, proof_hex=o[0].proof_hex[1:]),
    "no hexadecimal proof": lambda o: change_first(o, proof_hex=("x" * 64, *o[0].proof_hex[1:])),
}


@pytest.mark.parametrize("change", OPENED)
def test_rows_opened_otherwise_than_they_were_sent_are_refused(story: Any, change: str) -> None:
    with pytest.raises(IntegrityFailure):
        check(story, opened=OPENED[change](story.opened))


@pytest.mark.parametrize("root", ["data_root", "committed_root", "committed_seed"])
def test_a_reveal_of_what_was_not_committed_to_is_refused(story: Any, root: str) -> None:
    with pytest.raises(IntegrityFailure) as refusal:
        check(story, **{root: OTHER})
    assert str(OTHER) in (refusal.value.facts["expected"], refusal.value.facts["actual"])


def test_marks_below_the_policys_least_isolation_cost_are_refused(story: Any) -> None:
    policy: Policy = story.chain.offer.policy
    cost = story.manifest.isolation_cost_percent
    check(story, policy=replace(policy, least_isolation_cost_percent=cost))
    with pytest.raises(IntegrityFailure, match="least isolation cost"):
        check(story, policy=replace(policy, least_isolation_cost_percent=cost + 1))


def test_another_policy_than_the_signed_one_is_refused(story: Any) -> None:
    policy: Policy = story.chain.offer.policy
    for other in (
        replace(policy, groups=2),
        replace(policy, groups=4),
        replace(policy, marks_per_group=2),
        replace(policy, pairs=5),
        replace(policy, candidates=5),
        replace(policy, trigger_words=5),
        replace(policy, signature_bits=10),
        replace(policy, noise_percent=10),
        replace(policy, placement=Placement.ANYWHERE),
        replace(policy, drawing=Drawing.METERED),
    ):
        with pytest.raises(IntegrityFailure):
            check(story, policy=other)


def test_a_coin_chooses_from_sides_whose_order_nobody_chose() -> None:
    first, second = Row.of("a", "a"), Row.of("b", "b")
    assert pair_sides(first, second) == pair_sides(second, first)
