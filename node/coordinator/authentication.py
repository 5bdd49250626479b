"""Who calls, whether they may, and that each signed request is carried out once.

TLS has checked the certificate when a call arrives here. `Identification` reads from it who calls and looks into the
table of rights; `Signatures` demands the party's own signature on whatever changes something. `current()` tells the
services who calls; no verb of the workflow knows of nonces, for `once_per_request` spends them within its first commit.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Self, cast

from google.protobuf.message import DecodeError

from node.coordinator.interceptors import Context, Interceptor, Serve
from node.coordinator.rights import RIGHTS
from node.core.request import SKEW_MS, check_request
from node.crypto.certificates import Party, party_of
from node.errors import InvalidInput, PermissionRefused, SignatureInvalid, UnknownSigner
from node.ports.unit_of_work import UnitOfWork, Units
from node.wire import translate
from node.wire.channel import REQUEST_KEY
from node.wire.hallmark.v1 import common_pb2
from node.wire.methods import METHODS, changes

#: How often a stream's caller is looked up again.
ADMITTED_SECONDS = 2.0

_CALLER: ContextVar[Party] = ContextVar("caller")
#: SHA-256 of the request's bytes; None if they are no message of the method.
_BODY: ContextVar[str | None] = ContextVar("body")
_REQUEST: ContextVar[_OnceOnly | None] = ContextVar("request", default=None)


def current() -> Party:
    """Who makes the call that is being served, in whatever thread it is.

    Raises:
        PermissionRefused: nobody does; this is the node's own work.
    """
    try:
        return _CALLER.get()
    except LookupError:
        raise PermissionRefused("Nobody is known to make this call.") from None


@contextmanager
def calling(party: Party) -> Iterator[None]:
    """Within the block, `party` is who calls."""
    token = _CALLER.set(party)
    try:
        yield
    finally:
        _CALLER.reset(token)


class Identification(Interceptor):
    """Reads who calls from the certificate, and refuses whom nobody admits any more or whom the rights leave out.

    Args:
        revoked: key ids that are refused, asked at every call, and while a stream of answers lasts.
        now_ms: wall time, which certificates are about.
    """

    def __init__(self, revoked: Callable[[], frozenset[str]], now_ms: Callable[[], int]) -> None:
        self._revoked = revoked
        self._now_ms = now_ms

    async def around(self, method: str, context: Context, serve: Serve, *, streams: bool) -> Any:
        (certificate,) = context.auth_context()["x509_pem_cert"]
        party, ends_ms = party_of(certificate)
        self._require_admitted(party, ends_ms)
        if party.role not in RIGHTS.get(method, ()):
            raise PermissionRefused(f"No {party.role} may call {method}.", method=method, role=party.role.value)
        with calling(party):
            return await (self._while_admitted(party, ends_ms, serve) if streams else serve())

    def _require_admitted(self, party: Party, ends_ms: int) -> None:
        if ends_ms <= self._now_ms():
            raise SignatureInvalid(
                "This certificate has ended since the connection was made.", fix="Have the operator admit you anew."
            )
        if party.key_id in self._revoked():
            raise UnknownSigner("The operator revoked this party.", fix="Ask the operator why.", actual=party.key_id)

    async def _while_admitted(self, party: Party, ends_ms: int, serve: Serve) -> Any:
        """Streams last for days, and nobody may go on hearing what it could not ask for any more."""
        serving = asyncio.ensure_future(serve())
        try:
            while not serving.done():
                self._require_admitted(party, ends_ms)
                await asyncio.wait({serving}, timeout=ADMITTED_SECONDS)
            return await serving
        finally:
            serving.cancel()


class Signatures(Interceptor):
    """Demands a signed request (`node.core.request`) for every call that may change something, and refuses replays.

    Args:
        audience: this coordinator's key id.
        units: transactions; the spent nonces are kept there.
        now_ms: wall time, which signed requests expire by.
    """

    def __init__(self, audience: str, units: Units, now_ms: Callable[[], int]) -> None:
        self._audience = audience
        self._units = units
        self._now_ms = now_ms

    def deserializer(self, method: str, former: Any) -> Any:
        def parse(received: bytes) -> Any:
            try:
                parsed = former(received)
            except DecodeError:
                _BODY.set(None)
                return None
            _BODY.set(hashlib.sha256(received).hexdigest())  # of the very bytes: parsing is not reversible
            return parsed

        return parse if method in METHODS else former

    async def around(self, method: str, context: Context, serve: Serve, *, streams: bool) -> Any:
        if method not in METHODS:
            return await serve()
        if (body := _BODY.get()) is None:
            raise InvalidInput("The request is no message of this method.", fix="Use the .proto files.", method=method)
        if not changes(method):
            return await serve()
        request = self._checked(method, body, context)
        token = _REQUEST.set(request)
        try:
            return await serve()
        finally:
            _REQUEST.reset(token)
            if not request.spent:  # it changed nothing; all the same it was made
                await asyncio.to_thread(self._spend, request)

    def _checked(self, method: str, body: str, context: Context) -> _OnceOnly:
        sent = dict(context.invocation_metadata() or ()).get(REQUEST_KEY)
        if not isinstance(sent, bytes):
            raise SignatureInvalid(
                "This method changes something, and the request is not signed.",
                fix=f"Send a signed request as metadata {REQUEST_KEY}.",
            )
        try:
            envelope = translate.envelope_from_wire(common_pb2.Envelope.FromString(sent))
        except DecodeError as fault:
            raise SignatureInvalid(f"The metadata {REQUEST_KEY} is not an Envelope.") from fault
        signer, now_ms = current().key, self._now_ms()
        request = check_request(
            envelope, signer=signer, audience=self._audience, method=method, body=body, now_ms=now_ms
        )
        return _OnceOnly(signer.key_id, request.nonce, request.expires_at_ms + SKEW_MS)

    def _spend(self, request: _OnceOnly) -> None:
        with self._units() as unit:
            request.require_new(unit)  # what was refused before it began a transaction may be a replay
            with suppress(PermissionRefused):  # a commit of unknown outcome may have spent it
                request.commit(unit)


@dataclass(slots=True)
class _OnceOnly:
    """A signed request that is being served.

    `new` once a transaction has seen that nobody made it before, `spent` once a commit recorded its nonce.
    """

    signer: str
    nonce: str
    kept_until_ms: int
    new: bool = False
    spent: bool = False

    def require_new(self, unit: UnitOfWork) -> None:
        if not self.new and unit.nonces.used(self.signer, self.nonce):
            raise PermissionRefused("This request was carried out before.", fix="Sign a new request.")
        self.new = True

    def commit(self, unit: UnitOfWork) -> None:
        if not self.spent:
            unit.nonces.use(self.signer, self.nonce, self.kept_until_ms)
        unit.commit()
        self.spent = True


def once_per_request(units: Units) -> Units:
    """Transactions of which the first one within a signed call refuses a replay, and the first commit spends the nonce.

    So whatever a signed request did, it did once, also if the process dies at any moment, or if two copies of the
    request arrive at the same time: one of them finds the nonce spent, and none of its changes stay.
    """

    def begin(*, read_only: bool = False) -> UnitOfWork:
        unit, request = units(read_only=read_only), _REQUEST.get()
        return unit if request is None else cast(UnitOfWork, _SpendingUnit(unit, request))

    return begin


class _SpendingUnit:
    """A unit of work that begins and commits by way of its request."""

    def __init__(self, unit: UnitOfWork, request: _OnceOnly) -> None:
        self._unit = unit
        self._request = request

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            opened.enter_context(self._unit)
            self._request.require_new(self._unit)
            opened.pop_all()  # stays open: `__exit__` ends it
        return self

    def __exit__(self, *fault: Any) -> None:
        self._unit.__exit__(*fault)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._unit, name)

    def commit(self) -> None:
        self._request.commit(self._unit)
