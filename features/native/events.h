/* Kinds, flags and status bits of schemas/events.py, number for number (a test compares the two). */
#ifndef TIDEGATE_EVENTS_H
#define TIDEGATE_EVENTS_H

enum event_kind {
    KIND_ADD = 1,
    KIND_REDUCE = 2,
    KIND_DELETE = 3,
    KIND_EXECUTE = 4,
    KIND_EXECUTE_HIDDEN = 5,
    KIND_TRADE = 6,
    KIND_REPLACE = 7,
    KIND_LEVEL_SET = 8,
    KIND_SNAPSHOT_BEGIN = 9,
    KIND_SNAPSHOT_END = 10,
    KIND_HALT = 11,
    KIND_RESUME = 12,
    KIND_CLEAR = 13,
    KIND_DEFINE = 14
};

enum frame_flag { FRAME_HEARTBEAT = 1, FRAME_SNAPSHOT = 2, FRAME_GAP = 4 };

enum tick_status {
    STATUS_STALE = 1,
    STATUS_GAP = 2,
    STATUS_BID_EMPTY = 4,
    STATUS_ASK_EMPTY = 8,
    STATUS_LOCKED = 16,
    STATUS_CROSSED = 32,
    STATUS_HALTED = 64,
    STATUS_BOUND_HIT = 128
};

#endif
