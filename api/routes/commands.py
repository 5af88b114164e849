"""Commands of people: a maker proposes, a checker of another name approves, and only then does anybody else hear of it.

Both identities come from the tokens. What only tightens (KILL, RESTRICT) may go at once as an emergency of one person; whatever
loosens is held until a second one has approved it (``schemas.people`` asks the same questions again at the scorer and the gate).
"""

import json
import time
import uuid
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Path, Query, Request
from starlette.responses import Response

from api.answers import plain
from api.identity import Identity
from api.problems import ProblemError, responses
from api.proposals import DecidedError, Proposal, Status, UnknownProposalError, command_of
from api.services import Checker, Maker, PublishError, Services, Viewer, expiry_of, services_of
from api.shapes import CommandBody, DecisionBody, ProposalOut, ProposalsOut
from schemas import codec, topics
from schemas.errors import MessageError
from schemas.people import fault_of_two
from schemas.records import CommandKind, RiskCommand
from schemas.units import NS_PER_S

router = APIRouter(prefix="/v1/commands", tags=["commands"])
ProposalId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]

EMERGENCIES: Final = {CommandKind.KILL, CommandKind.RESTRICT}
ENDING: Final = {
    CommandKind.RELEASE, CommandKind.SET_ENVELOPE, CommandKind.SET_ACCOUNT, CommandKind.APPROVE_ORDER, CommandKind.LOCATE,
    CommandKind.LOAD_MODEL,
}  # fmt: skip
_SCOPES: Final = {
    CommandKind.RELEASE: ("instrument",),
    CommandKind.SET_ENVELOPE: ("instrument",),
    CommandKind.SET_ACCOUNT: ("account", "firm"),
    CommandKind.APPROVE_ORDER: ("order",),
    CommandKind.LOCATE: ("account",),
    CommandKind.LOAD_MODEL: ("firm",),
    CommandKind.RESTRICT: ("instrument", "account"),
    CommandKind.UNRESTRICT: ("instrument", "account"),
}
_PARTS: Final = {
    "envelope": CommandKind.SET_ENVELOPE,
    "account": CommandKind.SET_ACCOUNT,
    "qty": CommandKind.LOCATE,
    "model": CommandKind.LOAD_MODEL,
    "model_epoch": CommandKind.LOAD_MODEL,
}
"""What a kind of command brings, and no other."""
_PEOPLE: Final = {"same_person": 403, "no_maker": 403, "no_checker": 403, "no_reason": 422}


@router.get("", responses={200: {"model": ProposalsOut}, **responses()})
def listed(
    request: Request,
    *,
    _viewer: Viewer,
    status: Annotated[Status | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> Response:
    """List commands on their way and past, newest first."""
    services = services_of(request)
    found = services.proposals.listed(time.time_ns(), status=status, limit=min(limit, services.settings.page_max))
    return plain(request, {"commands": [_out(proposal) for proposal in found]})


@router.get("/{proposal_id}", responses={200: {"model": ProposalOut}, **responses(404)})
def one(request: Request, proposal_id: ProposalId, _viewer: Viewer) -> Response:
    """Return one command."""
    return plain(request, _out(_found(services_of(request), proposal_id)))


@router.post("", status_code=202, responses={202: {"model": ProposalOut}, **responses(400, 409, 413, 503)})
def propose(
    request: Request,
    *,
    body: CommandBody,
    maker: Maker,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=128, pattern=r"^[!-~]+$")] = None,
) -> Response:
    """Propose a command; it is held until somebody else approves it. An emergency KILL or RESTRICT goes at once."""
    services = services_of(request)
    now_ns = time.time_ns()
    made = Proposal(
        proposal_id=uuid.uuid4().hex,
        status=Status.OPEN,
        command=_command(body, maker),
        valid_s=body.valid_s,
        emergency=body.emergency,
        idempotency_key=idempotency_key,
        proposed_ns=now_ns,
        lapses_ns=now_ns + services.settings.proposal_ttl_s * NS_PER_S,
    )
    made = replace(made, command=replace(made.command, command_id=made.proposal_id))
    kept = services.proposals.add(made)
    if kept is not made and _asked(kept) != _asked(made):
        raise ProblemError(409, "this Idempotency-Key was used for another command", slug="key-reused")
    if body.emergency and kept.status is Status.OPEN:
        kept = _send(services, _fixed(services, kept, checker=None, note="emergency of one person"))
    services.hub.post_proposals()
    return _answer(kept)


@router.post(
    "/{proposal_id}/approve", responses={200: {"model": ProposalOut}, **responses(400, 404, 409, 410, 413, 503)}
)
def approve(request: Request, *, proposal_id: ProposalId, body: DecisionBody, checker: Checker) -> Response:
    """Approve what somebody else proposed: it is published, with both names."""
    services = services_of(request)
    proposal = _found(services, proposal_id)
    command = replace(proposal.command, checker=checker.name)
    if fault := fault_of_two(command, f"{command.kind.value} of {command.scope}"):
        raise ProblemError(_PEOPLE[fault.cause], fault.detail, slug=fault.cause.replace("_", "-"))
    sent = _send(services, _fixed(services, proposal, checker=checker.name, note=body.note))
    services.hub.post_proposals()
    return plain(request, _out(sent))


@router.post("/{proposal_id}/refuse", responses={200: {"model": ProposalOut}, **responses(400, 404, 409, 410, 413)})
def refuse(request: Request, *, proposal_id: ProposalId, body: DecisionBody, checker: Checker) -> Response:
    """Refuse what was proposed; it is kept, and never published."""
    services = services_of(request)
    return _closed(request, _found(services, proposal_id), (Status.REFUSED, checker.name, body.note))


@router.post("/{proposal_id}/withdraw", responses={200: {"model": ProposalOut}, **responses(400, 404, 409, 410, 413)})
def withdraw(request: Request, *, proposal_id: ProposalId, body: DecisionBody, maker: Maker) -> Response:
    """Withdraw what one proposed oneself."""
    services = services_of(request)
    proposal = _found(services, proposal_id)
    if proposal.command.maker != maker.name:
        raise ProblemError(
            403, f"{proposal.command.maker} proposed it, and alone may withdraw it", slug="not-the-maker"
        )
    return _closed(request, proposal, (Status.WITHDRAWN, maker.name, body.note))


def send_what_was_left(services: Services, before_ns: int) -> int:
    """Publish what was decided before a time and may not have reached the broker; return how many."""
    left = services.proposals.unsent(before_ns)
    for proposal in left:
        services.publisher.publish(proposal.command)
        services.proposals.mark_sent(proposal)
    return len(left)


def _command(body: CommandBody, maker: Identity) -> RiskCommand:
    kind = body.kind
    scope_kind = body.scope.partition(":")[0]
    if scope_kind not in _SCOPES.get(kind, (scope_kind,)) or (
        scope_kind == "order" and kind is not CommandKind.APPROVE_ORDER
    ):
        raise ProblemError(422, f"scope: {kind.value} is of {' or '.join(_SCOPES.get(kind, ('another scope',)))}")
    if scope_kind == "instrument" and int(body.scope.partition(":")[2]) > 2**32 - 1:
        raise ProblemError(422, "scope: an instrument id is at most 4294967295")
    if body.emergency and kind not in EMERGENCIES:
        raise ProblemError(422, f"emergency: {kind.value} needs two people", slug="needs-two")
    if body.valid_s is not None and body.expires_ns is not None:
        raise ProblemError(422, "valid_s and expires_ns: one of them")
    if kind in ENDING and body.valid_s is None and body.expires_ns is None:
        raise ProblemError(422, f"valid_s: {kind.value} needs an end")
    for name, owner in _PARTS.items():
        if (getattr(body, name) is not None) != (kind is owner):
            raise ProblemError(422, f"{name}: for {owner.value}, and needed there")
    said = body.model_dump(exclude={"kind", "valid_s", "emergency"})
    command = command_of({**said, "kind": kind.name, "reason": body.reason.strip(), "maker": maker.name})
    if command.account and command.account.class_ids is not None:
        ids = tuple(sorted(set(command.account.class_ids)))
        command = replace(command, account=replace(command.account, class_ids=ids))
    try:
        codec.encode(topics.RISK_COMMANDS, command)
    except MessageError as error:
        raise ProblemError(422, error.detail) from error
    return command


def _fixed(services: Services, proposal: Proposal, *, checker: str | None, note: str) -> Proposal:
    """Return the decision with the command as it will be published: dated now, and ending when it was asked to."""
    command = replace(
        proposal.command,
        ts_ns=services.command_ns(),
        checker=checker,
        expires_ns=expiry_of(services, proposal.valid_s, proposal.command.expires_ns),
    )
    by = checker or proposal.command.maker
    return replace(
        proposal, status=Status.SENDING, command=command, decided_by=by, decided_ns=time.time_ns(), note=note
    )


def _send(services: Services, decided: Proposal) -> Proposal:
    kept = _decide(services, decided)
    try:
        services.publisher.publish(kept.command)
    except PublishError as error:
        detail = "it is decided and on disk, and will be published as soon as the broker takes it"
        raise ProblemError(503, detail, slug="not-published-yet", headers={"Retry-After": "5"}) from error
    return services.proposals.mark_sent(kept)


def _closed(request: Request, proposal: Proposal, how: tuple[Status, str, str]) -> Response:
    services = services_of(request)
    status, by, note = how
    ended = replace(proposal, status=status, decided_by=by, decided_ns=time.time_ns(), note=note)
    kept = _decide(services, ended)
    services.hub.post_proposals()
    return plain(request, _out(kept))


def _decide(services: Services, decided: Proposal) -> Proposal:
    try:
        return services.proposals.decide(decided)
    except DecidedError as error:
        held = error.proposal
        if held.status is Status.LAPSED:
            raise ProblemError(410, "nobody decided in time: propose it again", slug="lapsed") from error
        raise ProblemError(409, f"it is {held.status.value} by {held.decided_by}", slug="decided") from error


def _found(services: Services, proposal_id: str) -> Proposal:
    try:
        return services.proposals.get(proposal_id)
    except UnknownProposalError as error:
        raise ProblemError(404, f"there is no command {proposal_id}") from error


def _asked(proposal: Proposal) -> tuple[Any, ...]:
    command = replace(proposal.command, command_id="", ts_ns=0, expires_ns=None, checker=None)
    return command, proposal.valid_s, proposal.emergency


def _answer(proposal: Proposal) -> Response:
    location = {"Location": f"/v1/commands/{proposal.proposal_id}", "Cache-Control": "no-store"}
    return Response(json.dumps(_out(proposal)), 202, location, "application/json")


def _out(proposal: Proposal) -> dict[str, Any]:
    command = proposal.command
    return {
        "proposal_id": proposal.proposal_id, "status": proposal.status.value, "kind": command.kind.value, "scope": command.scope,
        "maker": command.maker, "reason": command.reason, "emergency": proposal.emergency, "valid_s": proposal.valid_s,
        "expires_ns": command.expires_ns, "proposed_ns": proposal.proposed_ns, "lapses_ns": proposal.lapses_ns,
        "decided_by": proposal.decided_by, "decided_ns": proposal.decided_ns, "note": proposal.note,
        "command": codec.to_plain(command),
    }  # fmt: skip
