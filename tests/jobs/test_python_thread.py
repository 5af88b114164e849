"""The thread that operators hand their work to."""

import threading

import pytest

from jobs.operators.python_thread import PythonThread


def test_call_runs_on_one_other_thread_and_answers() -> None:
    thread = PythonThread("t")
    names = {thread.call(lambda: threading.current_thread().name) for _ in range(3)}
    assert names == {"t"}
    assert thread.call(int, "11", base=2) == 3


def test_what_the_call_raises_is_raised_here_and_the_thread_goes_on() -> None:
    thread = PythonThread("t")
    with pytest.raises(ZeroDivisionError):
        thread.call(lambda: 1 / 0)
    assert thread.call(lambda: 7) == 7
