"""Who asks: identities by token, hashed at rest, behind an interface that OIDC can fill.

A token is ``tg_<id>_<secret>``: the id finds its row, so one hash decides; the file holds scrypt hashes and never a secret.
Invariants: comparison takes the same time whatever is wrong; an unknown id costs one hash too; a token that was let in is
remembered as a keyed digest alone, and forgotten when the file changes. Rejected: plain SHA of the secret in the file (a weak
secret of a person could be guessed from a stolen file), sessions on the server (a restart would sign everybody out).
"""

import base64
import hashlib
import hmac
import os
import re
import secrets
import threading
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol

SCRYPT_N: Final = 2**14
SCRYPT_R: Final = 8
SCRYPT_P: Final = 1
SECRET_BYTES: Final = 32
REMEMBERED_MAX: Final = 4096
_TOKEN: Final = re.compile(r"tg_([a-z0-9]{8})_([A-Za-z0-9_-]{20,128})")
_NAME: Final = re.compile(r"[\w.@+-][\w.@+ -]{0,63}")


class Role(StrEnum):
    """What an identity may do."""

    VIEWER = "viewer"  # read
    MAKER = "maker"  # propose commands
    CHECKER = "checker"  # approve what another identity proposed


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who was let in.

    Attributes:
        name: The person, as it goes into commands; two people have two names.
        roles: What he may do; a maker or checker may read.
        credential_id: Which of his credentials; for the audit log and the rate limits.
    """

    name: str
    roles: frozenset[Role]
    credential_id: str

    def may(self, role: Role) -> bool:
        """Return whether this identity has ``role``."""
        return role in self.roles or (role is Role.VIEWER and bool(self.roles))


class Authenticator(Protocol):
    """What the API needs to know who asks; a file of tokens here, an OIDC verifier in its place elsewhere."""

    def remembered(self, credential: str) -> Identity | None:
        """Return who was let in with this credential before, at once; ``None`` = ask :meth:`identify`."""

    def identify(self, credential: str) -> Identity | None:
        """Return whose bearer credential this is, ``None`` when it is nobody's; may take a while, is called off the loop."""


class TokenFileError(ValueError):
    """A token file that cannot be used; the message names file and entry."""


class TokenFile:
    """Tokens in a TOML file, read again when it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._key = secrets.token_bytes(32)
        self._stamp: tuple[int, int] | None = None
        self._rows: dict[str, dict[str, Any]] = {}
        self._known: dict[bytes, Identity] = {}
        self._decoy = _hashed("no such token", os.urandom(16))

    def remembered(self, credential: str) -> Identity | None:
        """Return who was let in with this credential before."""
        self._refresh()
        return self._known.get(self._digest(credential))

    def identify(self, credential: str) -> Identity | None:
        """Return whose token this is; takes some 50 ms."""
        self._refresh()
        found = _TOKEN.fullmatch(credential)
        row = self._rows.get(found[1]) if found else None
        stored = row["hash"] if row else self._decoy
        is_right = _matches(found[2] if found else "", stored)
        if not is_right or row is None or found is None:
            return None
        identity = Identity(row["name"], frozenset(Role(role) for role in row["roles"]), found[1])
        with self._lock:
            if len(self._known) >= REMEMBERED_MAX:
                self._known.clear()
            self._known[self._digest(credential)] = identity
        return identity

    def _digest(self, credential: str) -> bytes:
        return hmac.digest(self._key, credential.encode(errors="replace"), "sha256")

    def _refresh(self) -> None:
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
        except FileNotFoundError:
            stamp = (0, 0)
        if stamp == self._stamp:
            return
        with self._lock:
            self._rows = _rows_of(self._path)
            self._known.clear()
            self._stamp = stamp


def issue(path: Path, name: str, roles: list[Role]) -> str:
    """Add a token for ``name`` to the file at ``path`` and return it: the one time that its secret is seen.

    Raises:
        TokenFileError: A name or the file cannot be used.
    """
    if not _NAME.fullmatch(name) or name != " ".join(name.split()):
        raise TokenFileError(f"name was {name!r}: letters, digits and . @ + - _, single spaces, at most 64")
    if not roles:
        raise TokenFileError("a token needs a role")
    _rows_of(path)
    token_id = secrets.token_hex(4)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    words = ", ".join(f'"{role.value}"' for role in roles)
    entry = f'[{token_id}]\nname = "{name}"\nroles = [{words}]\nhash = "{_hashed(secret, os.urandom(16))}"\n\n'
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a") as out:
        out.write(entry)
        out.flush()
        os.fsync(out.fileno())
    return f"tg_{token_id}_{secret}"


def _rows_of(path: Path) -> dict[str, dict[str, Any]]:
    try:
        rows = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise TokenFileError(f"{path}: {error}") from error
    for token_id, row in rows.items():
        if not isinstance(row, dict) or row.keys() != {"name", "roles", "hash"}:
            raise TokenFileError(f"{path}: {token_id}: must have name, roles and hash")
        if unknown := set(row["roles"]) - {role.value for role in Role}:
            raise TokenFileError(f"{path}: {token_id}: unknown role {', '.join(sorted(unknown))}")
        if not str(row["hash"]).startswith("scrypt$"):
            raise TokenFileError(f"{path}: {token_id}: hash must be scrypt")
    return rows


def _hashed(secret: str, salt: bytes) -> str:
    digest = hashlib.scrypt(secret.encode(), salt=salt, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P, maxmem=64 * 1024 * 1024)
    words = (base64.b64encode(part).decode() for part in (salt, digest))
    return f"scrypt${SCRYPT_N}${SCRYPT_R}${SCRYPT_P}${'$'.join(words)}"


def _matches(secret: str, stored: str) -> bool:
    try:
        _, n, r, p, salt, digest = stored.split("$")
        wanted = base64.b64decode(digest)
        found = hashlib.scrypt(
            secret.encode(), salt=base64.b64decode(salt), n=int(n), r=int(r), p=int(p), maxmem=64 * 1024 * 1024
        )
    except ValueError:
        return False
    return hmac.compare_digest(found, wanted)
