"""Why a call was refused; one tree, each leaf with what was expected and what came.

    EscrowError
    |-- InvalidCall                the arguments are wrong, whatever the state
    |   |-- InvalidAmount
    |   |-- InvalidTerms
    |   |-- NotSigned              a party did not sign the terms
    |   |-- NotProven              the proof does not show the alleged fault
    |   `-- RulingContradicted     the first verdict may fall only together with the evaluator's bond
    |-- NotFound
    |   |-- UnknownJob
    |   `-- UnknownHold
    |-- NotAuthorised              this call is somebody else's to make
    |   |-- NotClient, NotProvider, NotEvaluator, NotArbiter, NotAParty
    `-- Refused                    the right call at the wrong moment
        |-- JobExists, HoldExists, HoldResolved, HoldInUse
        |-- WrongState
        |   `-- AlreadySettled     the job has ended; its money has moved
        |-- NoArbiter                the terms name nobody who could rule
        |-- TooEarly
        |   |-- GraceNotOver       the evaluator's side still has time
        |   `-- ChallengeNotOver   the challenge window, or the arbiter's time, is still running
        |-- TooLate                the deadline has passed (a deadline is itself too late)
        |-- TimeWentBack
        |-- InsufficientFunds
        `-- RequestReused          the same request id came with other content

A refused call has changed nothing. Raising one of these is the contract's only way to say no.
"""

from __future__ import annotations


class EscrowError(Exception):
    """A refusal. `expected` and `actual` are plain values, for machines as for people."""

    def __init__(self, message: str, *, expected: object, actual: object) -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected
        self.actual = actual

    def __str__(self) -> str:
        return f"{self.message}: expected {self.expected}, got {self.actual}"


class InvalidCall(EscrowError):
    """The arguments can never be right."""


class InvalidAmount(InvalidCall):
    """Not a whole number of minor units within bounds."""


class InvalidTerms(InvalidCall):
    """The terms contradict each other, or the hold that is to fund them."""


class NotSigned(InvalidCall):
    """Somebody whose money the terms bind has not signed them."""


class NotProven(InvalidCall):
    """The evidence does not prove the fault."""


class RulingContradicted(InvalidCall):
    """A ruling that overturns the evaluator's verdict and yet leaves its bond alone."""


class NotFound(EscrowError):
    """No such thing."""


class UnknownJob(NotFound):
    """No job of this id."""


class UnknownHold(NotFound):
    """No hold for this job."""


class NotAuthorised(EscrowError):
    """The caller may not make this call."""


class NotClient(NotAuthorised):
    """Only the job's client may."""


class NotProvider(NotAuthorised):
    """Only the job's provider may."""


class NotEvaluator(NotAuthorised):
    """Only the job's evaluator may."""


class NotArbiter(NotAuthorised):
    """Only the arbiter that the terms name may."""


class NotAParty(NotAuthorised):
    """Only one of several parties to the job may."""


class Refused(EscrowError):
    """Not now."""


class JobExists(Refused):
    """The job id is taken."""


class HoldExists(Refused):
    """The job id already carries a hold."""


class HoldResolved(Refused):
    """The hold was captured or released before."""


class HoldInUse(Refused):
    """A job stands on this hold: leave through the job."""


class WrongState(Refused):
    """The job's state does not offer this call."""


class AlreadySettled(WrongState):
    """The job has ended."""


class NoArbiter(Refused):
    """A challenge that nobody could decide."""


class TooEarly(Refused):
    """The deadline has not come yet."""


class GraceNotOver(TooEarly):
    """Work was handed in; the time to take, reveal and evaluate it is not over."""


class ChallengeNotOver(TooEarly):
    """A verdict stands, and may still be challenged or overturned."""


class TooLate(Refused):
    """The deadline has come."""


class TimeWentBack(Refused):
    """A block cannot be older than the job's last one."""


class InsufficientFunds(Refused):
    """The account does not hold as much as should leave it."""


class RequestReused(Refused):
    """This caller already used the request id for something else."""
