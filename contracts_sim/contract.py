"""The escrow contract: its calls. Every one is checked, computed and applied at once, or refused and without effect.

The shape is the ERC-8183 draft's, whose function names stay (createJob is `create_job`); README.md tells what we add.
The contract reads no clock, verifies no signature and runs no inference: time and caller come with each call, who
signed the terms is the relay's word, and what proves a fault is decided by the function given at construction.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from urllib.parse import quote

from contracts_sim import errors, events
from contracts_sim.job import Hold, HoldState, Job, Terms
from contracts_sim.ledger import EXTERNAL, Phase, Transfer, escrow, party, post, touched
from contracts_sim.money import Amount
from contracts_sim.payout import Move, lock, payout
from contracts_sim.state import Effects, State, Transaction
from contracts_sim.table import (
    CLOCK,
    ENDED,
    FAULT_ENDINGS,
    PAYOUTS,
    ROWS,
    TABLE,
    VERDICT_ENDINGS,
    Ending,
    Role,
    Row,
    Verdict,
    When,
    end_state,
)
from contracts_sim.table import State as JobState

_CANONICAL = json.JSONEncoder(sort_keys=True)

Events = tuple[events.Event, ...]
FaultCheck = Callable[[Job, Role, bytes], bool]
"""(job, accused, proof) -> whether the proof shows the accused's fault. Must be pure."""


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls, under which id of its own, in a block of which time (ms since the epoch)."""

    caller: str
    request_id: str
    time: int

    def __post_init__(self) -> None:
        if not self.caller or not self.request_id:
            raise errors.InvalidCall("a call needs caller and request id", expected="two names", actual=repr(self))
        if type(self.time) is not int or self.time < 0:
            raise errors.InvalidCall("a call needs a block time", expected="ms since the epoch", actual=self.time)


@dataclass(frozen=True, slots=True)
class _Draft:
    """What a call would do. Each move of more than nothing becomes a transfer, and its event follows `facts`."""

    facts: Events = ()
    moves: tuple[Move, ...] = ()
    job: Job | None = None
    hold: Hold | None = None


def nothing_is_proven(job: Job, accused: Role, proof: bytes) -> bool:
    """A FaultCheck for a contract that knows no proofs: nobody is ever slashed on evidence."""
    return False


class Contract:
    """The calls, over any `State`. A call repeated under its request id returns its first answer and does nothing.

    Each raises a leaf of `errors.EscrowError`; on any exception nothing has changed.
    """

    def __init__(self, state: State, *, proves: FaultCheck = nothing_is_proven) -> None:
        self._state = state
        self._proves = proves

    # Money in and out. What a job pays lands on the receiver's account here; the receiver pulls it out.

    def deposit(self, call: Call, amount: Amount) -> Events:
        """The caller brings money in."""
        return self._transfer(call, "deposit", amount, events.Deposited, EXTERNAL, party(call.caller))

    def withdraw(self, call: Call, amount: Amount) -> Events:
        """The caller takes its own money out. Raises InsufficientFunds; money on hold is not available."""
        return self._transfer(call, "withdraw", amount, events.Withdrawn, party(call.caller), EXTERNAL)

    # The offer: a hold, before anybody else has signed.

    def place_hold(self, call: Call, job_id: str, amount: Amount, *, expires_at: int) -> Events:
        """The caller, the client to be, sets the price aside until `expires_at`."""

        def step() -> _Draft:
            _positive(amount)
            if call.time >= expires_at:
                raise errors.TooLate("the hold would be over at once", expected=f"after {call.time}", actual=expires_at)
            if self._state.hold(job_id) is not None:
                raise errors.HoldExists("this job has its hold", expected="an unused job id", actual=job_id)
            event = events.HoldPlaced(job_id, call.caller, amount.minor, amount.token)
            move = Move(event, party(call.caller), escrow(job_id), Phase.PENDING)
            return _Draft(
                moves=(move,),
                hold=Hold(job_id, call.caller, amount, expires_at, transfer_id=f"{_transfer_ids(call)}/0"),
            )

        arguments = {"amount": str(amount), "expires_at": expires_at}
        return self._transact(call, "place_hold", job_id, arguments, step)

    def release_hold(self, call: Call, job_id: str) -> Events:
        """Gives a hold back on which no job stands: the client at any time, anybody once it has expired."""

        def step() -> _Draft:
            hold = self._pending_hold(job_id)
            if self._state.job(job_id) is not None:
                raise errors.HoldInUse("a job stands on this hold", expected="reject or claim_refund", actual=job_id)
            if call.caller != hold.client and call.time < hold.expires_at:
                raise errors.NotClient("the hold has not expired", expected=hold.client, actual=call.caller)
            return _Draft(moves=(_void(hold),), hold=replace(hold, state=HoldState.RELEASED))

        return self._transact(call, "release_hold", job_id, {}, step)

    # The job, in the order of its life.

    def create_job(self, call: Call, job_id: str, terms: Terms, *, signed_by: frozenset[str]) -> Events:
        """Fixes the signed terms over the client's hold. Nothing is locked yet. One of the three signers calls.

        `signed_by` names whose signatures over `terms.terms_digest` the relay has verified.
        """

        def step() -> _Draft:
            if self._state.job(job_id) is not None:
                raise errors.JobExists("the job id is taken", expected="an unused job id", actual=job_id)
            signers = {terms.client, terms.provider, terms.evaluator}
            if call.caller not in signers:
                raise errors.NotAParty("not a party to these terms", expected=sorted(signers), actual=call.caller)
            if not signers <= signed_by:
                raise errors.NotSigned("signatures are missing", expected=sorted(signers), actual=sorted(signed_by))
            hold = self._pending_hold(job_id)
            price = Amount(terms.token, terms.price_minor)
            if (hold.client, hold.amount) != (terms.client, price):
                raise errors.InvalidTerms(
                    "the hold is not for these terms",
                    expected=f"{price} of {terms.client}",
                    actual=f"{hold.amount} of {hold.client}",
                )
            if call.time >= hold.expires_at:
                raise errors.TooLate("the hold has expired", expected=f"before {hold.expires_at}", actual=call.time)
            job = Job(job_id, terms, JobState.OPEN, since=call.time, deadline=hold.expires_at)
            created = events.JobCreated(
                job_id, terms.client, terms.provider, terms.evaluator, terms.terms_digest, terms.manifest_commitment
            )
            return _Draft((created,), job=job)

        arguments = {"terms": asdict(terms), "signed_by": sorted(signed_by)}
        return self._transact(call, "create_job", job_id, arguments, step)

    def fund(self, call: Call, job_id: str, *, expected_terms: str) -> Events:
        """Captures the hold and locks the provider's stake and the evaluator's bond.

        `expected_terms` is the digest that the caller believes it funds (the draft's guard against a swapped budget).
        """

        def step(job: Job, row: Row) -> _Draft:
            terms = job.terms
            if expected_terms != terms.terms_digest:
                raise errors.InvalidTerms("other terms", expected=terms.terms_digest, actual=expected_terms)
            hold = self._pending_hold(job_id)
            moves = (
                replace(_void(hold), event=_about(hold, events.PriceLocked), phase=Phase.POST),
                lock(events.StakeLocked, job, terms.provider, terms.stake_minor),
                lock(events.BondLocked, job, terms.evaluator, terms.bond_minor),
            )
            draft = _moved(job, row, call, events.JobFunded(job_id, terms.client), moves=moves)
            return replace(draft, hold=replace(hold, state=HoldState.CAPTURED))

        return self._on_job(call, "fund", job_id, {"expected_terms": expected_terms}, step)

    def receive_data(self, call: Call, job_id: str, *, receipt: str) -> Events:
        """The provider has the data of the committed root; its time to train runs from here. `receipt`: a digest."""

        def step(job: Job, row: Row) -> _Draft:
            return _moved(job, row, call, events.DataReceived(job_id, call.caller, receipt))

        return self._on_job(call, "receive_data", job_id, {"receipt": receipt}, step)

    def submit(self, call: Call, job_id: str, *, deliverable: str) -> Events:
        """The provider fixes the digest of its work. Once."""

        def step(job: Job, row: Row) -> _Draft:
            submitted = events.JobSubmitted(job_id, call.caller, deliverable)
            return _moved(replace(job, deliverable=deliverable), row, call, submitted)

        return self._on_job(call, "submit", job_id, {"deliverable": deliverable}, step)

    def acknowledge_upload(self, call: Call, job_id: str) -> Events:
        """The evaluator has bytes of the submitted digest; from here on its silence costs it, not the provider."""

        def step(job: Job, row: Row) -> _Draft:
            return _moved(job, row, call, events.UploadAcknowledged(job_id, call.caller))

        return self._on_job(call, "acknowledge_upload", job_id, {}, step)

    def reveal(self, call: Call, job_id: str, *, manifest: str) -> Events:
        """The evaluator has opened its commitment; `manifest` is the digest of what it published."""

        def step(job: Job, row: Row) -> _Draft:
            revealed = events.ManifestRevealed(job_id, call.caller, manifest)
            return _moved(replace(job, manifest=manifest), row, call, revealed)

        return self._on_job(call, "reveal", job_id, {"manifest": manifest}, step)

    def complete(self, call: Call, job_id: str, *, reason: str) -> Events:
        """The evaluator attests ACCEPT. `reason` is the digest behind the verdict. Money waits for `settle`."""
        return self._evaluate(call, "complete", job_id, Verdict.ACCEPT, reason)

    def reject(self, call: Call, job_id: str, *, reason: str) -> Events:
        """The evaluator attests REJECT, as in `complete`; or the client withdraws a job that nobody has funded."""

        def step(job: Job, row: Row) -> _Draft:
            if job.state is JobState.OPEN:
                return self._unfunded(job, call, row.ending)
            return _evaluated(job, row, call, Verdict.REJECT, reason)

        return self._on_job(call, "reject", job_id, {"reason": reason}, step)

    def abstain(self, call: Call, job_id: str, *, reason: str) -> Events:
        """The evaluator attests INCONCLUSIVE, as in `complete`."""
        return self._evaluate(call, "abstain", job_id, Verdict.INCONCLUSIVE, reason)

    def challenge(self, call: Call, job_id: str, *, reason: str) -> Events:
        """The client or the provider disputes the verdict, against a bond; as much of the evaluator's is at risk."""

        def step(job: Job, row: Row) -> _Draft:
            if job.terms.arbiter is None:
                raise errors.NoArbiter("nobody could rule", expected="an arbiter in the terms", actual=None)
            bond = lock(events.ChallengeBondLocked, job, call.caller, job.terms.challenge_bond_minor)
            challenged = events.JobChallenged(job_id, call.caller, reason)
            return _moved(replace(job, challenger=call.caller), row, call, challenged, moves=(bond,))

        return self._on_job(call, "challenge", job_id, {"reason": reason}, step)

    def arbitrate(self, call: Call, job_id: str, verdict: Verdict, *, loser: Role | None, reason: str) -> Events:
        """The arbiter has repeated the verdict; the job settles on it at once.

        `loser` is who was wrong or silent: its challenge bond burns. Role.EVALUATOR; or the challenger's role, and
        None if it was too close to blame anybody: in both of these the first verdict has to stand.
        """

        def step(job: Job, row: Row) -> _Draft:
            challenger = job.terms.role(str(job.challenger))
            if loser not in (None, Role.EVALUATOR, challenger):
                raise errors.RulingContradicted(
                    "no side of this dispute", expected=f"evaluator or {job.challenger}", actual=_name(loser)
                )
            if verdict is not job.verdict and loser is not Role.EVALUATOR:
                raise errors.RulingContradicted(
                    "overturned without a loser", expected=Verdict(job.verdict).value, actual=verdict.value
                )
            ruled = events.ChallengeRuled(job_id, call.caller, verdict.value, _name(loser), reason)
            job = replace(job, verdict=verdict, reason=reason)
            return _ended(job, call, VERDICT_ENDINGS[verdict], facts=(ruled,), loser=loser)

        arguments = {"verdict": verdict.value, "loser": _name(loser), "reason": reason}
        return self._on_job(call, "arbitrate", job_id, arguments, step)

    def settle(self, call: Call, job_id: str) -> Events:
        """Anybody, once nobody can object any more: the standing verdict moves the money. An arbiter who said nothing
        leaves the first verdict and gives the challenge bond back."""

        def step(job: Job, row: Row) -> _Draft:
            return _ended(job, call, VERDICT_ENDINGS[Verdict(job.verdict)])

        return self._on_job(call, "settle", job_id, {}, step)

    def cancel(self, call: Call, job_id: str) -> Events:
        """The client gives up before work was handed in, for the fee agreed on."""

        def step(job: Job, row: Row) -> _Draft:
            return _ended(job, call, Ending.CANCELLED)

        return self._on_job(call, "cancel", job_id, {}, step)

    def fault(self, call: Call, job_id: str, accused: Role, *, proof: bytes) -> Events:
        """Anybody who can prove that provider or evaluator broke the protocol. The accused's stake or bond goes."""

        def step(job: Job, row: Row) -> _Draft:
            if accused not in FAULT_ENDINGS or not self._proves(job, accused, proof):
                raise errors.NotProven("no proof of a fault", expected=f"a fault of {accused.value}", actual=digest)
            return _ended(job, call, FAULT_ENDINGS[accused], facts=(events.FaultProven(job_id, accused.value, digest),))

        digest = sha256(proof).hexdigest()
        return self._on_job(call, "fault", job_id, {"accused": accused.value, "proof": digest}, step)

    def claim_refund(self, call: Call, job_id: str) -> Events:
        """Anybody, once somebody's time has run out. The table says whose silence it was, and so whose money moves."""

        def step(job: Job, row: Row) -> _Draft:
            if job.state is JobState.OPEN:
                return self._unfunded(job, call, row.ending)
            return _ended(job, call, row.ending)

        return self._on_job(call, "claim_refund", job_id, {}, step)

    # How every call runs.

    def _transfer(
        self, call: Call, name: str, amount: Amount, event: type[events.MoneyEvent], debit: str, credit: str
    ) -> Events:
        def step() -> _Draft:
            _positive(amount)
            return _Draft(moves=(Move(event(None, call.caller, amount.minor, amount.token), debit, credit),))

        return self._transact(call, name, None, {"amount": str(amount)}, step)

    def _evaluate(self, call: Call, name: str, job_id: str, verdict: Verdict, reason: str) -> Events:
        def step(job: Job, row: Row) -> _Draft:
            return _evaluated(job, row, call, verdict, reason)

        return self._on_job(call, name, job_id, {"reason": reason}, step)

    def _unfunded(self, job: Job, call: Call, ending: Ending) -> _Draft:
        hold = self._pending_hold(job.id)
        draft = _ended(job, call, ending)
        return replace(draft, moves=(_void(hold),), hold=replace(hold, state=HoldState.RELEASED))

    def _pending_hold(self, job_id: str) -> Hold:
        hold = self._state.hold(job_id)
        if hold is None:
            raise errors.UnknownHold("no hold for this job", expected="a hold", actual=job_id)
        if hold.state is not HoldState.PENDING:
            raise errors.HoldResolved("the hold is gone", expected=HoldState.PENDING.value, actual=hold.state.value)
        return hold

    def _on_job(
        self,
        call: Call,
        name: str,
        job_id: str,
        arguments: Mapping[str, object],
        step: Callable[[Job, Row], _Draft],
    ) -> Events:
        def run() -> _Draft:
            job = self._state.job(job_id)
            if job is None:
                raise errors.UnknownJob("no such job", expected="a job's id", actual=job_id)
            return step(job, _permit(job, name, call))

        return self._transact(call, name, job_id, arguments, run)

    def _transact(
        self,
        call: Call,
        name: str,
        job_id: str | None,
        arguments: Mapping[str, object],
        step: Callable[[], _Draft],
    ) -> Events:
        content = _CANONICAL.encode({"function": name, "job_id": job_id, **arguments})
        seen = self._state.transaction(call.caller, call.request_id)
        if seen is not None and seen.content != content:
            raise errors.RequestReused("the request id is taken", expected=seen.content, actual=content)
        if seen is not None:
            return seen.events
        draft = step()
        moves = tuple(move for move in draft.moves if move.event.amount_minor)
        prefix = _transfer_ids(call)
        transfers = tuple(
            Transfer(
                id=f"{prefix}/{n}",
                debit=move.debit,
                credit=move.credit,
                amount=move.amount,
                reason=type(move.event).__name__,
                job_id=job_id,
                time=call.time,
                caller=call.caller,
                request_id=call.request_id,
                phase=move.phase,
                resolves=move.resolves,
            )
            for n, move in enumerate(moves)
        )
        happened = draft.facts + tuple(move.event for move in moves)
        transaction = Transaction(call.caller, call.request_id, call.time, name, job_id, content, happened)
        totals = post(self._state.totals(touched(transfers)), transfers)
        self._state.apply(Effects(transaction, draft.job, draft.hold, transfers, totals))
        return happened


_NOT_THE_ROLE = {
    Role.CLIENT: errors.NotClient,
    Role.PROVIDER: errors.NotProvider,
    Role.EVALUATOR: errors.NotEvaluator,
    Role.ARBITER: errors.NotArbiter,
}
_NOT_YET = {
    JobState.SUBMITTED: errors.GraceNotOver,
    JobState.UPLOADED: errors.GraceNotOver,
    JobState.REVEALED: errors.GraceNotOver,
    JobState.EVALUATED: errors.ChallengeNotOver,
    JobState.CHALLENGED: errors.ChallengeNotOver,
}
_END_EVENT: dict[JobState, type[events.JobCompleted | events.JobRejected | events.JobExpired]] = {
    JobState.COMPLETED: events.JobCompleted,
    JobState.REJECTED: events.JobRejected,
    JobState.EXPIRED: events.JobExpired,
}


def _permit(job: Job, name: str, call: Call) -> Row:
    """The table's row for this call. 1. The state offers it. 2. This caller may. 3. The clock agrees."""
    # 1
    row = ROWS.get((job.state, name))
    if row is None:
        error = errors.AlreadySettled if job.state in ENDED else errors.WrongState
        offered = sorted(row.state.value for row in TABLE if row.call == name)
        raise error(f"{name} is not possible now", expected=offered, actual=job.state.value)
    # 2
    if row.who and job.terms.role(call.caller) not in row.who:
        refusal = _NOT_THE_ROLE[row.who[0]] if len(row.who) == 1 else errors.NotAParty
        raise refusal(f"{name} is not yours", expected=[job.terms.party(role) for role in row.who], actual=call.caller)
    # 3
    if call.time < job.since:
        raise errors.TimeWentBack("a block before the job's last", expected=f"at least {job.since}", actual=call.time)
    overdue = job.deadline is not None and call.time >= job.deadline
    if row.when is When.BEFORE and overdue:
        raise errors.TooLate(f"too late to {name}", expected=f"before {job.deadline}", actual=call.time)
    if row.when is When.AFTER and not overdue:
        early = _NOT_YET.get(job.state, errors.TooEarly)
        raise early(f"too early to {name}", expected=f"at least {job.deadline}", actual=call.time)
    return row


def _moved(job: Job, row: Row, call: Call, fact: events.Event, *, moves: tuple[Move, ...] = ()) -> _Draft:
    state = row.next_state
    deadline = call.time + int(getattr(job.terms, CLOCK[state]))
    return _Draft((fact,), moves, replace(job, state=state, since=call.time, deadline=deadline))


def _evaluated(job: Job, row: Row, call: Call, verdict: Verdict, reason: str) -> _Draft:
    fact = events.JobEvaluated(job.id, call.caller, verdict.value, reason)
    return _moved(replace(job, verdict=verdict, reason=reason), row, call, fact)


def _ended(job: Job, call: Call, ending: Ending, *, facts: Events = (), loser: Role | None = None) -> _Draft:
    state = end_state(ending)
    moves = payout(job, ending, loser=loser) if ending in PAYOUTS else ()
    over = _END_EVENT[state](job.id, ending.value)
    return _Draft((*facts, over), moves, replace(job, state=state, since=call.time, deadline=None, ending=ending))


def _void(hold: Hold) -> Move:
    return Move(
        _about(hold, events.HoldReleased), party(hold.client), escrow(hold.job_id), Phase.VOID, hold.transfer_id
    )


def _about(hold: Hold, event: type[events.MoneyEvent]) -> events.MoneyEvent:
    return event(hold.job_id, hold.client, hold.amount.minor, hold.amount.token)


def _name(role: Role | None) -> str | None:
    return role.value if role else None


def _positive(amount: Amount) -> None:
    if amount.minor == 0:
        raise errors.InvalidAmount("nothing to move", expected="a positive amount", actual=str(amount))


def _transfer_ids(call: Call) -> str:
    return f"{quote(call.caller, safe='')}/{quote(call.request_id, safe='')}"
