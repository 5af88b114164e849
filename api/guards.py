"""What surrounds every request: the audit of command attempts, a bound on bodies, and headers that protect a browser. Pure ASGI.

Invariant: an attempt to command is in the audit log before anything looks at it, also one without a token. Rejected: Starlette's
BaseHTTPMiddleware (it buffers event streams, and a client that goes away is not seen).
"""

import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.audit import AuditError, AuditLog
from api.problems import ProblemError, problem_response

BODY_BYTES_MAX: Final = 64 * 1024
COMMANDS: Final = "/v1/commands"
SECURITY: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guards:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, audit: AuditLog, *, tls: bool) -> None:
        self._app = app
        self._audit = audit
        self._headers = {**SECURITY, **({"Strict-Transport-Security": "max-age=31536000"} if tls else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        if scope["method"] in {"GET", "HEAD"}:
            await self._app(scope, receive, with_headers)
            return
        body = await _body(receive)
        if body is None:
            await self._refuse(scope, with_headers, ProblemError(413, f"a body is at most {BODY_BYTES_MAX} bytes"))
        elif scope["path"].startswith(COMMANDS):
            await self._audited(scope, body, with_headers)
        else:
            await self._app(scope, _replayed(body), with_headers)

    async def _audited(self, scope: Scope, body: bytes, send: Send) -> None:
        attempt = {
            "what": "attempt",
            "attempt": hashlib.blake2b(f"{time.time_ns()}{id(scope)}".encode(), digest_size=8).hexdigest(),
            "at_ns": time.time_ns(),
            "path": scope["path"],
            "address": scope["client"][0] if scope.get("client") else "local",
            "body": body.decode(errors="replace")[:4_000],
            "body_sha256": hashlib.sha256(body).hexdigest(),
            "agent": Headers(scope=scope).get("user-agent", "")[:200],
        }
        try:
            await run_in_threadpool(self._audit.write, attempt)
        except AuditError:
            problem = ProblemError(503, "the audit log cannot be written: no command is taken", slug="no-audit")
            await self._refuse(scope, send, problem)
            return
        seen: dict[str, Any] = {"status": 500, "body": b""}

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
            elif message["type"] == "http.response.body" and len(seen["body"]) < BODY_BYTES_MAX:
                seen["body"] += message.get("body", b"")
            await send(message)

        try:
            await self._app(scope, _replayed(body), watched)
        finally:
            await run_in_threadpool(self._audit.write, _outcome(scope, attempt["attempt"], seen))

    async def _refuse(self, scope: Scope, send: Send, error: ProblemError) -> None:
        response = problem_response(scope["path"], error)
        await response(scope, _replayed(b""), send)


def _outcome(scope: Scope, attempt: Any, seen: dict[str, Any]) -> dict[str, Any]:
    identity = scope.get("state", {}).get("identity")
    try:
        answer = json.loads(seen["body"])
    except ValueError:
        answer = {}
    kept = ("proposal_id", "kind", "scope", "maker", "status", "decided_by", "emergency", "type", "detail")
    return {
        "what": "outcome",
        "attempt": attempt,
        "at_ns": time.time_ns(),
        "http_status": seen["status"],
        "identity": identity.name if identity else None,
        "credential_id": identity.credential_id if identity else None,
        "answer": {name: answer[name] for name in kept if name in answer} if isinstance(answer, dict) else {},
    }


async def _body(receive: Receive) -> bytes | None:
    """Return the whole body; ``None`` = longer than allowed."""
    parts = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b""
        size += len(message.get("body", b""))
        if size > BODY_BYTES_MAX:
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _replayed(body: bytes) -> Callable[[], Awaitable[Message]]:
    told = False

    async def receive() -> Message:
        nonlocal told
        if told:
            return {"type": "http.disconnect"}
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
