"""A simulated escrow contract, standard library only. `Contract(MemoryState())` is a whole one; see README.md."""

from contracts_sim.contract import Call, Contract, FaultCheck, nothing_is_proven
from contracts_sim.job import Hold, HoldState, Job, Terms
from contracts_sim.ledger import Transfer
from contracts_sim.memory import MemoryState
from contracts_sim.money import Amount
from contracts_sim.table import Ending, Role, State, Verdict

__all__ = [
    "Amount",
    "Call",
    "Contract",
    "Ending",
    "FaultCheck",
    "Hold",
    "HoldState",
    "Job",
    "MemoryState",
    "Role",
    "State",
    "Terms",
    "Transfer",
    "Verdict",
    "nothing_is_proven",
]
