"""A verifier that gives up what it does not need before it opens a stranger's adapter.

Ray starts the process, as the user that Ray runs as, and the actor is a client of that Ray: it keeps a connection to
it and its token. Another user, a namespace without network or a mount without the operator's files are therefore not to
be had here. Landlock would have to name all that an engine may read, caches that do not exist yet among them, not what
it may not. So an engine that somebody took over could still read what its user may, the operator's keys included.
What is left is done: no privilege can be gained, files and memory have bounds, a crash leaves no dump of what was in
memory, and nothing is fetched. That nobody takes it over is the gate's part: no byte of a stranger's header or
configuration reaches an engine.
"""

from __future__ import annotations

import ctypes
import os
import resource
from typing import Any

from node.verifier.verifier import Verifier

PR_SET_NO_NEW_PRIVS = 38
#: No file that an engine writes is larger: a canary adapter, compiled kernels.
MOST_FILE_BYTES = 4 << 30


class ConfinedVerifier(Verifier):
    """A verifier in a process that it confines for good. The arguments are those of `Verifier`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        confine()
        super().__init__(*args, **options)


def confine() -> None:
    """Takes from this process and all that it starts what a verifier does not need. There is no way back.

    Raises:
        OSError: the system does not allow even that.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS")
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, MOST_FILE_BYTES),
        (resource.RLIMIT_DATA, memory_bytes),
    ):
        hard = resource.getrlimit(limit)[1]
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (bound, bound))
