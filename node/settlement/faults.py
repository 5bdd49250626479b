"""What proves a fault to the contract: the same check that anybody else makes, bound to the terms that it holds."""

from __future__ import annotations

from contracts_sim import FaultCheck, Role
from contracts_sim.job import Job
from node.core import fault
from node.core.fault import Gate
from node.core.receipt import Trust
from node.errors import HallmarkError
from node.settlement.escrow import ROLES


def fault_check(trust: Trust, gate: Gate) -> FaultCheck:
    """The contract's judge of proofs. One that cannot be checked proves nothing."""

    def proves(job: Job, accused: Role, proof: bytes) -> bool:
        try:
            proven = fault.check(proof, trust=trust, gate=gate)
        except HallmarkError:
            return False
        return (proven.job, str(proven.terms), ROLES[proven.accused]) == (job.id, job.terms.terms_digest, accused)

    return proves
