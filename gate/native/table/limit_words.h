/* Where a row of the limit table keeps what, and how it is packed: for the table itself and for the judgement, which reads the
 * words of a row without unpacking what an order does not ask for. */
#ifndef TIDEGATE_LIMIT_WORDS_H
#define TIDEGATE_LIMIT_WORDS_H

#include "table/limit_table.h"

/* By who asks and how often it changes. Line 0: the sequence number and what every decision quotes, so that an order judged
 * from kept terms touches this line alone. Line 1: what the market moves with every write. Lines 2 and 3: limits that people and
 * models set. Line 4: what only a stale row asks, and the time of the write. */
enum column_word { C_QTY, C_VALUE, C_LONG, C_SHORT, C_BPS, C_SMALL, COLUMN_WORDS };
enum word {
    W_FLAGS = 0,
    W_EPOCH,
    W_TICK,
    W_SCORE,
    W_MODEL,
    W_VALID = W_MODEL + LIMIT_MODEL_ID_BYTES / 8,
    W_REF_UNTIL,
    W_REF,
    W_REF_LOW,
    W_REF_HIGH,
    W_TICK_SIZE,
    W_LOT,
    W_QTY_STEP,
    W_ENVELOPE,
    W_DYNAMIC = W_ENVELOPE + COLUMN_WORDS + 2,
    W_STALE = W_DYNAMIC + COLUMN_WORDS + 2,
    W_WRITTEN = W_STALE + COLUMN_WORDS,
    WORDS_USED
};
#define LINE_OF(word) ((offsetof(struct limit_slot, words) + (word) * 8) / 64)
_Static_assert(WORDS_USED <= LIMIT_ROW_WORDS, "a row fits its slot");
_Static_assert(LINE_OF(W_VALID - 1) == 0 && LINE_OF(W_VALID) == 1 && LINE_OF(W_QTY_STEP) == 1, "lines 0 and 1");
_Static_assert(LINE_OF(W_ENVELOPE) == 2 && LINE_OF(W_DYNAMIC) == 3 && LINE_OF(W_STALE) == 4, "lines 2 to 4");

enum flag {
    FLAG_HALTED = 1 << 8,
    FLAG_KILLED = 1 << 9,
    FLAG_STALE = 1 << 10,
    FLAG_RESTRICTED = 1 << 11,
    FLAG_LOCATE = 1 << 12
};
#define TIER_MAX 3
#define CLASS_MAX 63
#define CLASS_SHIFT 2
#define WARN_SHIFT 16
#define PEND_SHIFT 32
#define BPS_BITS 21
#define SMALL_BITS 20


static inline int64_t unpack(uint64_t word, int place, int bits)
{
    return (int64_t)(word >> (place * bits) & ((UINT64_C(1) << bits) - 1)) - 1;
}

static inline void column_unpack(const uint64_t words[COLUMN_WORDS], int64_t limits[LIMIT_COUNT])
{
    for (int limit = LIMIT_ORDER_QTY; limit <= LIMIT_SHORT; limit++)
        limits[limit] = (int64_t)words[C_QTY + limit];
    limits[LIMIT_BAND_BPS] = unpack(words[C_BPS], 0, BPS_BITS);
    limits[LIMIT_PERIOD_BAND_BPS] = unpack(words[C_BPS], 1, BPS_BITS);
    limits[LIMIT_QUOTE_OFFSET_BPS] = unpack(words[C_BPS], 2, BPS_BITS);
    limits[LIMIT_BAND_TICKS] = unpack(words[C_SMALL], 0, SMALL_BITS);
    limits[LIMIT_MESSAGE_WEIGHT] = unpack(words[C_SMALL], 1, SMALL_BITS);
    limits[LIMIT_MARGIN] = unpack(words[C_SMALL], 2, SMALL_BITS);
}

static inline uint8_t class_of(uint64_t flags)
{
    return (uint8_t)(flags >> CLASS_SHIFT & CLASS_MAX);
}

static inline uint16_t warn_of(uint64_t flags)
{
    return (uint16_t)(flags >> WARN_SHIFT);
}

static inline uint16_t pend_of(uint64_t flags)
{
    return (uint16_t)(flags >> PEND_SHIFT);
}

/* Where a row was read and at which sequence number: while that stands, so does all that was read. */
struct limit_row_seen {
    uint32_t slot, sequence;
};

/* Copy the words of a row, as limit_table_read does; what is behind WORDS_USED is not set. */
enum limit_read limit_table_words(const struct limit_table *table, int64_t instrument_id, uint64_t words[LIMIT_ROW_WORDS],
                                  struct limit_row_seen *seen);

static inline bool limit_row_unchanged(const struct limit_table *table, struct limit_row_seen seen)
{
    const struct limit_slot *slot = &table->slots[seen.slot & table->slot_mask];
    return atomic_load_explicit(&slot->sequence, memory_order_acquire) == seen.sequence;
}

#endif
