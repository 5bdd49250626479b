"""An operator's own Ray on this machine: reachable over loopback only, by token, and gone when this process is.

Whoever is in a Ray cluster can run code in all of it, so machines of different operators never share one. Knows neither
training nor verification.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from node.errors import Unavailable

#: Rows and progress are all that pass through Ray's shared memory. Ray refuses less than 75 MiB.
OBJECT_STORE_BYTES = 80 * 2**20


@dataclass(frozen=True, slots=True)
class LocalRay:
    """A running Ray; `reaper` ends what is left of it once this process lets go of the reaper's standard input."""

    folder: str
    reaper: subprocess.Popen[bytes]


def start_local_ray() -> LocalRay:
    """Starts Ray with all CPUs and GPUs of this machine and connects this process to it.

    Call it from a thread that lives as long as Ray shall (the main thread): the kernel kills Ray's servers when the
    thread that started them ends.

    Raises:
        Unavailable: Ray did not start.
    """
    os.environ.update(
        RAY_USAGE_STATS_ENABLED="0",
        RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
        RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0",  # on Linux too this makes 127.0.0.1 the node's address
        RAY_ENABLE_AUTO_CONNECT="0",  # a call that outlives this Ray shall not start another, with other settings
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN=secrets.token_hex(32),
    )
    import ray
    from ray._private import ray_constants
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]  # compiled, without types

    # Ray reads the variables when it is first imported: read them again in case that was before now.
    ray_constants.ENABLE_RAY_CLUSTER = False
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
    folder = tempfile.mkdtemp(prefix="hallmark-ray-", dir="/tmp")  # short: socket paths end after 107 bytes
    reaper = subprocess.Popen(
        [sys.executable, "-m", "node.cluster.reaper", folder], stdin=subprocess.PIPE, start_new_session=True
    )
    local = LocalRay(folder, reaper)
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=False,
            logging_level="ERROR",
            _temp_dir=folder,
        )
    except Exception as error:  # Ray has no narrower one for a node that was too slow to start
        stop_local_ray(local)
        raise Unavailable(f"Ray did not start on this machine: {error}") from error
    finally:
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray puts its own in its place, which prints a stack and exits
    return local


def stop_local_ray(local: LocalRay) -> None:
    """Ends every process of this Ray and removes its files."""
    import ray

    ray.shutdown()
    local.reaper.communicate()
