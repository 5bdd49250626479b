"""Keys and trust on disk: private to their owner, the same ones next time, and refused when they are not keys."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from fakes.world import key

from node.errors import InvalidInput, NotFound
from node.storage.keys import load_or_create, read_trust, write_trust

COORDINATOR, LOG = key("coordinator").public, key("log").public


def test_a_key_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "coordinator.pem"
    made = load_or_create(file)
    assert load_or_create(file).public == made.public
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert load_or_create(tmp_path / "other.pem").public != made.public


def test_a_file_that_holds_no_key_is_refused_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text("not a key")
    with pytest.raises(InvalidInput):
        load_or_create(file)
    assert file.read_text() == "not a key"


def test_pinned_keys_are_read_back(tmp_path: Path) -> None:
    file = tmp_path / "new" / "trust.json"
    write_trust(file, coordinator=COORDINATOR, log=LOG)
    trust = read_trust(file)
    assert trust.coordinators == {COORDINATOR.key_id: COORDINATOR}
    assert trust.logs == {LOG.key_id: LOG}


def test_without_a_trust_file_nobody_is_trusted(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no trust file"):
        read_trust(tmp_path / "trust.json")


GOOD = {"coordinators": {COORDINATOR.key_id: COORDINATOR.hex}, "logs": {LOG.key_id: LOG.hex}}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "7",
        "{}",
        json.dumps({**GOOD, "logs": []}),
        json.dumps({**GOOD, "logs": {LOG.key_id: 7}}),
        json.dumps({**GOOD, "logs": {LOG.key_id: "zz"}}),
        json.dumps({**GOOD, "logs": {LOG.key_id: COORDINATOR.hex}}),
        json.dumps({**GOOD, "coordinators": {"somebody": COORDINATOR.hex}}),
        "\udcff",
    ],
)
def test_a_trust_file_with_anything_else_in_it_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "trust.json"
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(InvalidInput) as refusal:
        read_trust(file)
    assert refusal.value.facts["field"] == "trust"
