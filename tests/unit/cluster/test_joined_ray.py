"""Which running Ray an operator's agent joins: one that runs nobody else's code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from node.cluster import joined_ray
from node.cluster.joined_ray import require_token
from node.errors import InvalidInput, Unavailable

TOKEN = "the operator's own"


class Head(grpc.GenericRpcHandler):
    """Answers as the head of a Ray does; `token` is None where anybody may join."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def service(self, details: Any) -> Any:
        given = dict(details.invocation_metadata).get("authorization")

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            if self._token is not None and given != f"Bearer {self._token}":
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken")
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture
def head(request: pytest.FixtureRequest) -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(1), handlers=[Head(request.param)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None).wait()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No token of this machine's user decides."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_MODE", "")


@pytest.fixture
def far_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joined_ray, "_is_loopback", lambda host: False)


@pytest.mark.parametrize("head", [None], indirect=True)
def test_a_ray_that_anybody_may_join_is_joined_on_loopback_alone(head: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for host in ("127.0.0.1", "localhost"):
        require_token(f"{host}:{head}", {})
    monkeypatch.setattr(joined_ray, "_is_loopback", lambda host: False)
    with pytest.raises(InvalidInput, match="asks for no token: whoever reaches it can run code in it") as refusal:
        require_token(f"127.0.0.1:{head}", {"RAY_AUTH_TOKEN": TOKEN})
    assert refusal.value.facts["field"] == "ray_address"
    assert os.environ["RAY_AUTH_MODE"] == ""


@pytest.mark.usefixtures("far_away")
@pytest.mark.parametrize("head", [TOKEN], indirect=True)
def test_a_ray_that_asks_for_a_token_is_joined_with_the_operators(head: int, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="asks for a token"):
        require_token(f"127.0.0.1:{head}", {})
    with pytest.raises(InvalidInput, match="asks for another token"):
        require_token(f"127.0.0.1:{head}", {"RAY_AUTH_TOKEN": "a stranger's"})
    assert os.environ["RAY_AUTH_MODE"] == ""
    require_token(f"127.0.0.1:{head}", {"RAY_AUTH_TOKEN": TOKEN})
    assert os.environ["RAY_AUTH_MODE"] == "token"
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    require_token(f"127.0.0.1:{head}", {"RAY_AUTH_TOKEN_PATH": str(file)})
    (tmp_path / ".ray").mkdir()
    file.rename(tmp_path / ".ray" / "auth_token")
    require_token(f"127.0.0.1:{head}", {})


@pytest.mark.parametrize("address", ["", "auto", "ray://10.0.0.7:10001/x", ":6379", "10.0.0.7"])
def test_what_is_no_address_is_told_so(address: str) -> None:
    with pytest.raises(InvalidInput, match="no address of a Ray"):
        require_token(address, {})


def test_where_no_ray_answers_the_agent_may_be_started_again_later() -> None:
    with pytest.raises(Unavailable, match="No Ray answers"):
        require_token("127.0.0.1:1", {})


@pytest.mark.parametrize(
    ("host", "loopback"), [("127.8.8.8", True), ("[::1]", True), ("10.0.0.7", False), ("localhost.example", False)]
)
def test_loopback_is_this_machine_alone(host: str, loopback: bool) -> None:
    assert joined_ray._is_loopback(host) is loopback
