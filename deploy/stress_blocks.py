"""The stress suite as labelled blocks: simulated frames through the real kernel."""

from dataclasses import replace

from deploy.training import ticks_of
from feeds.stress.plan import StressSession, sessions
from feeds.stress.session import long_frames, simulate
from models.evaluation.blocks import Labels, TickBlock, blocks_of_ticks


def stress_blocks(seed: int, *, quick: bool) -> list[TickBlock]:
    """Return the suite's sessions in time order; equal arguments give equal blocks."""
    return [block_of(session) for session in sessions(seed, quick=quick)]


def block_of(session: StressSession) -> TickBlock:
    """Return one session through the kernel."""
    frames = long_frames(session, simulate(session))
    (block,) = blocks_of_ticks(ticks_of(frames, session.channel_id), session.name)
    labels = Labels(session.kind, session.mechanism, session.onset_tick)
    return replace(block, name=session.name, labels=labels)
