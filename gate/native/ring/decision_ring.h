/* The decision ring: what the gate decided, on its way out of the trading process.
 *
 * A bounded ring with many producers (the threads that send orders) and one consumer (the shipper). A producer never waits:
 * when the ring is full its decision is counted as lost under its reason, and its number stays unused. So the invariant is
 *     numbers given = entries in the ring or released + losses counted + torn
 * and a hole in the numbers is never without a count, except while a producer is between two lines of code.
 *
 * Each slot has a turn: `position` when it is free for the entry of that position, `position + 1` when that entry is
 * published, and `position + capacity` when the consumer has released it (D. Vyukov's bounded queue). Reading and releasing
 * are apart: an entry stays until the consumer knows that others have it.
 *
 * In a file the ring outlives its process: what was published and not released is there for the successor, who finds entries
 * that were being written when the process died, marks them torn, and counts the numbers that died with it. The file is
 * as safe as the page cache: it survives the process, not the host.
 *
 * Rejected: a lock (a consumer that is preempted would stop orders), a ring per thread (threads come and go, and the
 * numbers would need merging), overwriting the oldest (the decision that led to trouble is the one that must stay).
 *
 * No Python.h, no globals, no clock. The functions that open and close are the only ones that make system calls.
 */
#ifndef TIDEGATE_DECISION_RING_H
#define TIDEGATE_DECISION_RING_H

#include "order/order.h"

#define DECISION_RING_MAGIC UINT64_C(0x474e495245444954) /* "TIDERING", little-endian */
#define DECISION_RING_VERSION 1u
#define DECISION_RING_CAPACITY_MAX (1u << 22)
#define DECISION_TEXT_BYTES 64
#define DECISION_LOSS_REASONS 64
_Static_assert((int)REASON_COUNT < DECISION_LOSS_REASONS, "the last count is of reasons that nobody knows");

enum decision_mark {
    DECISION_WARNED = 1,
    DECISION_HAS_NUMBERS = 2, /* limit, observed */
    DECISION_STALE = 4,
    DECISION_HAS_LEDGER = 8,  /* position_before, working_buy_before, working_sell_before */
    DECISION_TORN = 16,       /* its process died while writing it: nothing else in the record means anything */
};

/* One decision as it lies in the ring. Plain data, one layout on every machine that the gate is built for. */
struct decision_record {
    uint64_t seq;           /* number of the decision, from 1; numbers of neighbours may be swapped between threads */
    int64_t now_ns;         /* the gate's clock that the order was judged by */
    int64_t wall_offset_ns; /* epoch time less the gate's clock, as the shipper last told; 0 = the clock is epoch time */
    struct order order;
    int64_t limit, observed, worst_price;
    int64_t ref_price, epoch, tick_ns; /* in force; 0 = none, also of the score below */
    double score;
    int64_t position_before, working_buy_before, working_sell_before; /* lots */
    char model_id[LIMIT_MODEL_ID_BYTES];
    uint16_t reason;
    uint16_t text_length; /* of the order id as it was given; beyond DECISION_TEXT_BYTES the rest was cut off */
    uint8_t verdict, tier, marks;
    char order_text[DECISION_TEXT_BYTES]; /* UTF-8, zero padded, not terminated when full */
};

struct decision_slot {
    _Alignas(64) _Atomic uint64_t turn;
    struct decision_record record;
};
_Static_assert(sizeof(struct decision_slot) == 320, "an entry is five cache lines");

struct decision_ring_header {
    /* Line 0: fixed while the ring is open, except the offset. */
    _Alignas(64) _Atomic uint64_t magic; /* stored last: a ring half made has none */
    uint32_t version, header_size, slot_size, capacity;
    uint64_t identity; /* of this ring, given when it was made: numbers are unique within it */
    _Atomic int64_t wall_offset_ns;
    /* Line 1: producers. */
    _Alignas(64) _Atomic uint64_t numbered; /* numbers given so far */
    _Atomic uint64_t tail;                  /* positions claimed so far */
    /* Line 2: the consumer. */
    _Alignas(64) _Atomic uint64_t head; /* positions released so far */
    _Atomic uint64_t torn_slots;        /* positions claimed by a process that died before it published */
    _Atomic uint64_t torn;              /* numbers that died with their process: in torn slots, or before they had one */
    /* Touched by losses alone. */
    _Alignas(64) _Atomic uint64_t lost[DECISION_LOSS_REASONS];
};
_Static_assert(sizeof(struct decision_ring_header) % 64 == 0, "slots start on a cache line");

struct decision_ring {
    struct decision_ring_header *header;
    struct decision_slot *slots;
    uint64_t mask;
    uint64_t cursor; /* the consumer's place: read, perhaps not yet released */
    size_t size_bytes;
    int fd; /* holds the lock; -1 = private */
};

/* What is known beside order and decision. */
struct decision_context {
    int64_t now_ns;
    bool has_ledger;
    int64_t position_before, working_buy_before, working_sell_before;
    const char *order_text; /* NULL = none */
    size_t order_text_length;
};

enum decision_ring_open {
    DECISION_RING_OK = 0,
    DECISION_RING_SYSTEM,   /* errno says why */
    DECISION_RING_CAPACITY, /* no power of two, or not 2 .. DECISION_RING_CAPACITY_MAX */
    DECISION_RING_LOCKED,   /* another process has it open */
    DECISION_RING_SHAPE,    /* the file is no ring of this capacity and version */
    DECISION_RING_DAMAGED,  /* it is, and its positions contradict each other */
};

/* Open the ring at `path`, made when absent; NULL = a ring of this process alone. `identity` is of a ring that is made. */
enum decision_ring_open decision_ring_open(struct decision_ring *ring, const char *path, uint32_t capacity,
                                           uint64_t identity);

/* Give everything back; a file stays. Safe to call twice, and not while a producer is at work. */
void decision_ring_close(struct decision_ring *ring);

/* Producer, any thread: record a decision, or count it as lost (false). */
bool decision_ring_push(struct decision_ring *ring, const struct order *order, const struct decision *decision,
                        const struct decision_context *context);

/* Producer: the same in two steps, for a record that is filled in place. NULL: there was no room, and the loss is counted.
 * `seq` and `wall_offset_ns` are set; every other field must be. Between the two, no other work: the consumer waits. */
struct decision_record *decision_ring_claim(struct decision_ring *ring, unsigned reason);
void decision_ring_publish(struct decision_record *record);

/* Consumer: copy up to `max` published entries from the cursor on, and move it. Stops at one that is being written. */
size_t decision_ring_read(struct decision_ring *ring, struct decision_record *out, size_t max);

/* Consumer: give the oldest `count` entries' room back; false when so many were not read. */
bool decision_ring_release(struct decision_ring *ring, uint64_t count);

/* Consumer: read again from the oldest entry that was not released. */
void decision_ring_rewind(struct decision_ring *ring);

/* Consumer: what to add to the gate's clock for epoch time; decisions from now on carry it. */
void decision_ring_set_wall_offset(struct decision_ring *ring, int64_t wall_offset_ns);

struct decision_ring_counters {
    uint64_t numbered; /* decisions given to the ring */
    uint64_t pending;  /* published or being written, not released */
    uint64_t released;
    uint64_t lost, torn;
};
struct decision_ring_counters decision_ring_counters(const struct decision_ring *ring);

#endif
