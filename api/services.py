"""What the routes work with, in one place, and who may call them."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from api.audit import AuditLog
from api.identity import Authenticator, Identity, Role
from api.live.hub import Hub
from api.live.view import LiveView
from api.names import Name
from api.problems import ProblemError
from api.proposals import ProposalStore
from api.settings import ApiSettings
from api.throttle import Throttle
from history.client import Result
from schemas.records import RiskCommand
from schemas.units import NS_PER_S


class Publisher(Protocol):
    """How a command reaches ``risk.commands``."""

    def publish(self, command: RiskCommand) -> None:
        """Return when the broker has it; raise :class:`PublishError` when it may not have."""


class PublishError(RuntimeError):
    """The broker did not say that it has the command."""


@dataclass(frozen=True, slots=True)
class Throttles:
    """How often one may ask, by what he asks."""

    reads: Throttle
    commands: Throttle
    failures: Throttle


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a request may need.

    Attributes:
        settings: Settings.
        authenticator: Who asks.
        throttles: How often.
        names: Instruments' names.
        view: The newest of everything.
        hub: Streams.
        proposals: Commands on their way.
        audit: Every attempt.
        publisher: To ``risk.commands``.
        ask: One question to the history, blocking.
        health: How the parts are.
    """

    settings: ApiSettings
    authenticator: Authenticator
    throttles: Throttles
    names: dict[int, Name]
    view: LiveView
    hub: Hub
    proposals: ProposalStore
    audit: AuditLog
    publisher: Publisher
    ask: Callable[[str], Result]
    health: Callable[[], dict[str, Any]]

    def symbol(self, instrument_id: int) -> str:
        """Return the name of an instrument."""
        found = self.names.get(instrument_id)
        return found.symbol if found else str(instrument_id)

    def command_ns(self) -> int:
        """Return the time that a command is dated by: this machine's, or the market's in a replay."""
        if self.settings.clock == "event" and (market_ns := self.view.market_ns()):
            return market_ns
        return time.time_ns()


def throttles_of(settings: ApiSettings) -> Throttles:
    """Return the buckets that the settings ask for."""
    per_min = settings.commands_per_min
    return Throttles(
        reads=Throttle(settings.reads_per_s, 2 * settings.reads_per_s),
        commands=Throttle(per_min / 60, per_min),
        failures=Throttle(settings.failures_per_min / 60, settings.failures_per_min),
    )


def services_of(request: Request) -> Services:
    """Return the services of the application that serves a request."""
    found: Services = request.app.state.services
    return found


_bearer = HTTPBearer(auto_error=False, description="A token of `tidegate token`.")


async def signed_in(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
) -> Identity:
    """Return who asks.

    Raises:
        ProblemError: 401 without a good token, 429 after too many wrong ones or too many requests.
    """
    services = services_of(request)
    address = request.client.host if request.client else "local"
    challenge = {"WWW-Authenticate": 'Bearer realm="tidegate"'}
    if given is None:
        raise ProblemError(401, "a bearer token is needed", headers=challenge)
    identity = services.authenticator.remembered(given.credentials)
    if identity is None:
        failures, now_ns = services.throttles.failures, time.monotonic_ns()
        if failures.level(address, now_ns) < 1:
            raise _too_many(failures.wait_s(address, now_ns))
        identity = await run_in_threadpool(services.authenticator.identify, given.credentials)
        if identity is None:
            failures.wait_s(address, now_ns)
            raise ProblemError(401, "the token is nobody's", headers=challenge)
    request.state.identity = identity
    is_command = request.method == "POST"
    throttle = services.throttles.commands if is_command else services.throttles.reads
    if wait_s := throttle.wait_s(identity.credential_id, time.monotonic_ns()):
        raise _too_many(wait_s)
    return identity


def having(role: Role) -> Callable[[Identity], Awaitable[Identity]]:
    """Return the dependency that lets in only who has ``role``."""

    async def check(identity: Annotated[Identity, Depends(signed_in)]) -> Identity:
        if not identity.may(role):
            raise ProblemError(403, f"{identity.name} is no {role.value}", slug="role-missing")
        return identity

    return check


Viewer = Annotated[Identity, Depends(having(Role.VIEWER))]
Maker = Annotated[Identity, Depends(having(Role.MAKER))]
Checker = Annotated[Identity, Depends(having(Role.CHECKER))]


def _too_many(wait_s: float) -> ProblemError:
    seconds = max(1, int(wait_s + 0.999))
    return ProblemError(429, f"too many requests: wait {seconds} s", headers={"Retry-After": str(seconds)})


def expiry_of(services: Services, valid_s: int | None, expires_ns: int | None) -> int | None:
    """Return when a command that is decided now ends; ``None`` = never."""
    return expires_ns if valid_s is None else services.command_ns() + valid_s * NS_PER_S
