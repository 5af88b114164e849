#include "table/limit_words.h"

#include <string.h>

/* A write takes some 30 ns and comes at 10 Hz, so one retry is rare and 64 mean a writer that died inside a write. */
#define READ_TRIES_MAX 64

enum account_word { A_OPEN_ORDERS = 8, A_REPEATS = A_OPEN_ORDERS, A_MESSAGES, A_BURST, A_PERIOD, A_DUPLICATE, A_CLASS };
_Static_assert(A_CLASS == ACCOUNT_ROW_WORDS - 2, "two counts share a word");
#define COUNT_UNLIMITED UINT32_MAX

/* A packed limit is one more than it says, and 0 is unset: zeroed memory blocks, and reading takes one subtraction. */
static uint64_t pack_floor(int64_t limit, int64_t largest)
{
    return limit < 0 ? 0 : (uint64_t)(limit > largest ? largest : limit) + 1;
}

/* The same of a limit whose larger value is the tighter: what does not fit cannot be kept tighter, so it is unset. */
static uint64_t pack_other(int64_t limit, int64_t largest)
{
    return limit < 0 || limit > largest ? 0 : (uint64_t)limit + 1;
}

static void column_pack(const int64_t limits[LIMIT_COUNT], uint64_t words[COLUMN_WORDS])
{
    for (int limit = LIMIT_ORDER_QTY; limit <= LIMIT_SHORT; limit++)
        words[C_QTY + limit] = (uint64_t)(limits[limit] < 0 ? LIMIT_UNSET : limits[limit]);
    words[C_BPS] = pack_floor(limits[LIMIT_BAND_BPS], LIMIT_BPS_MAX) |
                   pack_floor(limits[LIMIT_PERIOD_BAND_BPS], LIMIT_BPS_MAX) << BPS_BITS |
                   pack_other(limits[LIMIT_QUOTE_OFFSET_BPS], LIMIT_BPS_MAX) << 2 * BPS_BITS;
    words[C_SMALL] = pack_floor(limits[LIMIT_BAND_TICKS], LIMIT_TICKS_MAX) |
                     pack_other(limits[LIMIT_MESSAGE_WEIGHT], LIMIT_WEIGHT_MAX) << SMALL_BITS |
                     pack_other(limits[LIMIT_MARGIN], LIMIT_MARGIN_MAX) << 2 * SMALL_BITS;
}

/* 0 and what is too large are both unset, which blocks. */
static uint64_t pack_step(int64_t lots)
{
    return lots <= 0 || lots > LIMIT_QTY_STEP_MAX ? 0 : (uint64_t)lots;
}

static uint64_t flags_pack(const struct limit_row *row)
{
    uint64_t tier = row->tier > TIER_MAX ? TIER_MAX : row->tier;
    bool is_class = row->class_id <= CLASS_MAX; /* nobody can be permitted another, so it is blocked */
    return tier | (uint64_t)(is_class ? row->class_id : CLASS_MAX) << CLASS_SHIFT | (row->halted ? FLAG_HALTED : 0) |
           (row->killed || !is_class ? FLAG_KILLED : 0) | (row->stale ? FLAG_STALE : 0) |
           (row->restricted ? FLAG_RESTRICTED : 0) | (row->needs_locate ? FLAG_LOCATE : 0) |
           (uint64_t)row->warn_permille << WARN_SHIFT | (uint64_t)row->pend_permille << PEND_SHIFT;
}

static void row_pack(const struct limit_row *row, uint64_t words[LIMIT_ROW_WORDS])
{
    memset(words, 0, LIMIT_ROW_WORDS * sizeof words[0]);
    words[W_FLAGS] = flags_pack(row);
    words[W_VALID] = (uint64_t)row->valid_until_ns;
    words[W_REF_UNTIL] = (uint64_t)row->ref_until_ns;
    words[W_REF] = (uint64_t)row->ref_price;
    words[W_REF_LOW] = (uint64_t)row->ref_low;
    words[W_REF_HIGH] = (uint64_t)row->ref_high;
    words[W_TICK_SIZE] = (uint64_t)row->tick_size;
    words[W_LOT] = (uint64_t)row->lot_nano;
    words[W_QTY_STEP] = pack_step(row->qty_min) | pack_step(row->qty_step) << 32;
    column_pack(row->limits[LIMIT_ENVELOPE], &words[W_ENVELOPE]);
    column_pack(row->limits[LIMIT_DYNAMIC], &words[W_DYNAMIC]);
    column_pack(row->limits[LIMIT_STALE], &words[W_STALE]);
    words[W_EPOCH] = (uint64_t)row->epoch;
    words[W_TICK] = (uint64_t)row->tick_ns;
    memcpy(&words[W_SCORE], &row->score, sizeof row->score);
    memcpy(&words[W_MODEL], row->model_id, LIMIT_MODEL_ID_BYTES);
    words[W_WRITTEN] = (uint64_t)row->written_ns;
}

static void row_unpack(const uint64_t *words, struct limit_row *row)
{
    uint64_t flags = words[W_FLAGS];
    row->tier = (uint8_t)(flags & TIER_MAX);
    row->class_id = class_of(flags);
    row->halted = flags & FLAG_HALTED;
    row->killed = flags & FLAG_KILLED;
    row->stale = flags & FLAG_STALE;
    row->restricted = flags & FLAG_RESTRICTED;
    row->needs_locate = flags & FLAG_LOCATE;
    row->warn_permille = warn_of(flags);
    row->pend_permille = pend_of(flags);
    row->valid_until_ns = (int64_t)words[W_VALID];
    row->ref_until_ns = (int64_t)words[W_REF_UNTIL];
    row->ref_price = (int64_t)words[W_REF];
    row->ref_low = (int64_t)words[W_REF_LOW];
    row->ref_high = (int64_t)words[W_REF_HIGH];
    row->tick_size = (int64_t)words[W_TICK_SIZE];
    row->lot_nano = (int64_t)words[W_LOT];
    row->qty_min = (int64_t)(uint32_t)words[W_QTY_STEP];
    row->qty_step = (int64_t)(words[W_QTY_STEP] >> 32);
    column_unpack(&words[W_ENVELOPE], row->limits[LIMIT_ENVELOPE]);
    column_unpack(&words[W_DYNAMIC], row->limits[LIMIT_DYNAMIC]);
    column_unpack(&words[W_STALE], row->limits[LIMIT_STALE]);
    row->epoch = (int64_t)words[W_EPOCH];
    row->tick_ns = (int64_t)words[W_TICK];
    row->written_ns = (int64_t)words[W_WRITTEN];
    memcpy(&row->score, &words[W_SCORE], sizeof row->score);
    memcpy(row->model_id, &words[W_MODEL], LIMIT_MODEL_ID_BYTES);
}

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Return the slot of the instrument, or the empty slot that ends the search; NULL when there is neither. */
static inline struct limit_slot *find(const struct limit_table *table, uint32_t instrument_id)
{
    uint32_t at = limit_table_home(table, instrument_id);
    for (uint32_t step = 0; step <= table->slot_mask; step++, at++) {
        struct limit_slot *slot = &table->slots[at & table->slot_mask];
        uint32_t found = atomic_load_explicit(&slot->instrument_id, memory_order_acquire);
        if (found == instrument_id || found == 0)
            return slot;
    }
    return NULL;
}

bool limit_table_put(struct limit_table *table, const struct limit_row *row)
{
    struct limit_slot *slot = row->instrument_id == 0 ? NULL : find(table, row->instrument_id);
    if (!slot)
        return false;
    bool fresh = atomic_load_explicit(&slot->instrument_id, memory_order_relaxed) == 0;
    uint32_t row_count = atomic_load_explicit(&table->header->row_count, memory_order_relaxed);
    if (fresh && row_count >= table->header->row_count_max)
        return false;
    uint64_t words[LIMIT_ROW_WORDS];
    row_pack(row, words);
    /* Odd already when the last writer died inside a write: this write mends the row. */
    uint32_t writing = atomic_load_explicit(&slot->sequence, memory_order_relaxed) | 1u;
    atomic_store_explicit(&slot->sequence, writing, memory_order_relaxed);
    for (int i = 0; i < LIMIT_ROW_WORDS; i++) /* lines that hold nothing new stay in the readers' caches */
        if (atomic_load_explicit(&slot->words[i], memory_order_relaxed) != words[i])
            atomic_store_explicit(&slot->words[i], words[i], memory_order_release);
    atomic_store_explicit(&slot->sequence, writing + 1, memory_order_release);
    if (fresh) {
        atomic_store_explicit(&slot->instrument_id, row->instrument_id, memory_order_release);
        atomic_store_explicit(&table->header->row_count, row_count + 1, memory_order_relaxed);
    }
    return true;
}

enum limit_read limit_table_words(const struct limit_table *table, int64_t instrument_id, uint64_t words[LIMIT_ROW_WORDS],
                                  struct limit_row_seen *seen)
{
    if (instrument_id < 1 || instrument_id > UINT32_MAX)
        return LIMIT_ABSENT;
    const struct limit_slot *slot = find(table, (uint32_t)instrument_id);
    if (!slot || atomic_load_explicit(&slot->instrument_id, memory_order_relaxed) == 0)
        return LIMIT_ABSENT;
    for (int tries = 0; tries < READ_TRIES_MAX; tries++) {
        uint32_t before = atomic_load_explicit(&slot->sequence, memory_order_acquire);
        if ((before & 1u) == 0) {
#pragma GCC unroll 64
            for (int i = 0; i < WORDS_USED; i++)
                words[i] = atomic_load_explicit(&slot->words[i], memory_order_acquire);
            if (atomic_load_explicit(&slot->sequence, memory_order_relaxed) == before) {
                *seen = (struct limit_row_seen){(uint32_t)(slot - table->slots), before};
                return LIMIT_FOUND;
            }
        }
        pause_briefly();
    }
    return LIMIT_TORN;
}

enum limit_read limit_table_read(const struct limit_table *table, int64_t instrument_id, struct limit_row *row)
{
    uint64_t words[LIMIT_ROW_WORDS];
    struct limit_row_seen seen;
    enum limit_read found = limit_table_words(table, instrument_id, words, &seen);
    if (found == LIMIT_FOUND) {
        row->instrument_id = (uint32_t)instrument_id;
        row_unpack(words, row);
    }
    return found;
}

void limit_table_prefetch_all(const struct limit_table *table, int64_t instrument_id)
{
    if (instrument_id < 1 || instrument_id > UINT32_MAX)
        return;
    const char *slot = (const char *)&table->slots[limit_table_home(table, (uint32_t)instrument_id) & table->slot_mask];
    for (size_t line = 64; line < sizeof(struct limit_slot); line += 64)
        __builtin_prefetch(slot + line);
}

/* Of an account the int64 fields are one run in the struct; all but the two counts take a word each. */
#define ACCOUNT_RUN offsetof(struct account_limits, gross_value)
_Static_assert(offsetof(struct account_limits, class_mask) == ACCOUNT_RUN + 8 * ACCOUNT_LIMIT_COUNT, "no gap in it");
_Static_assert(offsetof(struct account_limits, open_orders) == ACCOUNT_RUN + 8 * A_OPEN_ORDERS, "eight before the counts");

static uint64_t count_pack(int64_t count, int64_t largest)
{
    return count == LIMIT_UNLIMITED ? COUNT_UNLIMITED : pack_floor(count, largest);
}

static int64_t count_unpack(uint32_t packed)
{
    return packed == COUNT_UNLIMITED ? LIMIT_UNLIMITED : (int64_t)packed - 1;
}

static uint64_t limit_word(int64_t limit)
{
    return (uint64_t)(limit < 0 ? LIMIT_UNSET : limit);
}

static void account_pack(const struct account_limits *limits, uint64_t words[ACCOUNT_ROW_WORDS - 1])
{
    int64_t values[A_OPEN_ORDERS];
    memcpy(values, (const char *)limits + ACCOUNT_RUN, sizeof values);
    for (int i = 0; i < A_OPEN_ORDERS; i++)
        words[i] = limit_word(values[i]);
    words[A_OPEN_ORDERS] = count_pack(limits->open_orders, LIMIT_OPEN_ORDERS_MAX) |
                           count_pack(limits->repeats_max, LIMIT_REPEATS_MAX) << 32;
    words[A_MESSAGES] = limit_word(limits->messages_per_s);
    words[A_BURST] = limit_word(limits->message_burst);
    bool is_period = limits->period_ns >= LIMIT_PERIOD_MIN_NS && limits->period_ns <= LIMIT_PERIOD_MAX_NS;
    words[A_PERIOD] = limit_word(is_period ? limits->period_ns : LIMIT_UNSET);
    words[A_DUPLICATE] = limit_word(limits->duplicate_ns);
    words[A_CLASS] = limits->class_mask;
}

static void account_unpack(const uint64_t words[ACCOUNT_ROW_WORDS - 1], struct account_limits *limits)
{
    memcpy((char *)limits + ACCOUNT_RUN, words, A_OPEN_ORDERS * sizeof words[0]);
    limits->open_orders = count_unpack((uint32_t)words[A_OPEN_ORDERS]);
    limits->repeats_max = count_unpack((uint32_t)(words[A_REPEATS] >> 32));
    limits->messages_per_s = (int64_t)words[A_MESSAGES];
    limits->message_burst = (int64_t)words[A_BURST];
    limits->period_ns = (int64_t)words[A_PERIOD];
    limits->duplicate_ns = (int64_t)words[A_DUPLICATE];
    limits->class_mask = words[A_CLASS];
}

static struct account_slot *find_account(const struct limit_table *table, uint64_t account)
{
    uint32_t at = (uint32_t)(account * UINT64_C(0x9E3779B97F4A7C15) >> table->account_shift);
    for (uint32_t step = 0; step <= table->account_mask; step++, at++) {
        struct account_slot *slot = &table->accounts[at & table->account_mask];
        uint64_t found = atomic_load_explicit(&slot->account, memory_order_acquire);
        if (found == account || found == 0)
            return slot;
    }
    return NULL;
}

bool limit_table_put_account(struct limit_table *table, const struct account_limits *limits)
{
    struct account_slot *slot = limits->account == 0 ? NULL : find_account(table, limits->account);
    if (!slot)
        return false;
    bool fresh = atomic_load_explicit(&slot->account, memory_order_relaxed) == 0;
    uint32_t count = atomic_load_explicit(&table->header->account_count, memory_order_relaxed);
    if (fresh && count >= table->header->account_count_max)
        return false;
    uint64_t words[ACCOUNT_ROW_WORDS - 1];
    account_pack(limits, words);
    atomic_fetch_or_explicit(&table->header->account_filter, UINT64_C(1) << (limits->account & 63), memory_order_release);
    uint64_t writing = atomic_load_explicit(&slot->sequence, memory_order_relaxed) | 1u;
    atomic_store_explicit(&slot->sequence, writing, memory_order_relaxed);
    for (int i = 0; i < ACCOUNT_ROW_WORDS - 1; i++)
        atomic_store_explicit(&slot->words[i], words[i], memory_order_release);
    if (fresh) { /* while the sequence is odd: who sees it even and no account, keeps for good that there is none */
        atomic_store_explicit(&slot->account, limits->account, memory_order_release);
        atomic_store_explicit(&table->header->account_count, count + 1, memory_order_relaxed);
    }
    atomic_store_explicit(&slot->sequence, writing + 1, memory_order_release);
    return true;
}

enum limit_read limit_table_see_account(const struct limit_table *table, uint64_t account, struct account_limits *limits,
                                        struct limit_account_seen *seen)
{
    const struct account_slot *slot = account == 0 ? NULL : find_account(table, account);
    *seen = (struct limit_account_seen){UINT64_MAX, 0};
    if (!slot)
        return LIMIT_ABSENT;
    seen->slot = (uint32_t)(slot - table->accounts);
    seen->sequence = atomic_load_explicit(&slot->sequence, memory_order_acquire);
    if (atomic_load_explicit(&slot->account, memory_order_acquire) != account)
        return LIMIT_ABSENT; /* a row made for it would be put into this very slot */
    for (int tries = 0; tries < READ_TRIES_MAX; tries++) {
        uint64_t before = atomic_load_explicit(&slot->sequence, memory_order_acquire);
        if ((before & 1u) == 0) {
            uint64_t words[ACCOUNT_ROW_WORDS - 1];
            for (int i = 0; i < ACCOUNT_ROW_WORDS - 1; i++)
                words[i] = atomic_load_explicit(&slot->words[i], memory_order_acquire);
            if (atomic_load_explicit(&slot->sequence, memory_order_relaxed) == before) {
                account_unpack(words, limits);
                limits->account = account;
                seen->sequence = before;
                return LIMIT_FOUND;
            }
        }
        pause_briefly();
    }
    return LIMIT_TORN;
}

enum limit_read limit_table_read_account(const struct limit_table *table, uint64_t account, struct account_limits *limits)
{
    struct limit_account_seen seen;
    return limit_table_see_account(table, account, limits, &seen);
}

bool limit_account_unchanged(const struct limit_table *table, struct limit_account_seen seen)
{
    const struct account_slot *slot = &table->accounts[seen.slot & table->account_mask];
    return atomic_load_explicit(&slot->sequence, memory_order_acquire) == seen.sequence;
}

void limit_table_kill_firm(struct limit_table *table, bool killed)
{
    atomic_store_explicit(&table->header->firm_killed, killed, memory_order_release);
}

void limit_table_heartbeat(struct limit_table *table, int64_t now_ns, int64_t epoch)
{
    atomic_store_explicit(&table->header->epoch, epoch, memory_order_release);
    atomic_store_explicit(&table->header->writer_heartbeat_ns, now_ns, memory_order_release);
}

void limit_table_set_ttl(struct limit_table *table, int64_t heartbeat_ttl_ns)
{
    atomic_store_explicit(&table->header->heartbeat_ttl_ns, heartbeat_ttl_ns, memory_order_release);
}

bool limit_table_writer_dead(const struct limit_table *table, int64_t now_ns)
{
    int64_t ttl_ns = atomic_load_explicit(&table->header->heartbeat_ttl_ns, memory_order_acquire);
    int64_t heartbeat_ns = atomic_load_explicit(&table->header->writer_heartbeat_ns, memory_order_acquire);
    if (ttl_ns <= 0)
        return false;
    int64_t silence_ns;
    if (now_ns <= 0 || __builtin_sub_overflow(now_ns, heartbeat_ns, &silence_ns))
        return true;
    return silence_ns > ttl_ns;
}

uint64_t scope_hash(const char *scope, size_t length)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)scope[i]) * UINT64_C(0x100000001b3);
    return hash ? hash : 1;
}

uint64_t pair_hash(uint64_t account, int64_t instrument_id)
{
    uint64_t mixed = account ^ (uint64_t)instrument_id * UINT64_C(0x9E3779B97F4A7C15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94D049BB133111EB);
    mixed ^= mixed >> 31;
    return mixed ? mixed : 1;
}
