"""`hallmark escrow` reads what the escrow has written, for people and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from node.cli.escrow import app
from node.core.job import Deadlines
from node.core.messages import Money
from node.errors import HallmarkError, InvalidInput, NotFound
from node.ports.escrow import EscrowCall, JobTerms
from node.settlement.escrow import ContractEscrow
from node.storage.database import open_engine


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database with a deposit and an offer."""
    engine = open_engine(f"sqlite:///{tmp_path / 'node.sqlite'}")
    with engine.begin() as connection:
        escrow = ContractEscrow(connection)
        escrow.deposit(EscrowCall("client", "first", 0), "CREDIT", 12_345)
        escrow.place_hold(EscrowCall("client", "second", 1000), "job-1", "CREDIT", 1000, expires_at_ms=2000)
    engine.dispose()
    return f"sqlite:///{tmp_path / 'node.sqlite'}"


def shown(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    if isinstance(done.exception, HallmarkError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_accounts_show_what_is_there_and_what_is_on_hold(url):
    assert json.loads(shown("accounts", "--database", url, "--json"))[-1] == {
        "account": "party:client",
        "token": "CREDIT",
        "balance_minor": 12_345,
        "held_minor": 1000,
        "available_minor": 11_345,
    }
    table = shown("accounts", "--database", url)
    assert "party:client" in table
    assert "12,345" in table


def test_transfers_are_the_ledger_or_a_part_of_it(url):
    everything = json.loads(shown("transfers", "--database", url, "--json"))
    assert [each["reason"] for each in everything] == ["Deposited", "HoldPlaced"]
    assert json.loads(shown("transfers", "--database", url, "--job", "job-1", "--json")) == everything[1:]
    assert json.loads(shown("transfers", "--database", url, "--account", "external", "--json")) == everything[:1]
    assert "1,000 CREDIT set aside HoldPlaced" in " ".join(shown("transfers", "--database", url).split())


def test_a_jobs_history_is_its_calls_and_transfers(url):
    history = json.loads(shown("job", "job-1", "--database", url, "--json"))
    assert history["job"] is None
    assert [each["function"] for each in history["calls"]] == ["place_hold"]
    assert history["calls"][0]["content"]["expires_at"] == 2000
    assert [each["phase"] for each in history["transfers"]] == ["pending"]
    assert "its terms are not signed yet" in shown("job", "job-1", "--database", url)


def test_a_signed_job_is_told_by_its_parties_roles_and_the_digests_they_fixed(url):
    maker, digest = "ed25519:" + "0123456789abcdef" * 2, "sha256:" + "fedcba9876543210" * 4
    terms = JobTerms(
        client="client",
        provider=maker,
        coordinator="verifier",
        arbiter=None,
        money=Money(price_minor=1000, stake_minor=300, bond_minor=1200, fee_minor=50, challenge_bond_minor=110),
        deadlines=Deadlines(),
        terms_digest=digest,
        manifest_commitment="commitment",
    )
    engine = open_engine(url)
    with engine.begin() as connection:
        escrow = ContractEscrow(connection)
        for party in (maker, "verifier"):
            escrow.deposit(EscrowCall(party, "first", 1000), "CREDIT", 1200)
        signed = frozenset({"client", maker, "verifier"})
        escrow.open_job(EscrowCall("verifier", "open", 1500), "job-1", terms, signed_by=signed)
        escrow.receive_data(EscrowCall(maker, "receive", 1500), "job-1", receipt=digest)
    engine.dispose()
    lines = shown("job", "job-1", "--database", url).splitlines()
    assert lines[0].startswith("Job job-1: Training since 1970-01-01 00:00:01, due 1970-")
    assert f"  provider   {maker}" in lines
    assert "  CREDIT     price 1,000, stake 300, bond 1,200, fee 50" in lines
    assert f"  terms      {digest}" in lines
    told = [line.split()[2:] for line in lines if line.startswith(" 1970")]
    assert ["receive_data", "provider", "DataReceived(fedcba98)"] in told
    assert ["provider", "escrow", "300", "CREDIT", "StakeLocked"] in told
    assert "party:01234567" in shown("transfers", "--database", url)


def test_what_is_not_there_is_said_in_a_line(url, tmp_path):
    with pytest.raises(NotFound, match="job-2"):
        shown("job", "job-2", "--database", url)
    with pytest.raises(NotFound, match="no database"):
        shown("accounts", "--database", f"sqlite:///{tmp_path / 'absent.sqlite'}")
    (tmp_path / "empty.sqlite").touch()
    with pytest.raises(NotFound, match="no escrow"):
        shown("accounts", "--database", f"sqlite:///{tmp_path / 'empty.sqlite'}")
    with pytest.raises(InvalidInput):
        shown("accounts", "--database", "nonsense")
    assert not (tmp_path / "absent.sqlite").exists()
