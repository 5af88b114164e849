/* The kernel of one channel: every instrument's book and flow, and the clock that closes ticks.
 *
 * Invariants: ticks close by event time alone, so the same frames give the same rows however they are cut, and a restored
 * snapshot continues bit for bit. A tick T holds the events before T; it closes when an event or the end of a frame
 * is at or past T. Rejected: ticks per instrument (rows of one tick must compare across instruments).
 */
#ifndef TIDEGATE_KERNEL_H
#define TIDEGATE_KERNEL_H

#include "features.h"

#include <stddef.h>

#define TICK_NS INT64_C(100000000)
#define CLOCK_JUMP_NS_MAX INT64_C(60000000000) /* a longer silence without heartbeats restarts the clock */
#define INSTRUMENTS_MAX (1u << 14)


/* What an event touches stands first, in three lines; a trade touches two more. Windows and features lie elsewhere. */
struct instrument {
    uint32_t id, status; /* status: the bits that last (stale, gap, halted, bound) */
    int64_t is_due;      /* an event came since the book was last read */
    struct book book;
    struct now now;
    int64_t tick_size, lot_size;
    struct flow *flow;
    struct shape *shape;
};

_Static_assert(offsetof(struct instrument, now.renewed) == 3 * LINE, "an event touches three lines");
_Static_assert(sizeof(struct instrument) == 5 * LINE, "no instrument shares a line");

/* Room for instruments; `first`: how many came before. */
struct slab {
    uint32_t first;
    struct instrument *instruments;
    struct flow *flows;
    struct shape *shapes;
};

#define SLABS_MAX 16 /* each doubles the room */

struct place {
    uint32_t id;
    struct instrument *instrument; /* NULL: empty */
};

struct kernel_counts {
    int64_t events, ticks, frames, duplicates, gaps, clock_back, clock_jump, bound_hit;
    struct book_counts book;
};

struct kernel {
    struct instrument **instruments; /* ascending id */
    uint32_t instrument_count, instrument_capacity, map_capacity;
    uint32_t slab_count;
    struct slab slabs[SLABS_MAX];
    struct place *map;             /* by hash of the id; its capacity is a power of two, at most half full */
    struct instrument *last_found; /* events come in runs */
    int64_t last_seq;    /* -1 before the first frame */
    int64_t last_ts_ns;  /* -1 before the first frame */
    int64_t next_tick_ns;
    struct kernel_counts counts;
    struct weights weights;
    double first_share; /* first_factor_share of the last whole second */
    /* Rows of the frame in hand; they grow with the widest frame and are then kept. */
    int64_t *row_tick_ns, *row_ref_price;
    uint32_t *row_instrument_id, *row_status;
    double *row_values;
    size_t row_count, row_capacity;
};

/* A heartbeat holds neither rows nor numbers (`seq_last` = `seq_first` - 1); a signal frame holds numbers alone: here it counts
 * as events that came and moves the clock as a heartbeat does. */
struct frame {
    size_t rows;
    const int64_t *ts_event_ns, *price, *qty;
    const uint32_t *instrument_id;
    const uint8_t *kind;
    const int8_t *side;
    const uint64_t *order_id;
    int64_t seq_first, seq_last, ts_last_ns;
    int32_t flags;
};

enum kernel_result { KERNEL_OK = 0, KERNEL_DUPLICATE = 1, KERNEL_GAP = 2, KERNEL_NO_MEMORY = -1 };

struct kernel *kernel_new(void);
void kernel_free(struct kernel *kernel);

/* Apply one frame. Rows of closed ticks are in the `row_` arrays until the next call. `*expected_seq` is set on a gap. */
enum kernel_result kernel_apply(struct kernel *kernel, const struct frame *frame, int64_t *expected_seq);

/* Apply a frame event by event; write the nanoseconds and the closed rows of each. For benchmarks. */
void kernel_apply_timed(struct kernel *kernel, const struct frame *frame, uint32_t *spent_ns, uint32_t *rows);

/* Snapshot: size, then bytes. Restore returns NULL and sets `*why` when the bytes are not a snapshot of this version. */
size_t kernel_snapshot_size(const struct kernel *kernel);
void kernel_snapshot(const struct kernel *kernel, uint8_t *out);
struct kernel *kernel_restore(const uint8_t *bytes, size_t size, const char **why);

/* Between the files of the kernel. */

/* Return the instrument, made stale and empty the first time; NULL at the bound or without memory. */
struct instrument *kernel_instrument(struct kernel *kernel, uint32_t id);

/* Return the instrument, NULL when there is none. */
struct instrument *kernel_find(const struct kernel *kernel, uint32_t id);

void kernel_free_instruments(struct kernel *kernel);

/* Work out the features across instruments at a whole second; write the last ones into the rows of a tick, and beside them what
 * the features of signals are where there are none. */
void cross_second(struct kernel *kernel, int64_t tick_ns);
void cross_write(const struct kernel *kernel, size_t first_row);

/* Apply row `i` of a frame at the time that the clock has reached. */
void kernel_event(struct kernel *kernel, const struct frame *frame, size_t i);

#endif
