"""Which jobs a provider takes: those that it can finish in time, at its price, without a stake set to be lost.

Pure. What the coordinator says besides the signed messages (how many tokens there are) can only make a provider refuse.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.core.dataset import MAX_BYTES
from node.core.messages import Chain, Commit

#: Nobody promises to train faster than this.
MOST_ROWS_PER_SECOND = 50
#: A training may take so much of the time that it is granted, as far as its speed is known before.
SHARE_OF_TIME = 0.8
#: What is kept of a job besides its data, in adapters: one of each epoch while the coordinator is away, and two
#: checkpoints with two moments each.
CHECKPOINTED_ADAPTERS = 2 * 3
#: Before the first training has shown better: a small model on two cores, or on any GPU.
FIRST_TOKENS_PER_SECOND, FIRST_TOKENS_PER_SECOND_GPU = 100.0, 2000.0


@dataclass(frozen=True, slots=True)
class Means:
    """What a provider has for one more job, and what it wants for it.

    Attributes:
        account: key id, as which the provider's money is kept.
        trainer_lacks: why it can train nothing now, for people; empty if it can.
        tokens_per_second: of trainings over the job's base model.
        available_minor: what it could stake.
    """

    account: str
    least_price_minor_per_1000_tokens: int
    trainer_lacks: str
    tokens_per_second: float
    free_bytes: int
    available_minor: int


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a job is refused, for people; `needs_minor` is what the account would have to have available, 0 if money
    changes nothing."""

    told: str
    needs_minor: int = 0


def reason_to_refuse(chain: Chain, means: Means, *, trained_tokens: int, adapter_bytes: int) -> Reason | None:
    """None if the job is worth taking.

    1. It is no offer under which the client earns most if nobody can train in time: a forfeited stake is the client's.
    2. It pays enough.
    3. It can be trained at all.
    4. It can be trained in time.
    5. Its files have room.
    6. The stake is there. Last: a refusal for this reason alone ends once the account is filled.

    Args:
        chain: offer and commit.
        trained_tokens: over all epochs.
        adapter_bytes: of an adapter of the signed specification, at most.
    """
    offer, commit = chain.offer, chain.find(Commit)
    money, train_seconds = offer.money, offer.deadlines.train_seconds
    # 1
    if money.stake_minor > money.price_minor:
        return Reason(f"Its stake of {money.stake_minor:,} exceeds its price of {money.price_minor:,} {money.token}.")
    if commit.rows * offer.training.epochs > MOST_ROWS_PER_SECOND * train_seconds:
        return Reason(f"It grants {train_seconds:,} s to train {commit.rows:,} rows {offer.training.epochs} times.")
    # 2
    least_minor = means.least_price_minor_per_1000_tokens
    if 1000 * money.price_minor < least_minor * trained_tokens:
        return Reason(
            f"It pays {money.price_minor:,} {money.token} for {trained_tokens:,} trained tokens; "
            f"your least price is {least_minor:,} for 1,000."
        )
    # 3
    if means.trainer_lacks:
        return Reason(means.trainer_lacks)
    # 4
    needed_seconds = trained_tokens / means.tokens_per_second
    if needed_seconds > SHARE_OF_TIME * train_seconds:
        return Reason(
            f"Its {trained_tokens:,} tokens would take about {needed_seconds:,.0f} s at "
            f"{means.tokens_per_second:,.0f} tokens/s, and it grants {train_seconds:,} s."
        )
    # 5
    needed_bytes = MAX_BYTES + (offer.training.epochs + CHECKPOINTED_ADAPTERS) * adapter_bytes
    if needed_bytes > means.free_bytes:
        return Reason(
            f"Its files may need {needed_bytes / 2**20:,.0f} MiB, and {means.free_bytes / 2**20:,.0f} MiB of the disk "
            "are free. Make room."
        )
    # 6
    missing_minor = money.stake_minor - means.available_minor
    if missing_minor > 0:
        return Reason(
            f"Its stake is {money.stake_minor:,} {money.token}, of which your account lacks {missing_minor:,}. Have "
            f"the operator run `hallmark account deposit {means.account} {missing_minor}`; then it is looked at again.",
            needs_minor=money.stake_minor,
        )
    return None
