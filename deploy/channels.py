"""Channels of a running stack: how far each has come."""

from deploy.local.stack import Stack, StackError
from history.client import query
from schemas.units import NS_PER_S


def refuse_past(stack: Stack, channel_id: str, start_ns: int) -> None:
    """Refuse a session that starts before what its channel has reached in this deployment.

    A channel numbers its events and its clock only goes forward, so such a session would be taken for repeats, silently.

    Raises:
        StackError: It would; the message says how to get a fresh channel.
    """
    where = f"channel_id = '{channel_id}' AND epoch = {stack.layout.epoch}"  # names of ours
    sql = f"SELECT toUnixTimestamp64Nano(max(tick_ns)) AS reached FROM ticks WHERE {where}"  # noqa: S608
    (row,) = query(sql, status_dir=stack.state).dicts()
    reached_ns = int(row["reached"])
    if reached_ns > start_ns:
        ahead_s = (reached_ns - start_ns) / NS_PER_S
        raise StackError(
            f"channel {channel_id} has already reached {ahead_s:.1f} s into this session, and time does not go back: "
            "`tidegate down` and `tidegate up` give a fresh deployment"
        )
