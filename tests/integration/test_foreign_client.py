"""A client that nobody here wrote talks to the coordinator: `buf curl`, in Go, which learns the API by reflection."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakes.parties import Parties
from fakes.world import World, build

from node.coordinator.server import build_server
from node.crypto.certificates import Identity, Role
from node.crypto.digest import sha256_digest
from node.wire.hallmark.v1 import common_pb2, uploads_pb2

BUF = Path(sys.executable).with_name("buf")
ROWS = b'{"prompt": "What is 2 + 2?", "completion": "It is 4."}\n' * 3


@dataclass(slots=True)
class Curl:
    """The foreign program, with an identity's files in `folder`."""

    address: str
    identity: Identity
    folder: Path

    def _command(self, path: str, *arguments: str) -> list[str]:
        files = {
            "ca": self.identity.authorities,
            "cert": self.identity.credential.certificate,
            "key": self.identity.credential.key,
        }
        for name, content in files.items():
            (self.folder / name).write_bytes(content)
        tls = ["--cacert", str(self.folder / "ca"), "--cert", str(self.folder / "cert")]
        tls += ["--key", str(self.folder / "key")]
        return [str(BUF), "curl", "--protocol", "grpc", *tls, *arguments, f"https://{self.address}{path}"]

    async def run(self, path: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = self._command(path, *arguments)
        return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)

    async def call(self, method: str, request: dict[str, object], *headers: str) -> dict[str, object]:
        flags = [flag for header in headers for flag in ("-H", header)]
        done = await self.run(f"/hallmark.v1.{method}", "-d", json.dumps(request), *flags)
        assert done.returncode == 0, done.stderr
        answer: dict[str, object] = json.loads(done.stdout)
        return answer

    def signature(self, method: str, body: bytes) -> str:
        """The header of a changing call, built as common.proto describes it and by nothing of ours."""
        request = {
            "audience": self.identity.coordinator,
            "body": hashlib.sha256(body).hexdigest(),
            "expires_at_ms": time.time_ns() // 1_000_000 + 60_000,
            "method": f"/hallmark.v1.{method}",
            "nonce": secrets.token_hex(16),
        }
        payload = json.dumps(request, sort_keys=True, separators=(",", ":")).encode()
        kind = "application/vnd.hallmark.v1.Request+json"
        signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
        envelope = common_pb2.Envelope(
            payload_type=kind,
            payload=payload,
            signer=self.identity.key.public.key_id,
            signature=self.identity.key.sign(signed),
        )
        return f"hallmark-request-bin: {base64.b64encode(envelope.SerializeToString()).decode()}"


@pytest.fixture
async def curl(tmp_path: Path) -> AsyncIterator[Curl]:
    world: World = build(tmp_path)
    parties = Parties()
    built = build_server(world.node, "127.0.0.1:0", parties.access)
    await built.server.start()
    folder = tmp_path / "curl"
    folder.mkdir()
    yield Curl(f"127.0.0.1:{built.port}", parties.identity("client", Role.CLIENT), folder)
    await built.server.stop(None)
    world.database.dispose()


async def test_reflection_lists_the_services(curl: Curl) -> None:
    done = await curl.run("", "--list-services")
    assert {"hallmark.v1.JobService", "grpc.health.v1.Health"} <= set(done.stdout.split()), done.stderr


async def test_a_foreign_client_reads_what_the_node_is(curl: Curl) -> None:
    node = await curl.call("NodeService/GetNode", {})
    assert node["coordinatorKeyId"] == curl.identity.coordinator


async def test_a_foreign_client_uploads_rows_with_a_signature_of_its_own_making(curl: Curl) -> None:
    digest = str(sha256_digest(ROWS))
    request = uploads_pb2.CreateUploadRequest(digest=digest, size_bytes=len(ROWS)).SerializeToString()
    signature = curl.signature("UploadService/CreateUpload", request)
    upload = await curl.call("UploadService/CreateUpload", {"digest": digest, "sizeBytes": len(ROWS)}, signature)
    assert upload["name"] == f"uploads/{digest}"


async def test_a_foreign_client_is_told_in_standard_details_what_is_wrong(curl: Curl) -> None:
    unsigned = await curl.run(
        "/hallmark.v1.UploadService/CreateUpload", "-d", json.dumps({"digest": "sha256:" + "0" * 64, "sizeBytes": 1})
    )
    assert unsigned.returncode >> 3 == 16  # UNAUTHENTICATED
    assert "google.rpc.ErrorInfo" in unsigned.stderr


async def test_without_a_certificate_nothing_is_told(curl: Curl) -> None:
    command = [str(BUF), "curl", "--protocol", "grpc", "--cacert", str(curl.folder / "ca")]
    (curl.folder / "ca").write_bytes(curl.identity.authorities)
    command += ["-d", "{}", f"https://{curl.address}/hallmark.v1.NodeService/GetNode"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "coordinatorKeyId" not in done.stdout
