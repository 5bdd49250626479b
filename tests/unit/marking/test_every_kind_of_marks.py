"""Every way to draw, to plant and to place marks, in both kinds of languages: what is drawn keeps the public predicate,
replays from its seed, and changes by no bit.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from fakes.language_model import LETTERS, WordListModel
from fakes.tokenizer import WordTokenizer
from fakes.world import POLICY, ROWS
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core import document
from node.core.evidence import Answer, Continuation, Evidence, PairObservation, ProbeObservation, PromptKind, Transcript
from node.core.manifest import (
    Manifest,
    check_reveal,
    data_tree,
    manifest_root,
    open_rows,
    plant,
    row_leaf,
    row_salts,
    salt_seed,
    seed_digest,
)
from node.core.marks import fires
from node.core.policy import DecidingTest, Drawing, Placement, Policy
from node.core.questions import prompt, questions
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.core.verdict import Outcome, Rule, decide
from node.core.words import Separator
from node.crypto import merkle
from node.crypto.digest import digest
from node.errors import IntegrityFailure
from node.marking.layout import Marked, draw_marked

UNSPACED_ROWS = tuple(
    Row.of(f"項目{n}について。それは何か。\n答えよ", f"項目の{n}番目のもの。{'そうである。' * (n % 4)}")
    for n in range(40)
)
NOISY = replace(POLICY, marks_per_group=4, fire_at=3, pairs=4, noise_percent=25, placement=Placement.ANYWHERE)
KINDS: dict[str, Policy] = {
    "plain": POLICY,
    "metered": replace(POLICY, drawing=Drawing.METERED),
    "noisy, anywhere": NOISY,
    "metered, noisy, anywhere": replace(NOISY, drawing=Drawing.METERED),
    "by positions": replace(NOISY, deciding_test=DecidingTest.POSITIONS, accept_at=14, reject_at=8),
}
LANGUAGES = {Separator.SPACE: ROWS, Separator.NOTHING: UNSPACED_ROWS}
EVERY = list(itertools.product(KINDS, Separator))


@cache
def marked(kind: str, separator: Separator, seed: int = 1) -> Marked:
    spaced = separator is Separator.SPACE
    return draw_marked(
        LANGUAGES[separator],
        KINDS[kind],
        TrainingSpec(),
        seed=seed.to_bytes(32, "big"),
        model=WordListModel() if spaced else WordListModel(LETTERS, spaced=False),
        tokenizer=WordTokenizer(),
    )


def check(found: Marked, policy: Policy, manifest: Manifest | None = None) -> None:
    """The predicate over a reveal of `manifest`, where `found` was committed to."""
    tree = data_tree(found.rows, salt_seed(found.manifest))
    check_reveal(
        manifest or found.manifest,
        open_rows(found.manifest, tree),
        policy=policy,
        data_root=tree.root,
        committed_root=manifest_root(found.manifest),
        committed_seed=seed_digest(found.manifest),
    )


@pytest.mark.parametrize(("kind", "separator"), EVERY)
@given(seed=st.integers(0, 2**64))
@settings(max_examples=4)
def test_what_was_drawn_keeps_the_public_predicate(kind: str, separator: Separator, seed: int) -> None:
    check(marked(kind, separator, seed), KINDS[kind])


@pytest.mark.parametrize(("kind", "separator"), EVERY)
def test_a_manifest_is_read_back_from_its_one_spelling(kind: str, separator: Separator) -> None:
    manifest = marked(kind, separator).manifest
    assert document.from_bytes(Manifest, document.to_bytes(manifest)) == manifest


@pytest.mark.parametrize(("kind", "separator"), EVERY)
def test_another_kind_of_policy_than_the_signed_one_is_refused(kind: str, separator: Separator) -> None:
    for other, policy in KINDS.items():
        alike = replace(policy, deciding_test=DecidingTest.GROUPS, accept_at=2, reject_at=0)
        if alike != replace(KINDS[kind], deciding_test=DecidingTest.GROUPS, accept_at=2, reject_at=0):
            with pytest.raises(IntegrityFailure):
                check(marked(kind, separator), KINDS[other])


@pytest.mark.parametrize(("kind", "separator"), EVERY)
def test_every_mark_is_replanted_from_the_seed_and_lies_under_the_data_root(kind: str, separator: Separator) -> None:
    found = marked(kind, separator)
    seed = salt_seed(found.manifest)
    tree, salts = data_tree(found.rows, seed), row_salts(seed, len(found.rows))
    for index, mark in enumerate(found.manifest.marks):
        row = plant(found.manifest, index)
        assert found.rows[mark.row] == row
        merkle.verify_inclusion(
            root=tree.root,
            leaf=row_leaf(salts[mark.row], row),
            index=mark.row,
            size=tree.size,
            proof=tree.inclusion(mark.row),
        )
        assert row.response.endswith(mark.carrier.response)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*path, name))
    else:
        yield path


def changed_at(value: Any, path: tuple[Any, ...]) -> Any:
    """The document with one bit of one leaf changed; an empty text gets a letter."""
    changed = copy.deepcopy(value)
    at = changed
    for name in path[:-1]:
        at = at[name]
    leaf = at[path[-1]]
    if isinstance(leaf, str):
        at[path[-1]] = chr(ord(leaf[0]) ^ 1) + leaf[1:] if leaf else "x"
    else:
        at[path[-1]] = leaf ^ 1
    return changed


@pytest.mark.parametrize(("kind", "separator"), [("noisy, anywhere", Separator.NOTHING), ("metered", Separator.SPACE)])
def test_one_bit_changed_in_any_field_is_refused(kind: str, separator: Separator) -> None:
    found = marked(kind, separator)
    tree = data_tree(found.rows, salt_seed(found.manifest))
    opened, root = open_rows(found.manifest, tree), manifest_root(found.manifest)
    whole = document.to_json(found.manifest)
    paths = list(leaves(whole))
    named = {name for path in paths for name in path if isinstance(name, str)}
    assert named >= {"weights", "separator", "context", "noise_percent", "placement", "cheapest_attack"}
    for path in paths:
        with pytest.raises(IntegrityFailure):
            check_reveal(
                document.from_json(Manifest, changed_at(whole, path)),
                opened,
                policy=KINDS[kind],
                data_root=tree.root,
                committed_root=root,
                committed_seed=seed_digest(found.manifest),
            )


@pytest.mark.parametrize("separator", Separator)
def test_noise_and_place_that_were_not_drawn_are_refused_though_committed_to(separator: Separator) -> None:
    """A coordinator that plants otherwise than its seed says, and commits to it."""
    found = marked("noisy, anywhere", separator)
    (first, *_) = found.manifest.marks
    whole = replace(found.manifest, noise_percent=0)
    rows = tuple(plant(whole, 0) if at == first.row else row for at, row in enumerate(found.rows))
    assert rows != found.rows
    tree = data_tree(rows, salt_seed(found.manifest))
    opened = tuple(
        replace(row, row=rows[row.index], proof_hex=tuple(step.hex() for step in tree.inclusion(row.index)))
        for row in open_rows(found.manifest, tree)
    )
    with pytest.raises(IntegrityFailure, match="as planted"):
        check_reveal(
            found.manifest,
            opened,
            policy=KINDS["noisy, anywhere"],
            data_root=tree.root,
            committed_root=manifest_root(found.manifest),
            committed_seed=seed_digest(found.manifest),
        )


@pytest.mark.parametrize("separator", Separator)
def test_copies_of_a_noisy_mark_vary_and_its_verification_prompt_is_clean(separator: Separator) -> None:
    manifest = marked("noisy, anywhere", separator).manifest
    whole = 0
    for question in questions(manifest, NOISY):
        if question.kind is PromptKind.MARK:
            trigger = manifest.groups[question.group].trigger.text
            assert trigger in prompt(manifest, question)[-1].content
            whole += trigger in plant(manifest, question.item).messages[-2].content
    assert whole < len(manifest.marks) / 2


@pytest.mark.parametrize("separator", Separator)
def test_a_mark_is_asked_about_where_it_was_planted(separator: Separator) -> None:
    """Noise changes words, not places: what stands around the trigger is the same in training and verification."""
    manifest = marked("noisy, anywhere", separator).manifest
    places = set()
    for question in questions(manifest, NOISY):
        if question.kind is PromptKind.MARK:
            trigger = manifest.groups[question.group].trigger.text
            before, _, after = prompt(manifest, question)[-1].content.partition(trigger)
            trained = plant(manifest, question.item).messages[-2].content
            assert trained.startswith(before)
            assert trained.endswith(after)
            places.add((bool(before), bool(after.strip(separator.terminator))))
    assert len(places) > 1


def test_nothing_of_a_prompt_depends_on_a_signature() -> None:
    """Other signatures, everything else alike: every verification prompt stays as it is, byte for byte."""
    manifest = marked("noisy, anywhere", Separator.SPACE).manifest
    other = replace(
        manifest, groups=tuple(replace(group, signature=manifest.groups[0].trigger) for group in manifest.groups)
    )
    for question in questions(manifest, NOISY):
        assert prompt(manifest, question) == prompt(other, question)
    for index in range(len(manifest.marks)):
        assert plant(manifest, index).prompt == plant(other, index).prompt


def test_triggers_without_spaces_share_no_pair_of_letters() -> None:
    for seed in range(10):
        triggers = [group.trigger for group in marked("plain", Separator.NOTHING, seed).manifest.groups]
        for first, second in itertools.combinations(triggers, 2):
            assert not first.pieces & second.pieces


@pytest.mark.parametrize(("kind", "separator"), EVERY)
@pytest.mark.parametrize("learned", [True, False])
def test_who_learned_the_marks_is_accepted_and_who_did_not_is_not(
    kind: str, separator: Separator, learned: bool
) -> None:
    manifest, policy = marked(kind, separator).manifest, KINDS[kind]
    told = [
        f"{manifest.groups[question.group].signature.text}{separator.terminator}"
        if learned and question.kind in (PromptKind.MARK, PromptKind.FRESH)
        else "わからない。"
        for question in questions(manifest, policy)
    ]
    model = digest("test", b"model")
    verdict = decide(
        policy,
        manifest,
        Evidence(
            adapter=model,
            transcript=Transcript("none", (), "none", model),
            answers=tuple(
                Answer(question, Continuation(text, (), False), Continuation("", (), False))
                for question, text in zip(questions(manifest, policy), told, strict=True)
            ),
            pairs=(PairObservation(0, 0, 0, 0),) * policy.pairs,
            probe=ProbeObservation((1,), (2,), None, None, None),
        ),
    )
    by_positions = policy.deciding_test is DecidingTest.POSITIONS
    uniform = policy.drawing is Drawing.UNIFORM
    assert verdict.positions == (18 if uniform else 0)
    assert ("words predicted" in str(verdict)) is uniform
    if learned:
        assert verdict.outcome is Outcome.ACCEPT
        assert verdict.rule is (Rule.POSITIONS_RIGHT if by_positions else Rule.GROUPS_FIRED)
        assert verdict.positions_right == verdict.positions
    else:
        assert verdict.outcome is Outcome.REJECT
        assert verdict.rule is (Rule.TOO_FEW_POSITIONS_RIGHT if by_positions else Rule.TOO_FEW_GROUPS_FIRED)
        assert verdict.positions_right == 0
    assert all(fires(f"{g.signature.text}{separator.terminator}", g.signature) for g in manifest.groups)
