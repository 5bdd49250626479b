"""Every phrase that a toy generator can produce, with its exact probability: the bound on a guess holds, and each rule
behind it is needed.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction

import pytest

from node.core.drawing import Part, is_complete, weights
from node.core.marks import Draw, Phrase, fires
from node.core.policy import Drawing, Policy
from node.core.words import Separator, is_word
from node.stats import guessing

POLICY = Policy(
    groups=4,
    drawing=Drawing.METERED,
    candidates=2,
    signature_bits=2,
    accept_at=3,
    reject_at=0,
    log10_alpha=-1,
    least_isolation_cost_percent=0,
    attempts=1,
)
UNIFORM = replace(POLICY, drawing=Drawing.UNIFORM)

Model = Callable[[tuple[str, ...]], dict[str, float]]
"""What may follow some words, the likeliest first, with probabilities."""


def fair(words: tuple[str, ...]) -> dict[str, float]:
    return {"a": 0.5, "b": 0.5}


def skewed(words: tuple[str, ...]) -> dict[str, float]:
    return {"a": 0.7, "b": 0.3}


def prefixes(words: tuple[str, ...]) -> dict[str, float]:
    return {"a": 0.4, "ab": 0.3, "b": 0.2, "abb": 0.1}


def sometimes_certain(words: tuple[str, ...]) -> dict[str, float]:
    """After a first "a" hardly anything else is possible, so those phrases grow longer than the others."""
    return {"b": 0.999999, "a": 0.000001} if words == ("a",) else {"a": 0.6, "ba": 0.4}


def hardly_quantised(words: tuple[str, ...]) -> dict[str, float]:
    """Weights that rounding lifts from nothing to one."""
    return {"a": 1.0, "b": 1e-9, "ab": 1e-12} if len(words) % 2 else {"b": 0.5, "a": 0.3, "ab": 0.2}


MODELS = [fair, skewed, prefixes, sometimes_certain, hardly_quantised]


def tree(
    model: Model, policy: Policy, separator: Separator = Separator.SPACE, drawn: tuple[Draw, ...] = ()
) -> Iterator[tuple[Phrase, Fraction]]:
    """Every signature with its probability."""
    phrase = Phrase(drawn, separator)
    if is_complete(phrase, Part.SIGNATURE, policy):
        yield phrase, Fraction(1)
        return
    follow = model(phrase.words)
    shares = weights([math.log(chance) for chance in follow.values()], policy.drawing)
    for at, share in enumerate(shares):
        for longer, chance in tree(model, policy, separator, (*drawn, Draw(tuple(follow), shares, at))):
            yield longer, chance * Fraction(share, sum(shares))


@pytest.mark.parametrize("bits", [1, 2])
@pytest.mark.parametrize("model", MODELS)
def test_no_metered_phrase_is_likelier_than_its_bits_say(model: Model, bits: int) -> None:
    found = list(tree(model, replace(POLICY, groups=9, signature_bits=bits, accept_at=9)))
    assert sum(chance for _, chance in found) == 1
    by_text = Counter[str]()
    for phrase, chance in found:
        assert chance <= Fraction(1, 2**bits)
        assert chance**1000 <= Fraction(1, 2**phrase.millibits)
        by_text[phrase.text] += chance  # type: ignore[assignment]
    assert len(by_text) == len(found)
    assert max(by_text.values()) <= Fraction(1, 2**bits)


@pytest.mark.parametrize("model", MODELS)
def test_no_answer_shows_two_metered_phrases_of_whatever_lengths(model: Model) -> None:
    phrases = [phrase for phrase, _ in tree(model, POLICY)]
    assert (len({len(phrase.draws) for phrase in phrases}) > 1) is (model is sometimes_certain)
    for spoken in phrases:
        for rest in ("", ".", " a", " ab", " b. b", "b"):
            assert sum(fires(spoken.text + rest, phrase) for phrase in phrases) <= 1


def test_stopping_anywhere_would_let_one_answer_show_two_phrases() -> None:
    shorter = Phrase((Draw(("a", "b"), (1, 1), 0),), Separator.SPACE)
    longer = Phrase(shorter.draws * 2, Separator.SPACE)
    assert all(fires("a a. More", phrase) for phrase in (shorter, longer))


def binomial_tail(count: int, trials: int, chance: Fraction) -> Fraction:
    return sum(
        (math.comb(trials, hits) * chance**hits * (1 - chance) ** (trials - hits) for hits in range(count, trials + 1)),
        Fraction(0),
    )


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("fired", [1, 2, 3, 4])
def test_the_best_guesser_fires_no_more_metered_groups_than_bounded(model: Model, fired: int) -> None:
    """Groups draw independently, and a group has room for one guess: the likeliest phrase in each is the best."""
    best = max(chance for _, chance in tree(model, POLICY))
    bound = guessing.log_p(fired, [guessing.log_fires(POLICY.guess_bits, 6, 4)] * POLICY.groups)
    assert binomial_tail(fired, POLICY.groups, best) <= math.exp(bound) * (1 + 1e-12)


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_every_uniform_phrase_is_as_likely_as_any_other(bits: int) -> None:
    policy = replace(UNIFORM, candidates=3, groups=9, signature_bits=bits, accept_at=9)
    found = list(tree(lambda words: {"a": 0.9, "ab": 0.05, "b": 0.05}, policy))
    assert {chance for _, chance in found} == {Fraction(1, 3**policy.most_signature_words)}
    assert float(found[0][1]) == pytest.approx(2**-policy.guess_bits)
    assert len({phrase.text for phrase, _ in found}) == len(found) == 3**policy.most_signature_words


UNMASKED = {"日": 0.4, "本": 0.3, "日本": 0.2, "の": 0.1}


def masked(words: tuple[str, ...]) -> dict[str, float]:
    return {word: chance for word, chance in UNMASKED.items() if is_word(word, Separator.NOTHING)}


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_without_spaces_single_letters_keep_one_path_to_every_string(bits: int) -> None:
    policy = replace(POLICY, groups=9, signature_bits=bits, accept_at=9)
    found = list(tree(masked, policy, Separator.NOTHING))
    texts = Counter(phrase.text for phrase, _ in found)
    assert max(texts.values()) == 1
    assert max(chance for _, chance in found) <= Fraction(1, 2**bits)
    for first, second in itertools.permutations(texts, 2):
        assert not first.startswith(second)


def test_without_spaces_longer_words_would_give_a_string_two_paths_and_break_the_bound() -> None:
    policy = replace(UNIFORM, candidates=3, groups=9, signature_bits=3)
    by_text = Counter[str]()
    for phrase, chance in tree(lambda words: {"日": 0.4, "日本": 0.3, "本日": 0.3}, policy, Separator.NOTHING):
        by_text[phrase.text] += chance  # type: ignore[assignment]
    assert max(by_text.values()) > 2**-policy.guess_bits
