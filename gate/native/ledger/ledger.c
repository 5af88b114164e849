#define _GNU_SOURCE
#include "ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ACCOUNTS_MAX 4096u
#define PLACES_MAX (1u << 20)

/* One bucket of the table of order ids: the first order of its chain, and a bit that locks it. */
#define BUCKET_LOCKED UINT32_C(0x80000000)
#define BUCKET_EMPTY UINT32_C(0x7FFFFFFF)

static uint32_t slots_for(uint32_t capacity)
{
    uint32_t slots = 2;
    while (slots < capacity + capacity / 2 + 1)
        slots *= 2;
    return slots;
}

static size_t round_up(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

struct layout {
    size_t session_rates, accounts, quicks, positions, orders, buckets, end;
};

static struct layout layout_of(const struct ledger *ledger)
{
    struct layout at;
    at.session_rates = round_up(sizeof *ledger);
    at.accounts = at.session_rates + SESSION_RATES * sizeof(struct session_rate);
    at.quicks = at.accounts + ledger->account_slots * sizeof(struct account);
    at.positions = at.quicks + ledger->position_slots * sizeof(struct quick);
    at.orders = round_up(at.positions + ledger->position_slots * sizeof(struct position));
    at.buckets = round_up(at.orders + (size_t)ledger->order_count * sizeof(struct working));
    at.end = at.buckets + ledger->bucket_count * sizeof(uint32_t);
    return at;
}

struct session_rate *ledger_session_rates(struct ledger *ledger)
{
    return (struct session_rate *)((char *)ledger + round_up(sizeof *ledger));
}

struct account *ledger_accounts(struct ledger *ledger)
{
    return (struct account *)(ledger_session_rates(ledger) + SESSION_RATES);
}

struct quick *ledger_quicks(struct ledger *ledger)
{
    return (struct quick *)(ledger_accounts(ledger) + ledger->account_slots);
}

struct position *ledger_positions(struct ledger *ledger)
{
    return (struct position *)(ledger_quicks(ledger) + ledger->position_slots);
}

struct position *ledger_position_of(struct ledger *ledger, const struct quick *quick)
{
    return &ledger_positions(ledger)[quick - ledger_quicks(ledger)];
}

struct quick *ledger_quick_of(struct ledger *ledger, const struct position *position)
{
    return &ledger_quicks(ledger)[position - ledger_positions(ledger)];
}

struct working *ledger_orders(struct ledger *ledger)
{
    return (struct working *)(ledger_positions(ledger) + ledger->position_slots);
}

static _Atomic uint32_t *buckets_of(struct ledger *ledger)
{
    return (_Atomic uint32_t *)((char *)ledger + layout_of(ledger).buckets);
}

_Static_assert(sizeof(struct position) % 64 == 0 && sizeof(struct account) % 64 == 0, "orders follow without a hole");

/* The header that a ledger of these sizes has. */
static struct ledger header_of(struct gate_sizes sizes)
{
    struct ledger ledger;
    memset(&ledger, 0, sizeof ledger);
    ledger.magic = LEDGER_MAGIC;
    ledger.version = LEDGER_VERSION;
    ledger.sizes = sizes;
    ledger.account_slots = slots_for(sizes.accounts);
    ledger.position_slots = slots_for(sizes.positions);
    ledger.order_count = sizes.orders + sizes.accounts * RECENT_ORDERS; /* closed ones are remembered for a while */
    ledger.bucket_count = slots_for(ledger.order_count);
    ledger.size_bytes = layout_of(&ledger).end;
    return ledger;
}

/* ---- orders: pool and chains ---- */

static uint32_t bucket_of(const struct ledger *ledger, uint64_t account_hash, uint64_t order_id)
{
    return (uint32_t)(id_hash(account_hash, order_id) >> 32) & (ledger->bucket_count - 1);
}

static uint32_t bucket_lock(_Atomic uint32_t *bucket)
{
    for (;;) {
        uint32_t head = atomic_load_explicit(bucket, memory_order_relaxed);
        if (!(head & BUCKET_LOCKED) && atomic_compare_exchange_weak_explicit(bucket, &head, head | BUCKET_LOCKED,
                                                                              memory_order_acquire, memory_order_relaxed))
            return head;
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
}

static void bucket_unlock(_Atomic uint32_t *bucket, uint32_t head)
{
    atomic_store_explicit(bucket, head, memory_order_release);
}

struct working *ledger_order(struct ledger *ledger, uint64_t account_hash, uint64_t order_id)
{
    _Atomic uint32_t *bucket = &buckets_of(ledger)[bucket_of(ledger, account_hash, order_id)];
    if (atomic_load_explicit(bucket, memory_order_relaxed) == BUCKET_EMPTY)
        return NULL; /* what this account has put here, it sees: its lock orders that */
    struct working *orders = ledger_orders(ledger), *found = NULL;
    uint32_t head = bucket_lock(bucket);
    for (uint32_t at = head; at != BUCKET_EMPTY; at = orders[at].chain)
        if (orders[at].order_id == order_id && orders[at].account_hash == account_hash) {
            found = &orders[at];
            break;
        }
    bucket_unlock(bucket, head);
    return found;
}

/* Count an order's id among those that the account may know, or no more; a count that ran full stays. */
static void know(struct account *account, uint64_t order_id, int by)
{
    uint8_t *known = &account->known[id_hash(atomic_load_explicit(&account->hash, memory_order_relaxed), order_id) >> 52];
    if (*known != UINT8_MAX)
        *known = (uint8_t)(*known + by);
}

struct working *ledger_take(struct ledger *ledger, struct account *account, uint64_t order_id)
{
    struct working *orders = ledger_orders(ledger);
    uint64_t account_hash = atomic_load_explicit(&account->hash, memory_order_relaxed);
    spin_lock(&ledger->pool_lock);
    uint32_t taken = ledger->free_order;
    if (taken != NONE) {
        ledger->free_order = orders[taken].next;
        __atomic_store_n(&ledger->free_count, ledger->free_count - 1, __ATOMIC_RELAXED);
    }
    spin_unlock(&ledger->pool_lock);
    if (taken == NONE)
        return NULL;
    struct working *order = &orders[taken];
    order->order_id = order_id;
    __atomic_store_n(&order->account_hash, account_hash, __ATOMIC_RELAXED);
    order->next = order->previous = order->partner = NONE;
    _Atomic uint32_t *bucket = &buckets_of(ledger)[bucket_of(ledger, account_hash, order_id)];
    order->chain = bucket_lock(bucket);
    bucket_unlock(bucket, taken);
    know(account, order_id, 1);
    return order;
}

void ledger_give(struct ledger *ledger, struct account *account, struct working *order)
{
    know(account, order->order_id, -1);
    struct working *orders = ledger_orders(ledger);
    uint32_t index = order_index(ledger, order);
    _Atomic uint32_t *bucket = &buckets_of(ledger)[bucket_of(ledger, order->account_hash, order->order_id)];
    uint32_t head = bucket_lock(bucket);
    if (head == index) {
        head = order->chain;
    } else {
        uint32_t at = head;
        while (at != BUCKET_EMPTY && orders[at].chain != index)
            at = orders[at].chain;
        if (at != BUCKET_EMPTY)
            orders[at].chain = order->chain;
    }
    bucket_unlock(bucket, head);
    order_become(order, ORDER_FREE);
    spin_lock(&ledger->pool_lock);
    order->next = ledger->free_order;
    ledger->free_order = index;
    __atomic_store_n(&ledger->free_count, ledger->free_count + 1, __ATOMIC_RELAXED);
    spin_unlock(&ledger->pool_lock);
}

void ledger_chain_orders(struct ledger *ledger)
{
    struct working *orders = ledger_orders(ledger);
    _Atomic uint32_t *buckets = buckets_of(ledger);
    for (uint32_t i = 0; i < ledger->bucket_count; i++)
        atomic_store_explicit(&buckets[i], BUCKET_EMPTY, memory_order_relaxed);
    for (uint32_t i = 0; i < ledger->account_slots; i++)
        memset(ledger_accounts(ledger)[i].known, 0, KNOWN_IDS);
    ledger->free_order = NONE;
    ledger->free_count = 0;
    atomic_store_explicit(&ledger->pool_lock, 0, memory_order_relaxed);
    for (uint32_t i = ledger->order_count; i-- > 0;) {
        if (orders[i].state == ORDER_FREE) {
            orders[i].next = ledger->free_order;
            ledger->free_order = i;
            ledger->free_count++;
        } else {
            _Atomic uint32_t *bucket = &buckets[bucket_of(ledger, orders[i].account_hash, orders[i].order_id)];
            orders[i].chain = atomic_load_explicit(bucket, memory_order_relaxed);
            atomic_store_explicit(bucket, i, memory_order_relaxed);
            know(&ledger_accounts(ledger)[orders[i].account], orders[i].order_id, 1);
        }
    }
}

/* ---- accounts and positions ---- */

/* Take the free place `key` with `value`, or see who took it; return what stands there now. */
static uint64_t claim(_Atomic uint64_t *key, uint64_t value)
{
    uint64_t found = 0;
    return atomic_compare_exchange_strong_explicit(key, &found, value, memory_order_acq_rel, memory_order_acquire) ? value
                                                                                                                    : found;
}

/* Count one more while there is room. */
static bool count_up(_Atomic uint32_t *count, uint32_t largest)
{
    uint32_t held = atomic_load_explicit(count, memory_order_relaxed);
    while (held < largest)
        if (atomic_compare_exchange_weak_explicit(count, &held, held + 1, memory_order_relaxed, memory_order_relaxed))
            return true;
    return false;
}

struct account *ledger_account(struct ledger *ledger, uint64_t hash, bool make)
{
    struct account *accounts = ledger_accounts(ledger);
    uint32_t mask = ledger->account_slots - 1;
    bool counted = false;
    for (uint32_t at = (uint32_t)(hash >> 32);; at++) {
        struct account *account = &accounts[at & mask];
        uint64_t found = atomic_load_explicit(&account->hash, memory_order_acquire);
        if (found == 0) {
            if (!make || (!counted && !count_up(&ledger->account_count, ledger->sizes.accounts)))
                return NULL;
            counted = true;
            found = claim(&account->hash, hash);
            if (found == hash)
                return account;
        }
        if (found == hash) {
            if (counted) /* another thread made it first */
                atomic_fetch_sub_explicit(&ledger->account_count, 1, memory_order_relaxed);
            return account;
        }
    }
}

static uint64_t position_key(struct ledger *ledger, const struct account *account, int64_t instrument_id)
{
    uint64_t index = (uint64_t)(account - ledger_accounts(ledger));
    return (index + 1) << 32 | (uint64_t)instrument_id;
}

struct position *ledger_position(struct ledger *ledger, struct account *account, int64_t instrument_id, bool make)
{
    struct position *positions = ledger_positions(ledger);
    uint64_t key = position_key(ledger, account, instrument_id);
    uint32_t mask = ledger->position_slots - 1;
    for (uint32_t at = position_hash(key);; at++) { /* one account's positions are made under its lock: no twin */
        struct position *position = &positions[at & mask];
        uint64_t found = atomic_load_explicit(&position->key, memory_order_acquire);
        if (found == key)
            return position;
        if (found == 0) {
            if (!make || !count_up(&ledger->position_count, ledger->sizes.positions))
                return NULL;
            if (claim(&position->key, key) == key) {
                position->buys = position->sells = NONE;
                position->margin_weight = 1000;
                position->next_of_account = account->positions;
                account->positions = (uint32_t)(position - positions) + 1;
                return position;
            }
            atomic_fetch_sub_explicit(&ledger->position_count, 1, memory_order_relaxed);
            at--; /* somebody took the place: look at it again */
        }
    }
}

struct position *ledger_next_position(struct ledger *ledger, const struct account *account, const struct position *after)
{
    uint32_t next = after ? after->next_of_account : account->positions;
    return next ? &ledger_positions(ledger)[next - 1] : NULL;
}

bool ledger_has_room(const struct ledger *ledger, bool for_account)
{
    if (for_account && atomic_load_explicit(&ledger->account_count, memory_order_relaxed) >= ledger->sizes.accounts)
        return false;
    return atomic_load_explicit(&ledger->position_count, memory_order_relaxed) < ledger->sizes.positions;
}

void ledger_prefetch(struct ledger *ledger, const struct account *account, int64_t instrument_id, uint64_t order_id)
{
    uint32_t at = position_hash(position_key(ledger, account, instrument_id)) & (ledger->position_slots - 1);
    const char *position = (const char *)&ledger_positions(ledger)[at];
    for (size_t line = 0; line < sizeof(struct position); line += 64)
        __builtin_prefetch(position + line, 1);
    __builtin_prefetch(&buckets_of(ledger)[bucket_of(ledger, atomic_load_explicit(&account->hash, memory_order_relaxed), order_id)], 1);
}

void account_begin(struct account *account)
{
    uint32_t changing = atomic_load_explicit(&account->changing, memory_order_relaxed); /* under the lock: no race */
    atomic_store_explicit(&account->changing, changing + 1, memory_order_relaxed);
    account->has_room = 0;
    atomic_signal_fence(memory_order_seq_cst); /* a crash of the process leaves memory as this thread wrote it */
}

void account_end(struct account *account)
{
    uint32_t changing = atomic_load_explicit(&account->changing, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&account->changing, changing + 1, memory_order_release);
}

/* ---- the file ---- */

void ledger_fresh_account(struct account *account)
{
    memset(account, 0, sizeof *account);
    account->reconciled = 1;
    for (int k = 0; k < RECENT_ORDERS; k++)
        account->recent[k] = NONE;
}

static void fresh(struct ledger *ledger, const struct ledger *header)
{
    memcpy(ledger, header, sizeof *header);
    for (uint32_t i = 0; i < ledger->account_slots; i++)
        ledger_fresh_account(&ledger_accounts(ledger)[i]);
    ledger_chain_orders(ledger);
}

/* Whether nothing was ever kept in it: its maker died before it was named. */
static bool is_blank(struct ledger *ledger)
{
    struct account *accounts = ledger_accounts(ledger);
    for (uint32_t i = 0; i < ledger->account_slots; i++)
        if (atomic_load_explicit(&accounts[i].hash, memory_order_relaxed) != 0)
            return false;
    return true;
}

static bool same_shape(const struct ledger *a, const struct ledger *b)
{
    return a->version == b->version && a->account_slots == b->account_slots && a->position_slots == b->position_slots &&
           a->bucket_count == b->bucket_count && a->order_count == b->order_count && a->size_bytes == b->size_bytes &&
           memcmp(&a->sizes, &b->sizes, sizeof a->sizes) == 0;
}

static enum gate_open map_ledger(struct gate *gate, int fd, const struct ledger *header)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return GATE_OPEN_SYSTEM;
    if (info.st_size == 0) {
        int failed = posix_fallocate(fd, 0, (off_t)header->size_bytes); /* a full disk must fail here, not by a signal */
        if (failed) {
            errno = failed;
            return GATE_OPEN_SYSTEM;
        }
    } else if ((uint64_t)info.st_size != header->size_bytes) {
        return GATE_OPEN_LEDGER_SHAPE;
    }
    void *memory = mmap(NULL, header->size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return GATE_OPEN_SYSTEM;
    struct ledger *ledger = memory;
    if (ledger->magic == 0) { /* new, or its maker died: the size is ours, so the tables are where they will be */
        struct ledger unnamed = *header;
        unnamed.magic = 0;
        memcpy(ledger, &unnamed, sizeof unnamed);
        if (!is_blank(ledger)) {
            munmap(memory, header->size_bytes);
            return GATE_OPEN_LEDGER_SHAPE;
        }
        memset(memory, 0, header->size_bytes);
        fresh(ledger, &unnamed);
        ledger->magic = LEDGER_MAGIC;
    } else if (ledger->magic != LEDGER_MAGIC || !same_shape(ledger, header) || !ledger_adopt(ledger)) {
        munmap(memory, header->size_bytes);
        return GATE_OPEN_LEDGER_SHAPE;
    }
    (void)madvise(memory, header->size_bytes, MADV_HUGEPAGE);
    gate->ledger = ledger;
    gate->ledger_bytes = header->size_bytes;
    return GATE_OPEN_OK;
}

static void find_tables(struct gate *gate)
{
    gate->accounts = ledger_accounts(gate->ledger);
    gate->quicks = ledger_quicks(gate->ledger);
    gate->account_mask = gate->ledger->account_slots - 1;
    gate->position_mask = gate->ledger->position_slots - 1;
}

static bool fits(uint32_t size, uint32_t largest)
{
    return size >= 1 && size <= largest;
}

enum gate_open ledger_open(struct gate *gate, const char *path, struct gate_sizes sizes)
{
    gate->ledger = NULL;
    gate->ledger_fd = -1;
    if (!fits(sizes.accounts, ACCOUNTS_MAX) || !fits(sizes.positions, PLACES_MAX) || !fits(sizes.orders, PLACES_MAX))
        return GATE_OPEN_SIZES;
    struct ledger header = header_of(sizes);
    if (!path) {
        void *memory = mmap(NULL, header.size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            return GATE_OPEN_SYSTEM;
        (void)madvise(memory, header.size_bytes, MADV_HUGEPAGE); /* an order touches a dozen pages: fewer misses of the TLB */
        gate->ledger = memory;
        gate->ledger_bytes = header.size_bytes;
        fresh(gate->ledger, &header);
        find_tables(gate);
        return GATE_OPEN_OK;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return GATE_OPEN_SYSTEM;
    enum gate_open result;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        result = errno == EWOULDBLOCK ? GATE_OPEN_LEDGER_LOCKED : GATE_OPEN_SYSTEM;
    else
        result = map_ledger(gate, fd, &header);
    if (result == GATE_OPEN_OK) {
        find_tables(gate);
        gate->ledger_fd = fd;
    } else {
        int saved = errno;
        close(fd);
        errno = saved;
    }
    return result;
}

void ledger_close(struct gate *gate)
{
    if (gate->ledger)
        munmap(gate->ledger, gate->ledger_bytes);
    if (gate->ledger_fd >= 0)
        close(gate->ledger_fd);
    gate->ledger = NULL;
    gate->ledger_fd = -1;
}
