"""No adversary over a tiny vocabulary beats the bounds on guessing, and each rule behind them is needed.

Every string that a model can emit is tried on every prompt, every phrase of the sampler is weighed with its exact
probability, and every rule by which manifests could be redrawn is enumerated. An adversary that flips coins is a
mixture of these, so none does better.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import chain, combinations, combinations_with_replacement, product

import pytest

from node.stats import guessing

Words = dict[str, Fraction]
"""What the generator may say next, with probabilities."""

Phrases = dict[str, Fraction]
"""What the sampler produces: each phrase's probability, summed over the paths that spell it."""

Shown = Callable[[str, str], bool]
"""Whether an answer shows a phrase."""

ALPHABET = "ab."


def metered(model: Callable[[str], Words], bits: int, phrase: str = "", entropy: float = 0.0) -> Phrases:
    """Sample words until -log2 of the likeliest ones, rounded down to halves, adds up to `bits` on this path."""
    if entropy >= bits:
        return {phrase: Fraction(1)}
    words = model(phrase)
    entropy += math.floor(-2 * math.log2(max(words.values()))) / 2
    phrases: Phrases = {}
    for word, weight in words.items():
        for longer, chance in metered(model, bits, phrase + word, entropy).items():
            phrases[longer] = phrases.get(longer, Fraction(0)) + weight * chance
    return phrases


HALF, THIRD = Fraction(1, 2), Fraction(1, 3)
EVEN_PAIR = {"a": HALF, "b": HALF}
PREFIX_PAIR = {"a": HALF, "ab": HALF}
SKEWED = {"a": HALF, "b": Fraction(3, 8), "ab": Fraction(1, 8)}
THREE = {"a": THIRD, "ab": THIRD, "b": THIRD}
CERTAIN = {"a": Fraction(1)}


def even_pairs(phrase: str) -> Words:
    return EVEN_PAIR


def prefix_pair(phrase: str) -> Words:
    return PREFIX_PAIR


def three(phrase: str) -> Words:
    return THREE


def skewed_at_first(phrase: str) -> Words:
    return EVEN_PAIR if phrase else SKEWED


def of_two_lengths(phrase: str) -> Words:
    """After "a" only one word is possible, which adds no entropy."""
    return CERTAIN if phrase == "a" else EVEN_PAIR


def strings(longest: int) -> Iterator[str]:
    """Everything a model can answer, as far as any rule here looks at it."""
    return ("".join(letters) for size in range(longest + 1) for letters in product(ALPHABET, repeat=size))


def shown_terminated(answer: str, phrase: str) -> bool:
    return answer.startswith(phrase + ".")


def shown_unterminated(answer: str, phrase: str) -> bool:
    return answer.startswith(phrase)


def answers(phrases: Phrases, shown: Shown) -> list[frozenset[str]]:
    """Each answer, as the set of phrases that it shows; answers that show the same count once."""
    longest = max(map(len, phrases)) + 1
    return list({frozenset(phrase for phrase in phrases if shown(answer, phrase)) for answer in strings(longest)})


def strategies(phrases: Phrases, prompts: int, needed: int, shown: Shown = shown_terminated) -> set[frozenset[str]]:
    """For every way to answer all prompts: the signatures for which the group would fire."""
    return {
        frozenset(phrase for phrase in phrases if sum(phrase in each for each in chosen) >= needed)
        for chosen in combinations_with_replacement(answers(phrases, shown), prompts)
    }


def chance(signatures: frozenset[str], phrases: Phrases) -> Fraction:
    return sum((phrases[signature] for signature in signatures), Fraction(0))


def at_most(probability: Fraction, log_bound: float) -> bool:
    return probability <= math.exp(log_bound) * (1 + 1e-12)


SAMPLERS = [
    pytest.param(even_pairs, 1, id="two words"),
    pytest.param(prefix_pair, 1, id="one word a prefix of the other"),
    pytest.param(even_pairs, 2, id="two steps"),
    pytest.param(skewed_at_first, 2, id="not uniform"),
    pytest.param(of_two_lengths, 2, id="phrases of two lengths"),
    pytest.param(three, 1, id="entropy rounded down"),
]


@pytest.mark.parametrize(("model", "bits"), SAMPLERS)
def test_no_phrase_is_likelier_than_its_metered_entropy_says(model: Callable[[str], Words], bits: int) -> None:
    phrases = metered(model, bits)
    assert sum(phrases.values()) == 1
    assert max(phrases.values()) <= Fraction(1, 2**bits)


@pytest.mark.parametrize(("model", "bits"), SAMPLERS)
@pytest.mark.parametrize(("prompts", "needed"), [(1, 1), (3, 2), (4, 2), (4, 3), (5, 2), (3, 1)])
def test_no_answers_fire_a_group_more_often_than_bounded(
    model: Callable[[str], Words], bits: int, prompts: int, needed: int
) -> None:
    phrases = metered(model, bits)
    best = max(chance(signatures, phrases) for signatures in strategies(phrases, prompts, needed))
    assert at_most(best, guessing.log_fires(bits, prompts, needed))


def test_the_bound_on_a_group_is_reached() -> None:
    phrases = metered(even_pairs, 2)
    for prompts, needed, guesses in [(3, 2, 1), (4, 2, 2), (3, 1, 3)]:
        best = max(chance(signatures, phrases) for signatures in strategies(phrases, prompts, needed))
        assert float(best) == pytest.approx(math.exp(guessing.log_fires(2, prompts, needed)))
        assert best == Fraction(guesses, 4)


def test_without_the_terminator_one_answer_shows_two_phrases_and_breaks_the_bound() -> None:
    phrases = metered(prefix_pair, 1)
    best = max(chance(signatures, phrases) for signatures in strategies(phrases, 3, 2, shown_unterminated))
    assert not at_most(best, guessing.log_fires(1, 3, 2))


def test_two_paths_to_one_string_break_the_bound_unless_they_are_refused() -> None:
    """ "a" + "ab" and "aa" + "b" spell the same string, which is as likely as both paths together."""
    phrases = metered(lambda phrase: {"ab": HALF, "b": HALF} if phrase else {"a": HALF, "aa": HALF}, 2)
    assert max(phrases.values()) > Fraction(1, 2**2)


GROUPS = [metered(prefix_pair, 1), metered(skewed_at_first, 2), metered(of_two_lengths, 2)]
GROUP_BITS = [1, 2, 2]


def count_reached(fired: int, guessed: Sequence[frozenset[str]], groups: Sequence[Phrases]) -> Fraction:
    """P(`fired` or more groups fire), over every combination of signatures."""
    total = Fraction(0)
    for signatures in product(*groups):
        if sum(signature in hits for signature, hits in zip(signatures, guessed, strict=True)) >= fired:
            total += math.prod((group[s] for group, s in zip(groups, signatures, strict=True)), start=Fraction(1))
    return total


def undominated(found: set[frozenset[str]]) -> list[frozenset[str]]:
    """Strategies whose hits no other strategy contains: firing for more signatures never lowers a count."""
    return [hits for hits in found if not any(hits < other for other in found)]


@pytest.mark.parametrize(("prompts", "needed"), [(3, 2), (4, 2)])
@pytest.mark.parametrize("fired", [0, 1, 2, 3])
def test_no_answers_fire_more_groups_than_bounded(prompts: int, needed: int, fired: int) -> None:
    per_group = [undominated(strategies(phrases, prompts, needed)) for phrases in GROUPS]
    best = max(count_reached(fired, guessed, GROUPS) for guessed in product(*per_group))
    bounds = [guessing.log_fires(bits, prompts, needed) for bits in GROUP_BITS]
    assert at_most(best, guessing.log_p(fired, bounds))


def test_marks_of_one_shared_signature_are_no_independent_trials() -> None:
    """Six marks with one signature, four needed: the binomial over marks would promise 2**-8, a guess gives 1/4."""
    phrases = metered(even_pairs, 2)
    best = max(chance(signatures, phrases) for signatures in strategies(phrases, 6, 4))
    assert at_most(best, guessing.log_fires(2, 6, 4))
    assert not at_most(best, guessing.log_p(4, [guessing.log_fires(2, 1, 1)] * 6))


# Redraws: whoever makes the manifest may reject a draw for any reason at all, up to R attempts.


def subsets(items: Sequence[tuple[str, ...]]) -> Iterator[frozenset[tuple[str, ...]]]:
    return map(frozenset, chain.from_iterable(combinations(items, size) for size in range(len(items) + 1)))


def redrawn(
    manifests: dict[tuple[str, ...], Fraction], accepted: Sequence[frozenset[tuple[str, ...]]]
) -> dict[tuple[str, ...], Fraction]:
    """The distribution of the manifest in use: the first draw that its attempt accepts; none if every attempt fails."""
    final = dict.fromkeys(manifests, Fraction(0))
    reached = Fraction(1)
    for kept in accepted:
        for manifest in kept:
            final[manifest] += reached * manifests[manifest]
        reached *= 1 - sum((manifests[manifest] for manifest in kept), Fraction(0))
    return final


def chance_of_matches(fired: int, guess: tuple[str, ...], manifests: dict[tuple[str, ...], Fraction]) -> Fraction:
    matching = (m for m in manifests if sum(a == b for a, b in zip(m, guess, strict=True)) >= fired)
    return sum((manifests[manifest] for manifest in matching), Fraction(0))


@pytest.mark.parametrize("attempts", [1, 2, 3])
@pytest.mark.parametrize("fired", [1, 2])
def test_no_rule_of_redrawing_beats_the_union_over_attempts(attempts: int, fired: int) -> None:
    manifests = {signatures: Fraction(1, 4) for signatures in product("ab", repeat=2)}
    once = guessing.log_p(fired, [guessing.log_fires(1, 3, 2)] * 2)
    guess = ("a", "a")  # any other does as well, since every rule of redrawing is tried
    best = max(
        chance_of_matches(fired, guess, redrawn(manifests, rule))
        for rule in product(subsets(list(manifests)), repeat=attempts)
    )
    assert at_most(best, guessing.after_redraws(once, attempts))
    assert attempts == 1 or not at_most(best, once), "redraws are not free: the term ln R is needed"
