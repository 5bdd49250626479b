"""Which worker of which coordinator is at which job, so that several share the work and none does a step twice."""

from __future__ import annotations

from typing import Protocol


class Claims(Protocol):
    """A claim is told by its job and its fence, which grows with every claim of that job."""

    def claim(self, job_id: str, worker: str, now_ms: int, until_ms: int) -> int | None:
        """The fence of a new claim; None while another one (also of the same worker) has not expired."""
        ...

    def require(self, job_id: str, fence: int) -> None:
        """Raises Conflict unless this is still the job's newest claim: in the transaction that writes a step's result.

        An expired claim that nobody took over still stands: the step was done once.
        """
        ...

    def extend(self, job_id: str, fence: int, until_ms: int) -> None:
        """Moves the end of a claim. Raises Conflict as `require` does."""
        ...

    def release(self, job_id: str, fence: int) -> None:
        """Lets others claim the job at once. A claim that is not the newest any more is left alone."""
        ...
