"""The one file that wires edges to ports: one function per process, which imports what it needs inside."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from node.errors import InvalidInput, Unavailable
from node.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from contracts_sim import FaultCheck
    from node.coordinator.server import Access
    from node.crypto.certificates import Identity
    from node.models.base import BaseModel
    from node.ports.adapters import Adapters
    from node.ports.escrow import Escrow
    from node.ports.fine_tuner import FineTuner
    from node.ports.inference import Inference
    from node.ports.unit_of_work import Units
    from node.provider.actors import RayFineTuner
    from node.provider.journal import Journal
    from node.telemetry.metrics import FiguresCollector

log = logging.getLogger(__name__)

Report = Callable[[str], None]

#: Verbs at a time: few of them compute, most wait for the database, which has a connection for each.
SERVING_THREADS = 32
#: Of a process that a second signal ended: 128 + SIGTERM.
QUIT_EXIT_CODE = 143

EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 (only compared)


class SystemClock:
    """Wall time, held back from running backwards within this process."""

    def __init__(self) -> None:
        self._last = 0

    def now_ms(self) -> int:
        self._last = max(self._last, time.time_ns() // 1_000_000)
        return self._last


class SystemEntropy:
    def bytes(self, count: int) -> bytes:
        return os.urandom(count)


def base_model(settings: Settings, folder: Path | None, report: Report) -> BaseModel:
    """The model in `folder`, or the packaged SmolLM2-135M-Instruct, converted once into the cache."""
    from node.models.base import local_model, packaged_smollm2

    return local_model(folder) if folder else packaged_smollm2(settings.cache / "models", report=report)


def database(settings: Settings) -> Engine:
    """The database, up to date."""
    from node.storage.database import open_engine

    if not settings.database:
        settings.state.mkdir(parents=True, exist_ok=True)
    return open_engine(settings.database_url)


def units(engine: Engine, proves: FaultCheck | None = None) -> Units:
    """What begins a transaction over jobs and money; without `proves` nothing proves a fault to the contract."""
    from contracts_sim import nothing_is_proven
    from node.settlement.escrow import ContractEscrow
    from node.storage.database import SqlUnits

    def escrow_over(connection: Connection) -> Escrow:
        return ContractEscrow(connection, proves=proves or nothing_is_proven)

    return SqlUnits(engine, escrow_over)


def collector(settings: Settings, engine: Engine) -> FiguresCollector:
    """What metrics tell of the database and of the certificates, read whenever somebody asks."""
    from node.ports.figures import Figures
    from node.settlement.figures import money_by_kind
    from node.storage import figures, tls
    from node.storage.log import SqlLog
    from node.telemetry.metrics import FiguresCollector

    clock, reader, folder = SystemClock(), engine.execution_options(read_only=True), settings.home / "tls"

    def read() -> Figures:
        with reader.begin() as connection:
            return Figures(
                jobs=figures.jobs_by_state(connection),
                money=money_by_kind(connection),
                log_size=SqlLog(connection).size(),
                outbox_due=figures.outbox_due(connection, clock.now_ms()),
                outbox_given_up=figures.outbox_given_up(connection),
            )

    def certificates() -> dict[str, float]:
        ends = tls.certificate_ends(settings.home)
        return {str(file.relative_to(folder).with_suffix("")): end_ms / 1000 for file, end_ms in ends.items()}

    return FiguresCollector(read, certificates)


def run_coordinator(
    settings: Settings, model_folder: Path | None, *, ready: Callable[[int], None], report: Report
) -> None:
    """Serves until SIGTERM or SIGINT; then takes no more calls, lets those in progress end, and returns.

    A second signal ends the process at once, as a crash would: whatever was acknowledged is in the database.

    Args:
        ready: called with the port once clients are served.
        report: told, in a sentence each, what takes long.

    Raises:
        Unavailable: the port is busy, or the verifier cannot start.
    """
    asyncio.run(_serve(settings, model_folder, ready, report))


async def _serve(settings: Settings, model_folder: Path | None, ready: Callable[[int], None], report: Report) -> None:
    from node.cluster.local_ray import start_local_ray, stop_local_ray
    from node.coordinator.limits import CallLimits
    from node.coordinator.server import build_server
    from node.coordinator.worker import run_rounds
    from node.models.base import longest_row_tokens
    from node.models.chat import ChatTokenizer
    from node.settlement.faults import fault_check
    from node.storage import keys, tls
    from node.storage.blobs import FolderBlobs
    from node.telemetry import metrics, tracing
    from node.verifier.actor import start_verifiers
    from node.verifier.adapters import FolderAdapters
    from node.workflow.fault import gate_over
    from node.workflow.node import Limits, Node, Tariff
    from node.workflow.tidy import take_up

    stop = stop_signal()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(SERVING_THREADS))
    tracing.configure("hallmark-coordinator")
    require_port(settings.listen)  # seconds, not a minute, until a busy port is said
    tls.make_operator(settings.home, server_names(settings.listen), now_ms=SystemClock().now_ms())
    key, log_key = (keys.load_or_create(settings.key_file(name)) for name in ("coordinator", "log"))
    engine = database(settings)
    if settings.metrics_listen:
        metrics.serve(settings.metrics_listen, collector(settings, engine))
    model = await asyncio.to_thread(base_model, settings, model_folder, report)
    limits = Limits(longest_row_tokens(model, settings.max_length_tokens), settings.max_lora_rank)
    report("Starting the verifiers: warm vLLM engines in Ray actors.")
    local_ray = start_local_ray()
    scratch = Path(local_ray.folder)  # goes with Ray, however this process ends
    worker_stop = threading.Event()
    try:
        verifiers = start_verifiers(
            model,
            count=settings.verifiers,
            max_length_tokens=limits.max_length_tokens,
            lora_rank=limits.max_lora_rank,
            scratch=scratch / "verifiers",
        )
        blobs, adapters = FolderBlobs(settings.state / "blobs"), FolderAdapters(scratch / "adapters", model)
        proves = fault_check(keys.read_trust(settings.trust_file), gate_over(blobs, adapters))
        node = Node(
            units=units(engine, proves),
            blobs=blobs,
            clock=SystemClock(),
            entropy=SystemEntropy(),
            key=key,
            log_key=log_key,
            base_model=model.digest,
            limits=limits,
            tokenizer=ChatTokenizer(model.folder),
            language_model=verifiers,
            inference=verifiers,
            adapters=adapters,
            prompt_model=settings.prompt_model,
            tariff=Tariff(price_minor=settings.price_per_1000_tokens, arbiter=settings.arbiter or None),
        )
        calls = CallLimits(
            calls_per_second=settings.calls_per_second,
            burst_calls=max(1, round(4 * settings.calls_per_second)),
            streams=settings.streams_per_party,
            connections=settings.max_connections,
        )
        built = build_server(node, settings.listen, access(settings.home), limits=calls)
        warm = asyncio.ensure_future(asyncio.to_thread(verifiers.wait_until_ready))
        stopped = asyncio.ensure_future(stop.wait())
        await asyncio.wait({warm, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            return
        warm.result()
        work = (node, worker_stop, verifiers.count)
        worker = threading.Thread(target=run_rounds, args=work, name="worker", daemon=True)
        await asyncio.to_thread(take_up, node)
        await built.server.start()
        worker.start()
        ready(built.port)
        report(f"Serves on port {built.port}.")
        await stopped
        report(f"Goes down; calls in progress have {settings.drain_seconds:g} s.")
        worker_stop.set()
        await asyncio.gather(built.stop(settings.drain_seconds), asyncio.to_thread(worker.join, settings.drain_seconds))
    finally:
        worker_stop.set()
        stop_local_ray(local_ray)


def stop_signal() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT; a second one ends the process at once, whatever it is doing.

    Not by the event loop's own handlers, which wait until the loop is free.
    """
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    seen: list[int] = []

    def stop_or_quit(number: int, frame: object) -> None:
        if seen:
            os._exit(QUIT_EXIT_CODE)
        seen.append(number)
        loop.call_soon_threadsafe(stop.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop_or_quit)
    return stop


def access(home: Path) -> Access:
    """What the server asks its operator's home: certificates at each connection, who was revoked at each call."""
    from node.coordinator.server import Access
    from node.storage import tls

    return Access(
        credential=lambda: tls.server_credential(home),
        authorities=lambda: tls.authorities_file(home).read_bytes(),
        revoked=tls.Revocations(home),
    )


def server_names(listen: str) -> list[str]:
    """Under which host name or address a server at HOST:PORT is called: this machine's if it listens everywhere."""
    host = listen.rpartition(":")[0].strip("[]")
    return [socket.gethostname() if host in EVERYWHERE else host]


def run_provider(
    settings: Settings,
    model_folders: Sequence[Path],
    *,
    once: bool,
    dishonesty: Callable[[FineTuner], FineTuner] | None,
    report: Report,
) -> None:
    """Leases, trains and delivers until interrupted, or one job if `once`.

    Args:
        model_folders: of the base models; the packaged one if there are none.
        dishonesty: wraps the trainer with a strategy of the red-team lab; None trains honestly.

    Raises:
        NotFound: no operator admitted the provider in this home, or a job in hand needs a base model not given.
        Conflict: another agent works in this home.
        InvalidInput, Unavailable: the operator's own Ray cannot or must not be joined, or did not start.
    """
    from node.crypto.certificates import Role
    from node.provider import journal
    from node.provider.actors import RayFineTuner
    from node.storage import tls

    identity = tls.identity(settings.home, Role.PROVIDER)
    models = [base_model(settings, folder, report) for folder in model_folders or (None,)]
    with journal.opened(settings.state) as opened:
        where = f"joins the Ray at {settings.ray_address}" if settings.ray_address else "starts its own local Ray"
        report(f"Provider {identity.key.public.key_id} {where}.")
        honest = RayFineTuner(
            settings.ray_address or None, trainer=settings.trainer, gpus_per_job=settings.gpus_per_job
        )
        if lacking := honest.lacks():
            report(f"{lacking} Until that changes, jobs are refused.")
        tuner = dishonesty(honest) if dishonesty else honest
        try:
            asyncio.run(_provide(settings, identity, models, opened, once, tuner, honest))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None  # SIGTERM ends it as Ctrl-C does
        finally:
            honest.close()


async def _provide(
    settings: Settings,
    identity: Identity,
    models: Sequence[BaseModel],
    journal: Journal,
    once: bool,
    tuner: FineTuner,
    honest: RayFineTuner,
) -> None:
    from node.cluster import joined_ray
    from node.provider.agent import Agent
    from node.provider.leasing import Trainable
    from node.provider.metrics import JournalCollector
    from node.provider.work import Work
    from node.storage import keys
    from node.telemetry import metrics
    from node.verifier.adapters import FolderAdapters
    from node.wire.channel import open_channel

    if settings.metrics_listen:
        try:
            metrics.serve(settings.metrics_listen, JournalCollector(journal))
        except Unavailable as fault:  # the coordinator's, or another agent's, may be there; jobs matter more
            log.warning("%s", fault)
    machine = joined_ray.machine()
    log.info("finds %d GPUs and %d CPUs to train on", machine.gpu_count, machine.cpu_count)
    async with open_channel(settings.coordinator, identity) as channel:
        agent = Agent(
            channel,
            identity.key,
            coordinators=keys.read_trust(settings.trust_file).coordinators,
            base_models=[Trainable(model, FolderAdapters(settings.state / "gate", model)) for model in models],
            machine=machine,
            least_price_minor_per_1000_tokens=settings.least_price_per_1000_tokens,
            fine_tuner=tuner,
            cancel_training=honest.cancel,
            trainer_lacks=honest.lacks,
            work=Work(settings.state / "work"),
            journal=journal,
        )
        await agent.register(socket.gethostname())
        working = asyncio.ensure_future(agent.run(once=once))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, working.cancel)  # instead of Ray's own handler
        await working


def run_arbiter(settings: Settings, model_folder: Path | None, *, job: str | None, once: bool, report: Report) -> None:
    """Repeats disputed verdicts with a verifier of its own until interrupted; one job if it is named or `once`.

    Raises:
        NotFound: no operator admitted the arbiter in this home.
        HallmarkError: if one job is meant, why no ruling came of it.
    """
    from node.cluster.local_ray import start_local_ray, stop_local_ray
    from node.crypto.certificates import Role
    from node.models.base import longest_row_tokens
    from node.storage import tls
    from node.verifier.actor import start_verifiers
    from node.verifier.adapters import FolderAdapters

    identity = tls.identity(settings.home, Role.ARBITER)
    model = base_model(settings, model_folder, report)
    report(f"Arbiter {identity.key.public.key_id} starts its own verifier.")
    local_ray = start_local_ray()
    scratch = Path(local_ray.folder)
    try:
        verifiers = start_verifiers(
            model,
            count=1,
            max_length_tokens=longest_row_tokens(model, settings.max_length_tokens),
            lora_rank=settings.max_lora_rank,
            scratch=scratch / "verifiers",
        )
        verifiers.wait_until_ready()
        adapters = FolderAdapters(scratch / "adapters", model)
        asyncio.run(_arbitrate(settings, identity, model, adapters, verifiers, job, once=once, report=report))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None  # SIGTERM ends it as Ctrl-C does
    finally:
        stop_local_ray(local_ray)


async def _arbitrate(
    settings: Settings,
    identity: Identity,
    model: BaseModel,
    adapters: Adapters,
    engine: Inference,
    job: str | None,
    *,
    once: bool,
    report: Report,
) -> None:
    from node.arbiter.agent import Agent
    from node.storage import keys
    from node.wire.channel import open_channel

    async with open_channel(settings.coordinator, identity) as channel:
        agent = Agent(
            channel,
            identity.key,
            coordinators=keys.read_trust(settings.trust_file).coordinators,
            base_model=model.digest,
            adapters=adapters,
            engine=engine,
        )
        work = agent.run(report, once=once) if job is None else agent.rule(job)
        working = asyncio.ensure_future(work)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, working.cancel)  # instead of Ray's own handler
        if ruled := await working:
            report(str(ruled))


def require_port(address: str) -> None:
    """Raises InvalidInput if this is no HOST:PORT, Unavailable if nobody can listen there now."""
    host, separator, port = address.rpartition(":")
    if not separator or not host or not port.isdecimal() or int(port) > 65_535:
        raise InvalidInput(
            f"{address!r} is no address.", fix="Give HOST:PORT, such as 127.0.0.1:50051.", field="listen"
        )
    try:
        with socket.create_server((host, int(port))):
            pass
    except OSError as fault:
        raise Unavailable(
            f"Cannot listen on {address}: {os.strerror(fault.errno or 0)}.",
            fix="Stop what uses it, or choose another address with --listen HOST:PORT.",
        ) from fault


def require_memory(gibibytes: float) -> None:
    """Raises Unavailable if less memory than that is free."""
    import psutil

    free = psutil.virtual_memory().available / 2**30
    if free < gibibytes:
        raise Unavailable(
            f"{free:.1f} GiB of memory are free; this needs {gibibytes:.0f}.", fix="Close other programs and try again."
        )


def require_disk(folder: Path, gibibytes: float) -> None:
    """Raises Unavailable if the disk of `folder` has less room than that."""
    import shutil

    free = shutil.disk_usage(folder).free / 2**30
    if free < gibibytes:
        raise Unavailable(
            f"{free:.1f} GiB are free on the disk of {folder}; this needs {gibibytes:.0f}.",
            fix="Make room, or choose another folder with --home.",
        )
