"""One tree of errors; what a caller should do next decides the branch.

    HallmarkError
    |-- InvalidInput          the caller's input is wrong: names the field or line, and the fix
    |-- NotFound              no such job, data set, provider ...
    |-- PermissionRefused     known caller, not allowed to do this
    |-- Conflict              right request, wrong moment: the state, lease or request id says no
    |-- IntegrityFailure      bytes are not what somebody signed or committed to
    |   |-- SignatureInvalid  a signature does not verify, or its payload is not canonical
    |   `-- UnknownSigner     a signature verifies, but nobody vouches for its key
    |-- Unavailable           could not be done now and may work later (a worker died, a port is busy)
    |   `-- QuotaExceeded     the caller asks for more at once than it may
    `-- NotInstalled          a part of the stack is missing on this machine

Money has its own tree in `contracts_sim.errors`. A failed statistical test is no error: it is a verdict.
`node.wire.status` maps every public error to a gRPC status, `node.cli` to an exit code.
"""

from __future__ import annotations

from collections.abc import Sequence


class HallmarkError(Exception):
    """Something a person can act on. The message is one sentence for them; `fix` names the next step.

    Keyword facts (`expected=`, `actual=`, `field=`, `line=` ...) are kept in `facts` for machines.
    """

    def __init__(self, message: str, *, fix: str | None = None, **facts: str | int) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.facts = facts

    def __str__(self) -> str:
        return f"{self.message} {self.fix}" if self.fix else self.message


class InvalidInput(HallmarkError):
    """The caller's input is wrong. `facts["field"]` or `facts["line"]` says where.

    `violations` are pairs of a field's path and what is wrong there; the one `field` if none are given.
    """

    def __init__(
        self,
        message: str,
        *,
        fix: str | None = None,
        violations: Sequence[tuple[str, str]] = (),
        **facts: str | int,
    ) -> None:
        super().__init__(message, fix=fix, **facts)
        named = ((str(facts["field"]), message),) if "field" in facts else ()
        self.violations = tuple(violations) or named


class NotFound(HallmarkError):
    """The named thing does not exist, or the caller may not know that it does."""


class PermissionRefused(HallmarkError):
    """The caller is known and may not do this."""


class Conflict(HallmarkError):
    """The request cannot be applied in the present state; nothing changed."""


class IntegrityFailure(HallmarkError):
    """Bytes differ from what was signed or committed to; `facts` carry expected and actual."""


class SignatureInvalid(IntegrityFailure):
    """A signature does not verify over the received bytes."""


class UnknownSigner(IntegrityFailure):
    """A good signature by a key that nobody vouches for. Never to be read as OK."""


class Unavailable(HallmarkError):
    """Could not be done now; the same request may work later."""


class QuotaExceeded(Unavailable):
    """The caller asks for more at once than it may; `facts["retry_after_ms"]` says when to come back."""


class NotInstalled(HallmarkError):
    """A part of the stack is missing on this machine."""
