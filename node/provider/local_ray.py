"""An operator's own Ray on this machine: reachable over loopback only, by token, and gone when this process is.

Whoever is in a Ray cluster can run code in all of it, so machines of different operators never share one. Knows neither
training nor verification.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile

from node.errors import Unavailable

#: Rows and progress are all that pass through Ray's shared memory. Ray refuses less than 75 MiB.
OBJECT_STORE_BYTES = 80 * 2**20


def start_local_ray() -> str:
    """Starts Ray with all CPUs and GPUs of this machine; returns its folder, which `stop_local_ray` wants back.

    Call it from a thread that lives as long as Ray shall (the main thread): the kernel kills Ray's processes when the
    thread that started them ends, which also makes them die with a driver that was killed.

    Raises:
        Unavailable: Ray did not start.
    """
    os.environ.update(
        RAY_USAGE_STATS_ENABLED="0",
        RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
        RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0",  # on Linux too this makes 127.0.0.1 the node's address
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN=secrets.token_hex(32),
    )
    import ray
    from ray._private import ray_constants
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]  # compiled, without types
    from ray.exceptions import RayError

    # Ray reads the variables when it is first imported: read them again in case that was before now.
    ray_constants.ENABLE_RAY_CLUSTER = False
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
    folder = tempfile.mkdtemp(prefix="hallmark-ray-", dir="/tmp")  # short: socket paths end after 107 bytes
    try:
        ray.init(
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=False,
            logging_level="ERROR",
            _temp_dir=folder,
        )
    except (RuntimeError, OSError, RayError) as error:
        raise Unavailable("Ray did not start on this machine.", fix=f"Its logs are in {folder}.") from error
    return folder


def stop_local_ray(folder: str) -> None:
    """Ends every process of this Ray and removes its files."""
    import ray

    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)
