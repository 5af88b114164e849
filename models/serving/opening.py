"""Opens the back end that the settings name."""

from typing import Final

from models.serving.interface import LOCAL, ServingSettings, WindowScorer
from models.serving.local import LocalWindowScorer
from models.serving.network import WindowNetwork
from models.serving.remote import RemoteWindowScorer

FIRST_ANSWER_S: Final = 2.0
"""How long opening waits for a remote server: a job that starts beside a healthy one shall not start degraded."""


def open_scorer(settings: ServingSettings, network: WindowNetwork, *, wait_s: float = FIRST_ANSWER_S) -> WindowScorer:
    """Return the back end, ready where it can be; a remote one that does not answer is opened all the same.

    Call it on the thread that will score (``jobs.operators.python_thread``).

    Args:
        settings: Which, and how.
        network: What is asked.
        wait_s: Longest wait for a remote server's first answer; 0 where ticks are waiting already, as when models are switched.

    Raises:
        ModelError: The network cannot be loaded here.
        ServingError: The url is none.
    """
    if settings.back_end == LOCAL:
        return LocalWindowScorer(network, settings.provider)
    remote = RemoteWindowScorer(network, settings.url, settings.deadline_ms)
    remote.wait(wait_s)
    return remote
