"""A tape has no book and no venue's word of one: trades are counted, and so are ticks that the kernel does not call stale."""

from pathlib import Path

from deploy.book_oracles.report import BookReport
from features.channel import ChannelKernel
from feeds.framing import frames_of
from feeds.tape.reader import open_session
from schemas.events import TickStatus


def check(path: Path) -> BookReport:
    """Return the counts of one file; there is no state to compare.

    Raises:
        FeedError: The file cannot be read.
    """
    session, report, trusted = open_session(path), BookReport(), 0
    kernel = ChannelKernel(session.channel_id)
    for frame in frames_of(session.blocks(), session.channel_id, start_ns=session.start_ns, end_ns=session.end_ns):
        closed = kernel.apply(frame)
        trusted += int((closed.status & TickStatus.STALE == 0).sum())
    report.counts = {
        "trades": session.messages,
        "ticks_that_were_not_stale": trusted,
        "out_of_the_ordinary": dict(session.counts),
        "kernel": kernel.counters(),
    }
    return report
