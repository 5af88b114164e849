/* The limit table: one row of absolute limits per instrument, in memory that trading processes share.
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
 * No Python.h, no globals, no clock: times are arguments. `limit_table_open` and `limit_table_close` are the only
 * functions that allocate or make system calls.
 */
#ifndef TIDEGATE_LIMIT_TABLE_H
#define TIDEGATE_LIMIT_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIMIT_TABLE_MAGIC UINT64_C(0x4554414745444954) /* "TIDEGATE", little-endian */
#define LIMIT_TABLE_VERSION 1u
#define LIMIT_TABLE_ACCOUNTS 256
#define LIMIT_TABLE_CAPACITY_MAX (1u << 24)
#define LIMIT_UNSET INT64_C(-1)
/* Bands are packed into 21 bits each, so that all that decides fits one cache line; all ones = unset. */
#define LIMIT_BAND_BITS 21
#define LIMIT_BAND_UNSET ((UINT64_C(1) << LIMIT_BAND_BITS) - 1)
#define LIMIT_BAND_MAX ((int64_t)LIMIT_BAND_UNSET - 1)
#define LIMIT_MODEL_ID_BYTES 24
#define LIMIT_ROW_WORDS 15

enum limit_column { LIMIT_ENVELOPE = 0, LIMIT_DYNAMIC = 1, LIMIT_STALE = 2, LIMIT_COLUMNS = 3 };

/* A row as the writer gives it and the reader gets it. */
struct limit_row {
    uint32_t instrument_id;              /* 1 .. 2^32-1; 0 marks an empty slot */
    uint8_t tier;                        /* 0 normal .. 3 critical: evidence, the check does not use it */
    bool halted;                         /* the tier blocks every new order */
    bool killed;                         /* a person blocked the instrument */
    bool stale;                          /* the scorer says that the book cannot be trusted */
    int64_t qty[LIMIT_COLUMNS];          /* largest order in lots; negative = unset */
    int64_t band_bps[LIMIT_COLUMNS];     /* largest aggressive distance from ref_price; negative = unset */
    int64_t ref_price;                   /* 1e-9 currency; <= 0 = none */
    int64_t valid_until_ns;              /* the row is expired from this time on; 0 = never was fresh */
    int64_t epoch;                       /* of the risk state; 0 = none */
    int64_t tick_ns;                     /* of the risk state; 0 = none */
    int64_t written_ns;                  /* writer's clock at the write, for latency measurement */
    double score;                        /* of the risk state */
    char model_id[LIMIT_MODEL_ID_BYTES]; /* ASCII, zero padded, not terminated when full */
};

/* Shared memory: two cache lines per row. The first holds all that decides, the second the evidence. */
struct limit_slot {
    _Alignas(64) _Atomic uint32_t sequence; /* odd while a write is in progress; 2^31 writes at 10 Hz wrap in 6.8 years */
    _Atomic uint32_t instrument_id;         /* written once, after the first payload */
    _Atomic uint64_t words[LIMIT_ROW_WORDS];
};
_Static_assert(sizeof(struct limit_slot) == 128, "a row is two cache lines");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "shared memory needs lock-free atomics");

struct limit_header {
    /* Line 0: fixed at creation. */
    _Alignas(64) _Atomic uint64_t magic; /* stored last: a table half made has none */
    uint32_t version, header_size, row_size, row_count_max, slot_count, account_count_max;
    /* Line 1: read on every order, written when a person kills or re-arms. */
    _Alignas(64) _Atomic uint32_t firm_killed;
    _Atomic uint32_t accounts_overflowed; /* a kill did not fit: every account is blocked */
    _Atomic uint32_t accounts_used;       /* slots of `accounts` ever used */
    /* Line 2: written by the writer's heartbeat, apart from what orders read. */
    _Alignas(64) _Atomic int64_t epoch;
    _Atomic int64_t writer_pid;
    _Atomic int64_t writer_heartbeat_ns;
    _Atomic uint32_t row_count;
    _Alignas(64) _Atomic uint64_t accounts[LIMIT_TABLE_ACCOUNTS]; /* hashes of killed accounts, 0 = free */
};
_Static_assert(sizeof(struct limit_header) % 64 == 0, "rows start on a cache line");

struct limit_table {
    struct limit_header *header;
    struct limit_slot *slots;
    uint32_t slot_mask;
    uint32_t hash_shift;
    bool writable;
    int lock_fd; /* the writer's lock on `path`.lock; -1 for a reader and for a private table */
    size_t size_bytes;
};

enum limit_open {
    LIMIT_OPEN_OK = 0,
    LIMIT_OPEN_SYSTEM,   /* errno says why */
    LIMIT_OPEN_CAPACITY, /* capacity was 0 or above LIMIT_TABLE_CAPACITY_MAX */
    LIMIT_OPEN_LOCKED,   /* another writer lives */
    LIMIT_OPEN_SIZE,     /* shorter than its header says */
    LIMIT_OPEN_MAGIC,
    LIMIT_OPEN_VERSION,
    LIMIT_OPEN_ROW_SIZE,
};

enum limit_read { LIMIT_FOUND = 0, LIMIT_ABSENT, LIMIT_TORN };

/* Open a table for writing at `path`, for at most `capacity` instruments; a second writer meets the lock `path`.lock.
 * A table of the same shape that is already there is taken over in place: readers keep their mapping, rows and kill
 * switches stay in force until they are written again. One of another shape is replaced by a new file. */
enum limit_open limit_table_create(struct limit_table *table, const char *path, uint32_t capacity);

/* Open the table at `path` for reading. On LIMIT_OPEN_MAGIC .. ROW_SIZE `*found` is the value that was there. */
enum limit_open limit_table_attach(struct limit_table *table, const char *path, uint64_t *found);

/* Make a table of this process alone. */
enum limit_open limit_table_private(struct limit_table *table, uint32_t capacity);

/* Give everything back; the file stays. Safe to call twice. */
void limit_table_close(struct limit_table *table);

/* Write one row (writer only). Returns false when the table is full and the instrument has no row yet. */
bool limit_table_put(struct limit_table *table, const struct limit_row *row);

/* Copy the row of an instrument. Bounded: a row that changes on every try is LIMIT_TORN. `row` is set when FOUND. */
enum limit_read limit_table_read(const struct limit_table *table, int64_t instrument_id, struct limit_row *row);

/* Kill switches (writer only). `limit_table_kill_account` returns false when there was no room: then every account is
 * blocked until `limit_table_accounts_fit` says that all killed accounts are listed again. */
void limit_table_kill_firm(struct limit_table *table, bool killed);
bool limit_table_kill_account(struct limit_table *table, uint64_t account_hash);
void limit_table_rearm_account(struct limit_table *table, uint64_t account_hash);
void limit_table_accounts_fit(struct limit_table *table);

/* Return true when the firm or the account is blocked. */
bool limit_table_killed(const struct limit_table *table, uint64_t account_hash);

/* FNV-1a over the bytes of an account id, finished so that 0 (a free slot) never comes out. */
uint64_t limit_account_hash(const char *account, size_t length);

#endif
