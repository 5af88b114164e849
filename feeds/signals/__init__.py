"""Signals: scored headlines, own orders and own executions. They change no book, so ``market.frames`` v1 has no kind for them.

A signal is ``(ts_event_ns, instrument_id, kind, score, order_qty, fill_qty)`` (``signals.events``), and an instrument's signals
make three features (``signals.state``): ``sentiment_ew``, ``headline_rate``, ``own_fill_ratio``.

How they are meant to reach the ticks (design; nothing here writes to a topic):

- *A frame of their own format in the market channel's own sequence.* ``tidegate.signal.v1`` is an Arrow stream with the header
  of a market frame (channel, ``seq_first``, ``seq_last``, times, flags) and the columns ``ts_event_ns, seq, instrument_id,
  kind, score, order_qty, fill_qty``; it goes to ``market.frames`` under the channel's key, and its events take the channel's
  next sequence numbers. Readers tell the two formats apart by the header, as they do with the two Avro framings.
- *One writer fixes the order.* The process that cuts a channel's frames merges the signals in, once. So gaps, repeats,
  snapshots with the frames since, and equal bytes at any replay speed hold for signals without a new rule.
- *A signal counts from the first tick at or after the channel's place where it stands.* A headline may arrive late: its frame
  then says a ``ts_event_ns`` before the channel's clock, moves no clock, and weighs by its own age. No closed tick is reopened.
- *Silence is no staleness.* A quiet news source lets the features fade; only a sequence gap makes an instrument stale.
- A score that concerns several instruments is one signal for each; those of other channels go to theirs.

Rejected: a topic of their own joined by event time (either ticks wait for the slower clock, and a dead news source stops the
limits, or they do not, and a replay gives other ticks); new kinds in ``market.frames`` (a score is neither price nor quantity,
and version 1 never changes); risk commands (those are what people decided, kept for ever).
"""
