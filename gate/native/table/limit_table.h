/* The limit table: what every order must respect, in memory that trading processes share.
 *
 * Two kinds of rows, each under its own sequence lock: one per instrument (three columns of limits: envelope, dynamic, stale) and
 * one per account (what people granted it). Beside them four small sets of hashes: what is blocked, what is pended and
 * approved, which throttles a person re-enabled, and where a locate was found.
 *
 * Invariants: one writer (held by a lock file beside the table), any number of readers, and a reader never acts on a mix of two
 * writes. Everything that a reader cannot be sure of (a row that will not stand still, a slot that is not there, an
 * unset limit) is reported, so that the order check can refuse.
 *
 * Sequence lock: the payload of a row is copied as 64-bit atomics, stored with release and loaded with acquire. A reader
 * that sees any word of a write in progress therefore also sees its odd sequence number afterwards. On x86 these are
 * plain moves; unlike the version with fences, it is free of data races in the C11 model and ThreadSanitizer can check it.
 *
 * Rejected: a network store (cannot answer below a microsecond), a lock (a stopped writer would stop trading), and
 * double buffering (readers would need to announce themselves, which writes to shared lines on every order).
 *
 * No Python.h, no globals, no clock: times are arguments. The functions that open and close are the only ones that
 * allocate or make system calls.
 */
#ifndef TIDEGATE_LIMIT_TABLE_H
#define TIDEGATE_LIMIT_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIMIT_TABLE_MAGIC UINT64_C(0x4554414745444954) /* "TIDEGATE", little-endian */
#define LIMIT_TABLE_VERSION 3u
#define LIMIT_TABLE_CAPACITY_MAX (1u << 24)
#define LIMIT_TABLE_ACCOUNTS_MAX (1u << 20)
#define LIMIT_SET_CAPACITY 1024
#define LIMIT_SET_SLOTS 2048 /* at most half full, so a search ends after two or three slots */
#define LIMIT_UNSET INT64_C(-1)
#define LIMIT_UNLIMITED INT64_MAX /* said on purpose; what nobody said is LIMIT_UNSET, and unset blocks */
#define LIMIT_MODEL_ID_BYTES 24

enum limit_column { LIMIT_ENVELOPE = 0, LIMIT_DYNAMIC = 1, LIMIT_STALE = 2, LIMIT_COLUMNS = 3 };

/* The limits of an instrument. Of the first LIMIT_FLOORS the smaller is the tighter, of the others the larger. */
enum instrument_limit {
    LIMIT_ORDER_QTY = 0,      /* lots of one order */
    LIMIT_ORDER_VALUE = 1,    /* 1e-6 currency of one order */
    LIMIT_LONG = 2,           /* lots: position and working buys of an account */
    LIMIT_SHORT = 3,          /* lots: working sells less position of an account */
    LIMIT_BAND_BPS = 4,       /* aggressive distance from ref_price */
    LIMIT_BAND_TICKS = 5,     /* the same in ticks of tick_size */
    LIMIT_PERIOD_BAND_BPS = 6, /* a buy above ref_low, a sell below ref_high, by so much */
    LIMIT_FLOORS = 7,
    LIMIT_QUOTE_OFFSET_BPS = 7, /* a post-only order stands at least so far behind ref_price */
    LIMIT_MESSAGE_WEIGHT = 8,   /* thousandths of a message that an order weighs in the message rate */
    LIMIT_MARGIN = 9,           /* thousandths of its value that a position takes of the credit */
    LIMIT_COUNT = 10
};

/* The largest values that the packed words hold. What is above is never kept looser than it was said: of the first
 * LIMIT_FLOORS it becomes this largest value, which is tighter; of the others, where no tighter one can be kept, it becomes
 * unset, which blocks. */
#define LIMIT_BPS_MAX INT64_C(2097150)   /* 21 bits, one value of which means unset */
#define LIMIT_TICKS_MAX INT64_C(1048574) /* 20 bits */
#define LIMIT_WEIGHT_MAX INT64_C(1048574)
#define LIMIT_MARGIN_MAX INT64_C(1048574)
#define LIMIT_OPEN_ORDERS_MAX INT64_C(4294967293) /* 32 bits, two values of which mean unset and unlimited */
#define LIMIT_REPEATS_MAX INT64_C(4294967293)
#define LIMIT_QTY_STEP_MAX INT64_C(2147483647) /* of qty_min and qty_step; above becomes 0, which blocks */
#define LIMIT_PERIOD_MIN_NS INT64_C(1000000)
#define LIMIT_PERIOD_MAX_NS INT64_C(3600000000000)

/* An instrument's row as the writer gives it and the reader gets it. */
struct limit_row {
    uint32_t instrument_id; /* 1 .. 2^32-1; 0 marks an empty slot */
    uint8_t tier;           /* 0 normal .. 3 critical: evidence, the check does not use it */
    uint8_t class_id;       /* 0 .. 63: bit of account_limits.class_mask that an account needs; above: the row is killed */
    bool halted;            /* the tier blocks every new order that is no exit */
    bool killed;            /* a person blocked the instrument */
    bool stale;             /* the scorer says that the book cannot be trusted */
    bool restricted;        /* on the firm's restricted list */
    bool needs_locate;      /* a short position needs a located quantity */
    uint16_t warn_permille; /* order quantity or value above so much of the limit in force: warn; 1000 = never */
    uint16_t pend_permille; /* above so much: wait for a second person; 1000 = never */
    int64_t limits[LIMIT_COLUMNS][LIMIT_COUNT]; /* negative = unset */
    int64_t ref_price;          /* 1e-9 currency; <= 0 = none */
    int64_t ref_low, ref_high;  /* of ref_price over the rolling period; <= 0 = none */
    int64_t ref_until_ns;       /* ref_price is too old from this time on; 0 = never was good */
    int64_t valid_until_ns;     /* the row is expired from this time on; 0 = never was fresh */
    int64_t tick_size;          /* 1e-9 currency; <= 0 = unset, which blocks */
    int64_t lot_nano;           /* 1e-9 units in a lot; value = price * qty * lot_nano; <= 0 = unset, which blocks */
    int64_t qty_min, qty_step;  /* lots; both at least 1; at most 2^31-1 */
    int64_t epoch;              /* of the risk state; 0 = none */
    int64_t tick_ns;            /* of the risk state; 0 = none */
    int64_t written_ns;         /* writer's clock at the write, for latency measurement */
    double score;               /* of the risk state */
    char model_id[LIMIT_MODEL_ID_BYTES]; /* ASCII, zero padded, not terminated when full */
};

/* What people granted an account. Values are 1e-6 currency; negative = unset, LIMIT_UNLIMITED = said on purpose. The row of the
 * firm bounds all accounts by its gross_value; that of a session, where there is one, its messages by messages_per_s and
 * message_burst. As of an account, nothing else of such a row is set, so nobody can trade under it. */
struct account_limits {
    uint64_t account;             /* scope_hash of "account:<id>", "firm" or "session:<id>"; 0 marks an empty slot */
    int64_t gross_value, net_value;
    int64_t instrument_value;     /* concentration: largest gross value in one instrument */
    int64_t credit;               /* largest sum of margins */
    int64_t day_loss, drawdown;   /* below the start of the day; below the highest of the day */
    int64_t period_value;         /* accepted within period_ns */
    int64_t basket_value;         /* accepted under one basket id */
    int64_t open_orders;
    int64_t messages_per_s, message_burst;
    int64_t repeats_max;          /* equal orders of one strategy within period_ns, before a person must look */
    int64_t period_ns;            /* of period_value and repeats_max; 1 ms to 1 h, all else becomes unset */
    int64_t duplicate_ns;         /* two equal orders closer than this are one sent twice; 0 = said on purpose: never */
    uint64_t class_mask;          /* bit c: may trade instruments of class c; 0 = none */
};
#define ACCOUNT_LIMIT_COUNT 14 /* the int64 fields in their order */

#define LIMIT_ROW_WORDS 39
#define ACCOUNT_ROW_WORDS 15

struct limit_slot {
    _Alignas(64) _Atomic uint32_t sequence; /* odd while a write is in progress; 2^31 writes at 10 Hz wrap in 6.8 years */
    _Atomic uint32_t instrument_id;         /* written once, after the first payload */
    _Atomic uint64_t words[LIMIT_ROW_WORDS];
};
struct account_slot {
    _Alignas(64) _Atomic uint64_t sequence;
    _Atomic uint64_t account; /* written once, after the first payload and before its sequence says that it stands */
    _Atomic uint64_t words[ACCOUNT_ROW_WORDS - 1];
};
_Static_assert(sizeof(struct limit_slot) == 320, "a row is five cache lines");
_Static_assert(sizeof(struct account_slot) == 128, "an account is two cache lines");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "shared memory needs lock-free atomics");

/* A set of hashes with a number each, that readers search on every order: one word of filter says "not here" in most.
 * Open addressing; a member that is dropped draws those behind it forward, so there are no tombstones and a search stays short
 * however often members change. */
struct limit_set {
    _Alignas(64) _Atomic uint64_t filter; /* bit (hash & 63) of every member */
    _Atomic uint32_t sequence;            /* odd while members change */
    _Atomic uint32_t members;
    _Atomic uint32_t overflowed;          /* a member did not fit: the reader assumes the worst of every hash */
    _Alignas(64) _Atomic uint64_t hashes[LIMIT_SET_SLOTS]; /* 0 = free */
    _Atomic int64_t numbers[LIMIT_SET_SLOTS];
};

enum limit_set_kind {
    LIMIT_SET_BLOCKED = 0,  /* scope hashes that are killed or restricted; number unused. Overflow: everything is blocked */
    LIMIT_SET_APPROVED = 1, /* pended order ids -> approved until, ns. Overflow: none is approved */
    LIMIT_SET_REARMED = 2,  /* strategy scope hashes -> how often a person re-enabled the throttle. Overflow: none was */
    LIMIT_SET_LOCATED = 3,  /* pair hash of (account, instrument) -> located lots. Overflow: none was */
    LIMIT_SETS = 4
};

struct limit_header {
    /* Line 0: fixed at creation. */
    _Alignas(64) _Atomic uint64_t magic; /* stored last: a table half made has none */
    uint32_t version, header_size, row_size, row_count_max, slot_count, account_count_max, account_slot_count;
    /* Line 1: read on every order, written when a person kills or re-arms. */
    _Alignas(64) _Atomic uint32_t firm_killed;
    _Atomic int64_t heartbeat_ttl_ns; /* a writer silent for longer is dead, and every row stale; 0 = the writer is not judged */
    _Atomic uint64_t account_filter;  /* bit (hash & 63) of every account row: without it there is no row, and none is looked for */
    /* Line 2: written by the writer's heartbeat. */
    _Alignas(64) _Atomic int64_t writer_heartbeat_ns;
    _Atomic int64_t epoch;
    _Atomic int64_t writer_pid;
    _Atomic uint32_t row_count, account_count;
    struct limit_set sets[LIMIT_SETS];
};
_Static_assert(sizeof(struct limit_header) % 64 == 0, "rows start on a cache line");

struct limit_table {
    struct limit_header *header;
    struct limit_slot *slots;
    struct account_slot *accounts;
    uint32_t slot_mask, hash_shift;
    uint32_t account_mask, account_shift;
    bool writable;
    int lock_fd; /* the writer's lock on `path`.lock; -1 for a reader and for a private table */
    size_t size_bytes;
};

struct limit_capacity {
    uint32_t instruments; /* 1 .. LIMIT_TABLE_CAPACITY_MAX */
    uint32_t accounts;    /* 1 .. LIMIT_TABLE_ACCOUNTS_MAX */
};

enum limit_open {
    LIMIT_OPEN_OK = 0,
    LIMIT_OPEN_SYSTEM,   /* errno says why */
    LIMIT_OPEN_CAPACITY, /* a capacity was 0 or above its largest */
    LIMIT_OPEN_LOCKED,   /* another writer lives */
    LIMIT_OPEN_SIZE,     /* shorter than its header says */
    LIMIT_OPEN_MAGIC,
    LIMIT_OPEN_VERSION,
    LIMIT_OPEN_ROW_SIZE,
};

enum limit_read { LIMIT_FOUND = 0, LIMIT_ABSENT, LIMIT_TORN };

/* Open a table for writing at `path`; a second writer meets the lock `path`.lock. A table of the same shape that is
 * already there is taken over in place: readers keep their mapping, rows and sets stay in force until they are written
 * again. One of another shape is replaced by a new file. */
enum limit_open limit_table_create(struct limit_table *table, const char *path, struct limit_capacity capacity);

/* Open the table at `path` for reading. On LIMIT_OPEN_MAGIC .. ROW_SIZE `*found` is the value that was there. */
enum limit_open limit_table_attach(struct limit_table *table, const char *path, uint64_t *found);

/* Make a table of this process alone. */
enum limit_open limit_table_private(struct limit_table *table, struct limit_capacity capacity);

/* Give everything back; the file stays. Safe to call twice. */
void limit_table_close(struct limit_table *table);

/* Writer only. False when the table is full and the instrument or the account has no row yet. */
bool limit_table_put(struct limit_table *table, const struct limit_row *row);
bool limit_table_put_account(struct limit_table *table, const struct account_limits *limits);

/* Copy a row. Bounded: a row that changes on every try is LIMIT_TORN. The output is set when FOUND. */
enum limit_read limit_table_read(const struct limit_table *table, int64_t instrument_id, struct limit_row *row);
enum limit_read limit_table_read_account(const struct limit_table *table, uint64_t account, struct account_limits *limits);

/* The same, for a reader that keeps what it read, also that there was no row: while `limit_account_unchanged`, the table says so. */
struct limit_account_seen {
    uint64_t sequence;
    uint32_t slot;
};
enum limit_read limit_table_see_account(const struct limit_table *table, uint64_t account, struct account_limits *limits,
                                        struct limit_account_seen *seen);
bool limit_account_unchanged(const struct limit_table *table, struct limit_account_seen seen);

/* False: there is no such row. True: there may be one. */
static inline bool limit_account_may_be(const struct limit_table *table, uint64_t account)
{
    return atomic_load_explicit(&table->header->account_filter, memory_order_acquire) >> (account & 63) & 1;
}

/* The slot where the search for an instrument begins. */
static inline uint32_t limit_table_home(const struct limit_table *table, uint32_t instrument_id)
{
    return (uint32_t)(instrument_id * UINT32_C(0x9E3779B1)) >> table->hash_shift; /* Fibonacci hashing */
}

/* Ask for the line of a row that every order reads, ahead of its use; or for the others. */
static inline void limit_table_prefetch(const struct limit_table *table, int64_t instrument_id)
{
    __builtin_prefetch(&table->slots[limit_table_home(table, (uint32_t)instrument_id) & table->slot_mask]);
}
void limit_table_prefetch_all(const struct limit_table *table, int64_t instrument_id);

/* Writer only: firm kill, the writer's sign of life, and how long it may stay away. */
void limit_table_kill_firm(struct limit_table *table, bool killed);
void limit_table_heartbeat(struct limit_table *table, int64_t now_ns, int64_t epoch);
void limit_table_set_ttl(struct limit_table *table, int64_t heartbeat_ttl_ns);

/* Writer only: members of the sets. A put of a hash that is there already changes its number. It returns false when there was no
 * room, or for hash 0: then the set is overflowed until `limit_set_fit` says that all members are listed again. */
bool limit_set_put(struct limit_table *table, enum limit_set_kind kind, uint64_t hash, int64_t number);
void limit_set_drop(struct limit_table *table, enum limit_set_kind kind, uint64_t hash);
void limit_set_fit(struct limit_table *table, enum limit_set_kind kind);

/* Writer only: put a set in order that a writer left in the middle of a change. `limit_table_create` does it. */
void limit_set_mend(struct limit_table *table, enum limit_set_kind kind);

/* Reader: whether the hash is a member, and its number (`number` may be NULL). Bounded: an overflowed set, or one that does not
 * stand still, is answered by the worst: BLOCKED has every hash, the others have none. */
bool limit_set_find(const struct limit_table *table, enum limit_set_kind kind, uint64_t hash, int64_t *number);

struct limit_member {
    uint64_t hash;
    int64_t number;
};

/* Reader: copy the members as they were at one moment. Returns their number, -1 when the set did not stand still. */
int limit_set_list(const struct limit_table *table, enum limit_set_kind kind,
                   struct limit_member members[LIMIT_SET_CAPACITY]);

/* Whether the writer is silent for longer than the header's ttl, or the clock is broken (at or below 0). Never, when the ttl is 0. */
bool limit_table_writer_dead(const struct limit_table *table, int64_t now_ns);

/* FNV-1a (64 bits; Fowler, Noll, Vo) over the bytes of a scope such as "account:A1"; 1 in place of 0, which means none. */
uint64_t scope_hash(const char *scope, size_t length);

/* The hash of an account in one instrument: per-customer restrictions, locates. The instrument times 2^64 / golden ratio,
 * exclusive-or the account, then the finisher of splitmix64 (Steele, Lea, Flood 2014); 1 in place of 0. */
uint64_t pair_hash(uint64_t account, int64_t instrument_id);

#endif
