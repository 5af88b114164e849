"""Serve a folder of history to local processes, without Kafka: for analysts at rest, notebooks, tests.

The owner of a running deployment is its writer (``history.writer``); this process takes its place where none runs. Invariant: it
writes nothing but migrations that are due.
"""

import logging
import signal
import threading
from collections.abc import Callable

from history import wire
from history.database import Reader, Store
from history.migrate import migrate
from history.owner import OwnerSocket, Pool
from history.settings import PREFIX, HistorySettings
from schemas.process import settings_path
from schemas.settings import load_settings

log = logging.getLogger("tidegate.history")


def open_owner(settings: HistorySettings) -> OwnerSocket:
    """Start answering for the store of ``settings`` and say where in its status folder."""
    settings.status_dir.mkdir(parents=True, exist_ok=True)
    owner = OwnerSocket(
        wire.usable_socket_path(settings.socket_path),
        lambda: Reader(settings),
        Pool(settings.readers, settings.readers_waiting_max),
    )
    wire.write_owner(
        settings.status_dir, wire.Owner(settings.interface, str(settings.data_dir.resolve()), str(owner.path))
    )
    return owner


def serve(settings: HistorySettings, wait: Callable[[], object]) -> None:
    """Answer until ``wait`` returns.

    Raises:
        StoreError: The store cannot be opened, for another process holds it.
        MigrationError: The migrations and the store disagree.
    """
    store = Store(settings)  # holds the folder
    try:
        migrate(store, replicated=settings.replicated)
        owner = open_owner(settings)
        try:
            wait()
        finally:
            owner.close()
    finally:
        store.close()


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    path = settings_path(
        argv, prog="history.serve", description="Answer questions to a folder of history.", prefix=PREFIX
    )
    settings = load_settings(HistorySettings, path, prefix=PREFIX)
    stop = threading.Event()

    def wait() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: stop.set())  # after the engine, which may set its own
        stop.wait()

    serve(settings, wait)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
