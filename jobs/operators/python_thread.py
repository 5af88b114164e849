"""A thread that Python started, for everything that calls back into the interpreter.

In thread mode an operator runs on a JVM thread that may carry several Python thread states. Libraries that ask CPython for
"the" state of a thread (Arrow, ONNX Runtime: ``PyGILState_Ensure``) get another one than the one that runs, and wait for
ever for a lock that the same thread holds. On a thread made by Python there is exactly one. Flink's own objects (state,
context) must stay on the task's thread; machines take and give bytes, so they can run here. A call costs some 20 us.
"""

import queue
import sys
import threading
from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


SWITCH_S: Final = 0.0005
"""How long a thread may keep the interpreter while another wants it; Python's own 5 ms are a tick's whole budget."""


class PythonThread:
    """Runs one call at a time; the caller waits for the answer."""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        sys.setswitchinterval(SWITCH_S)
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return ``function(*args, **kwargs)``, run on this thread; what it raises is raised here."""
        self._calls.put((function, args, kwargs))
        answer, error = self._answers.get()
        if error is not None:
            raise error
        result: R = answer
        return result

    def _run(self) -> None:
        while True:
            function, args, kwargs = self._calls.get()
            try:
                self._answers.put((function(*args, **kwargs), None))
            except BaseException as error:  # noqa: BLE001 - handed to the caller, whatever it is
                self._answers.put((None, error))
