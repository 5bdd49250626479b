"""What may be asked for: every number of a policy, a training specification, money and deadlines at its borders."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import scipy.stats
from hypothesis import example, given
from hypothesis import strategies as st

from node.core import document
from node.core.job import Deadlines
from node.core.manifest import Manifest
from node.core.marks import FULL_WEIGHT, Draw
from node.core.messages import Link, Money
from node.core.policy import DecidingTest, Drawing, Placement, Policy
from node.core.rows import Row
from node.core.training import TrainingSpec
from node.errors import IntegrityFailure, InvalidInput

POLICY = Policy(drawing=Drawing.UNIFORM, trigger_words=8, signature_bits=32, accept_at=8, reject_at=3, pairs_needed=0)
TRAINING, MONEY, DEADLINES = TrainingSpec(), Money(), Deadlines()
COIN_POLICY = replace(POLICY, pairs_needed=59)
BY_POSITIONS = replace(POLICY, deciding_test=DecidingTest.POSITIONS, accept_at=80)

#: (a good value, field, the least and the largest that still are good)
BORDERS: list[tuple[Any, str, int, int]] = [
    (replace(POLICY, accept_at=1, reject_at=0, log10_alpha=-5), "groups", 1, 1000),
    (replace(POLICY, fire_at=6), "marks_per_group", 6, 11),
    (replace(POLICY, marks_per_group=3, fire_at=2, noise_percent=1), "marks_per_group", 3, 3),
    (replace(POLICY, marks_per_group=2, fire_at=2), "marks_per_group", 2, 3),
    (POLICY, "fire_at", 4, 6),
    (replace(POLICY, marks_per_group=7), "fire_at", 4, 7),
    (POLICY, "candidates", 2, 256),
    (POLICY, "trigger_words", 1, 64),
    (replace(POLICY, accept_at=10), "signature_bits", 1, 256),  # one word of 4 bits at the least
    (replace(POLICY, drawing=Drawing.METERED, accept_at=10), "signature_bits", 4, 256),  # 10 groups of 4 bits suffice
    (replace(POLICY, candidates=3), "signature_bits", 4, 101),  # 3 words to 64 words of log2(3) bits
    (POLICY, "noise_percent", 0, 40),
    (replace(BY_POSITIONS, reject_at=0), "accept_at", 24, 80),
    (replace(POLICY, reject_at=0), "accept_at", 2, 10),
    (POLICY, "reject_at", 0, 7),
    (replace(POLICY, accept_at=10), "log10_alpha", -95, -1),  # 320 bits less what 4 redraws give away
    (POLICY, "control_limit_percent", 0, 100),
    (POLICY, "pairs", 0, 100_000),
    (COIN_POLICY, "pairs_needed", 59, 100),
    (replace(COIN_POLICY, pairs=5, pairs_needed=5), "pairs", 5, 5),
    (POLICY, "least_isolation_cost_percent", 0, 100),
    (POLICY, "attempts", 1, 1000),
    (TRAINING, "epochs", 1, 100),
    (TRAINING, "learning_rate_ppm", 1, 100_000),
    (TRAINING, "batch_rows", 1, 4096),
    (TRAINING, "warmup_steps", 0, 1_000_000),
    (TRAINING, "lora_rank", 1, 512),
    (TRAINING, "lora_alpha", 1, 4096),
    (TRAINING, "max_length_tokens", 16, 131_072),
    (TRAINING, "seed", 0, 2**31 - 1),
    (replace(MONEY, bond_minor=10**15, cancel_fee_minor=1), "price_minor", 100, 10**15),
    (MONEY, "stake_minor", 100, 10**15),
    (MONEY, "bond_minor", 10_000, 10**15),
    (MONEY, "fee_minor", 0, 1_000),
    (MONEY, "challenge_bond_minor", 100, 10_000),
    (MONEY, "cancel_fee_minor", 0, 10_000),
    *((DEADLINES, f"{name}_seconds", 1, 10 * 365 * 86_400) for name in ("commit", "train", "reveal", "arbitrate")),
]


@pytest.mark.parametrize(("good", "field", "low", "high"), BORDERS, ids=[row[1] for row in BORDERS])
def test_a_value_is_taken_up_to_its_borders_and_refused_beyond(good: Any, field: str, low: int, high: int) -> None:
    for value in (low, high):
        assert getattr(replace(good, **{field: value}), field) == value
    for value in (low - 1, high + 1):
        with pytest.raises(InvalidInput) as refusal:
            replace(good, **{field: value})
        assert refusal.value.facts["field"]


def test_a_refused_policy_names_the_nearest_value_that_works() -> None:
    with pytest.raises(InvalidInput, match="fire_at is 3; it must be between 4 and 6") as refusal:
        Policy(fire_at=3)
    assert refusal.value.facts == {"field": "fire_at", "actual": 3}
    assert refusal.value.fix == "Nearest that works: fire_at 4."


def test_the_rows_that_a_policy_needs_are_carriers_pairs_with_twins_and_what_contexts_quote() -> None:
    policy = replace(POLICY, groups=2, marks_per_group=5, fire_at=3, accept_at=2, reject_at=0, pairs=7)
    assert policy.least_rows() == 2 * 5 + 2 * 7 + 2 * 2


anything = st.fixed_dictionaries(
    {
        "groups": st.integers(-1, 1100),
        "marks_per_group": st.integers(0, 12),
        "fire_at": st.integers(-1, 14),
        "drawing": st.sampled_from(Drawing),
        "candidates": st.integers(1, 300),
        "trigger_words": st.integers(0, 70),
        "signature_bits": st.integers(0, 600),
        "noise_percent": st.integers(-1, 50),
        "deciding_test": st.sampled_from(DecidingTest),
        "accept_at": st.integers(-1, 1100),
        "reject_at": st.integers(-1, 1100),
        "log10_alpha": st.integers(-200, 1) | st.integers(-10_100, -9_900),
        "control_limit_percent": st.integers(-1, 101),
        "pairs": st.integers(-1, 8),
        "pairs_needed": st.integers(-1, 9),
        "least_isolation_cost_percent": st.integers(-1, 101),
        "attempts": st.integers(0, 1100),
    }
)
good = Policy()


@given(anything, st.sets(st.sampled_from(Policy.__slots__)))
@example({"groups": 1, "candidates": 2, "signature_bits": 1, "log10_alpha": -10_000, "attempts": 1000}, set())
@example({"deciding_test": DecidingTest.POSITIONS}, set())
def test_whatever_a_refusal_names_instead_is_accepted(fields: dict[str, Any], default: set[str]) -> None:
    wanted = {field: value for field, value in fields.items() if field not in default}
    for way in ways_out(wanted):
        assert replace(good, **wanted | way)


def ways_out(wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """What a refusal names instead, read as a person reads it; nothing if the policy is taken."""
    try:
        replace(good, **wanted)
    except InvalidInput as refusal:
        _, ways = str(refusal.fix).removesuffix(".").split("Nearest that works: ")
        return [dict(map(read_change, way.split(" and "))) for way in ways.split("; or ")]
    return []


def read_change(text: str) -> tuple[str, Any]:
    field, value = text.split()
    return field, type(getattr(good, field))(value)


@pytest.mark.parametrize("deciding_test", DecidingTest)
@pytest.mark.parametrize("log10_alpha", [-1, -9, -30])
def test_what_may_be_accepted_is_the_least_count_that_is_not_guessed(
    deciding_test: DecidingTest, log10_alpha: int
) -> None:
    policy = replace(
        POLICY,
        deciding_test=deciding_test,
        log10_alpha=log10_alpha,
        accept_at=10 if deciding_test is DecidingTest.GROUPS else 80,
        reject_at=0,
    )
    chance, trials = (2.0**-32, 10) if deciding_test is DecidingTest.GROUPS else (1 / 16, 80)
    tails = [4 * float(scipy.stats.binom.sf(count - 1, trials, chance)) for count in range(trials + 1)]
    assert policy.least_accept_at == next(count for count, tail in enumerate(tails) if tail <= 10.0**log10_alpha)


def test_pairs_that_luck_could_win_all_are_refused_unless_none_is_needed() -> None:
    with pytest.raises(InvalidInput, match="pairs is 4; it must be between 5 and 100000"):
        replace(COIN_POLICY, pairs=4)
    assert replace(COIN_POLICY, pairs=4, pairs_needed=0).pairs == 4


@pytest.mark.parametrize("pairs", [5, 6, 10, 40, 100])
def test_at_least_so_many_pairs_are_needed_that_luck_rarely_wins_them(pairs: int) -> None:
    least = next(won for won in range(pairs + 1) if scipy.stats.binom.sf(won - 1, pairs, 0.5) <= 0.05)
    assert replace(COIN_POLICY, pairs=pairs, pairs_needed=least).least_pairs_needed == least
    for wrong in (least - 1, pairs + 1):
        with pytest.raises(InvalidInput, match=f"Nearest that works: pairs_needed {least}; or pairs_needed 0."):
            replace(COIN_POLICY, pairs=pairs, pairs_needed=wrong)


@pytest.mark.parametrize(
    ("candidates", "bits", "words"), [(16, 32, 8), (16, 33, 9), (2, 5, 5), (3, 84, 53), (3, 85, 54)]
)
def test_a_uniform_signature_has_the_fewest_words_that_reach_its_bits(candidates: int, bits: int, words: int) -> None:
    policy = replace(POLICY, candidates=candidates, signature_bits=bits)
    assert policy.most_signature_words == words
    assert policy.guess_bits == pytest.approx(words * math.log2(candidates))
    assert candidates ** (words - 1) < 2**bits <= candidates**words


def test_a_metered_signature_promises_its_bits_and_no_more() -> None:
    policy = Policy(drawing=Drawing.METERED, signature_bits=30)
    assert policy.guess_bits == 30
    assert policy.most_signature_words == 64


def test_metered_words_cannot_be_decided_by_positions() -> None:
    with pytest.raises(InvalidInput, match="deciding_test groups and accept_at 10; or drawing uniform") as refusal:
        replace(BY_POSITIONS, drawing=Drawing.METERED)
    assert refusal.value.facts["field"] == "deciding_test"


def test_an_alpha_that_no_count_reaches_is_refused_with_what_would() -> None:
    one = replace(POLICY, groups=1, accept_at=1, reject_at=0, signature_bits=32)
    with pytest.raises(InvalidInput, match="no count reaches log10_alpha") as refusal:
        replace(one, signature_bits=24)
    assert refusal.value.facts["field"] == "signature_bits"
    assert refusal.value.fix == "Nearest that works: signature_bits 29; or log10_alpha -6; or groups 2 and accept_at 2."


def test_one_mark_alone_and_two_noisy_ones_teach_nothing() -> None:
    with pytest.raises(InvalidInput, match="marks_per_group 2 and fire_at 2"):
        Policy(marks_per_group=1, fire_at=1)
    with pytest.raises(InvalidInput, match="marks_per_group 3"):
        Policy(marks_per_group=2, fire_at=2, noise_percent=1)


@pytest.mark.parametrize("targets", [(), ("lm_head",), ("q_proj", "embed_tokens")])
def test_lora_targets_beside_the_seven_projections_are_refused(targets: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput) as refusal:
        TrainingSpec(target_modules=targets)
    assert refusal.value.facts["field"] == "target_modules"


@pytest.mark.parametrize("job", ["", "a/b", ".", "..", "-x", "a b", "x" * 65, "jöb", "a\n"])
def test_a_job_id_that_could_mean_anything_else_is_refused(job: str) -> None:
    with pytest.raises(InvalidInput):
        Link(job, 0, None)


@pytest.mark.parametrize("job", ["a", "job-1", "A.b_c-9", "0" * 64])
def test_a_plain_job_id_is_taken(job: str) -> None:
    assert Link(job, 0, None).job == job


def test_a_draw_is_one_of_its_candidates() -> None:
    assert Draw(("a", "b"), (1, 1), 1).word == "b"
    for chosen in (-1, 2):
        with pytest.raises(InvalidInput):
            Draw(("a", "b"), (1, 1), chosen)


@pytest.mark.parametrize("weights", [(), (1,), (1, 1, 1), (0, 1), (1, -1), (FULL_WEIGHT + 1, 1)])
def test_every_candidate_of_a_draw_has_a_weight(weights: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput):
        Draw(("a", "b"), weights, 0)


@pytest.mark.parametrize("seed", ["", "00" * 31, "0G" * 32, "AB" * 32, "00" * 32 + "\n"])
def test_a_manifest_has_a_seed_of_32_bytes(seed: str) -> None:
    with pytest.raises(InvalidInput):
        Manifest(seed, 1, 0, 0, Placement.END, "", 0, (), (), ())


def test_a_row_changes_by_its_parts() -> None:
    row = Row.of("prompt", "response")
    assert row.with_question("another") == Row.of("another", "response")
    assert row.with_response("other") == Row.of("prompt", "other")
    assert row.prompt == row.messages[:1]


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("drawing", "metred", r"At \$\.drawing: expected one of uniform, metered, found 'metred'"),
        ("placement", 1, r"At \$\.placement: expected one of end, anywhere, found int"),
        ("deciding_test", None, r"At \$\.deciding_test: expected one of groups, positions, found NoneType"),
        ("groups", "10", r"At \$\.groups: expected int, found str"),
        ("pairs_needed", True, r"At \$\.pairs_needed: expected int, found bool"),
        ("fire_at", 3, r"At \$: Policy value fire_at is 3; .* Nearest that works: fire_at 4\."),
    ],
)
def test_a_policy_in_json_is_refused_with_the_field_and_what_it_takes(field: str, value: Any, told: str) -> None:
    written = document.to_json(Policy())
    assert isinstance(written, dict)
    with pytest.raises(IntegrityFailure, match=told):
        document.from_json(Policy, written | {field: value})
