"""Signals: files of scored headlines, own orders and own executions → ``schemas.signals.Signal`` in time order.

They change no book, so ``market.frames`` v1 has no kind for them. How they reach the ticks:

- *A frame of their own format in the market channel's own sequence.* ``tidegate.signal.v1`` (``schemas.frames.SignalFrame``)
  has the header of a market frame and goes to ``market.frames`` under the channel's key; its events take the channel's next
  sequence numbers. Readers tell the two formats apart by the header, as they do with the two Avro framings.
- *One writer fixes the order.* The process that cuts a channel's frames merges the signals in, once (``feeds.merging``). So
  gaps, repeats, snapshots with the frames since, and equal bytes at any replay speed hold for signals without a new rule.
- *A signal counts from the first tick at or after the channel's place where it stands.* A headline may arrive late: its frame
  then says a ``ts_event_ns`` before the channel's clock, moves no clock, and weighs by its own age. No closed tick is reopened.
- *Silence is no staleness.* A quiet news source lets the features fade (``features.signals``); only a sequence gap makes an
  instrument stale. A signal frame that cannot be read is a dead letter, and so such a gap: what it held is not known.
- A score that concerns several instruments is one signal for each; those of other channels go to theirs, and where one of them
  ends up here all the same it has no row to be read in.

Rejected: a topic of their own joined by event time (either ticks wait for the slower clock, and a dead news source stops the
limits, or they do not, and a replay gives other ticks); new kinds in ``market.frames`` v1 (a score is neither price nor
quantity, and a published version never changes); risk commands (those are what people decided, kept for ever).
"""
