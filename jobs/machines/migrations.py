"""From one version of a machine's snapshot to the next, and back (``jobs.machines.sealing`` says which is read and written).

Version 2 of tick scaling keeps maker, checker and reason of a switch of models that is on its way; version 1 kept its people as
one text. Back and forth nothing is lost but the reason. All other machines' bytes are the same in both.
"""

import json
from typing import Any, Final

from jobs.machines.keeping import pack, unpack

_AND: Final = " and "
NO_REASON: Final = "not kept by the release that took the command"


def tick_scaling_to_2(snapshot: bytes) -> bytes:
    """Return a snapshot of version 1 as version 2.

    Raises:
        ValueError: Not a snapshot of tick scaling.
    """
    head, *rest = unpack(snapshot)
    known: dict[str, Any] = json.loads(head)
    if known["next"] is None:
        return snapshot
    command_id, people, *others = known["next"]
    maker, _, checker = people.partition(_AND)
    known["next"] = [[command_id, maker, checker, NO_REASON], *others]
    return pack([json.dumps(known).encode(), *rest])


def tick_scaling_to_1(snapshot: bytes) -> bytes:
    """Return a snapshot of version 2 as version 1, for the release before.

    Raises:
        ValueError: Not a snapshot of tick scaling.
    """
    head, *rest = unpack(snapshot)
    known: dict[str, Any] = json.loads(head)
    if known["next"] is None:
        return snapshot
    (command_id, maker, checker, _), *others = known["next"]
    known["next"] = [command_id, f"{maker}{_AND}{checker}", *others]
    return pack([json.dumps(known).encode(), *rest])
