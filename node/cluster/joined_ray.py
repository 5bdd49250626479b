"""An operator's own Ray, already running: joined only if it runs nobody else's code. What the machines of a Ray have.

Whoever reaches a Ray that asks for no token can run code in all of it. Knows neither training nor verification.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc

from node.core.capabilities import LONGEST_TEXT, Machine
from node.errors import InvalidInput, Unavailable

ANSWER_SECONDS = 10.0
#: Every Ray's head answers this, if the caller may ask anything at all.
_PROBE = "/ray.rpc.NodeInfoGcsService/CheckAlive"


def require_token(address: str, environment: Mapping[str, str] = os.environ) -> None:
    """Checks that the Ray at HOST:PORT refuses whoever has no token, and that the operator's token opens it.

    Without a token for everybody only a Ray on this machine's loopback is joined. Afterwards this process shows its
    token, which is where Ray looks for it: RAY_AUTH_TOKEN, the file RAY_AUTH_TOKEN_PATH, or ~/.ray/auth_token.

    Raises:
        InvalidInput: this is no address, anybody may join, or the token is missing or another one.
        Unavailable: no Ray answers there.
    """
    host, separator, port = address.rpartition(":")
    if not separator or not host or not port.isdecimal():
        raise InvalidInput(
            f"{address!r} is no address of a Ray.", fix="Give HOST:PORT, such as 10.0.0.7:6379.", field="ray_address"
        )
    if _admits(address, token=None):
        if _is_loopback(host):
            return
        raise InvalidInput(
            f"The Ray at {address} asks for no token: whoever reaches it can run code in it.",
            fix="Start it with RAY_AUTH_MODE=token (`ray get-auth-token --generate` makes one), or set no ray_address "
            "to have one of this machine's own.",
            field="ray_address",
        )
    token = _token(environment)
    if not token or not _admits(address, token=token):
        raise InvalidInput(
            f"The Ray at {address} asks for {'another' if token else 'a'} token.",
            fix="Put that Ray's token into RAY_AUTH_TOKEN, into the file that RAY_AUTH_TOKEN_PATH names, or into "
            "~/.ray/auth_token.",
            field="ray_address",
        )
    os.environ["RAY_AUTH_MODE"] = "token"


def join(address: str) -> None:
    """Connects this process to the Ray at HOST:PORT, of whose machines this must be one.

    Raises:
        InvalidInput, Unavailable: see `require_token`; Unavailable also if this machine is not one of that Ray's.
    """
    require_token(address)
    os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "1")  # it answered just now; Ray's 20 would be 12 minutes
    import ray  # not sooner: it reads the variables

    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except Exception as error:  # Ray has no narrower one
        raise Unavailable(
            f"The Ray at {address} cannot be joined from here: {str(error)[:300]}",
            fix="Run the agent on one of that Ray's machines, and give the address at which they reach its head.",
        ) from error


def nodes() -> list[Mapping[str, float]]:
    """The resources of each machine of the Ray that this process joined, as they are now."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def machine() -> Machine:
    """What the Ray that this process joined has, over all its machines."""
    found = nodes()
    models = sorted({name.partition(":")[2] for node in found for name in node if name.startswith("accelerator_type:")})
    return Machine(
        gpu_count=round(sum(node.get("GPU", 0) for node in found)),
        gpu_model=", ".join(models)[:LONGEST_TEXT],
        cpu_count=round(sum(node.get("CPU", 0) for node in found)),
        memory_bytes=round(sum(node.get("memory", 0) for node in found)),
    )


def _admits(address: str, *, token: str | None) -> bool:
    """Whether the Ray answers this caller. Raises Unavailable if no Ray does."""
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    with grpc.insecure_channel(address) as channel:
        probe: Any = channel.unary_unary(_PROBE)
        try:
            probe(b"", timeout=ANSWER_SECONDS, metadata=metadata)
        except grpc.RpcError as fault:
            if fault.code() is grpc.StatusCode.UNAUTHENTICATED:
                return False
            raise Unavailable(
                f"No Ray answers at {address} ({fault.code().name}).",
                fix="Give the address of its head (`ray status` on that machine), port 6379 unless it was changed.",
            ) from fault
    return True


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _token(environment: Mapping[str, str]) -> str:
    if token := environment.get("RAY_AUTH_TOKEN"):
        return token.strip()
    file = Path(environment.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    return file.read_text().strip() if file.is_file() else ""
