#define _GNU_SOURCE
#include "limit_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A write takes some 20 ns and comes at 10 Hz, so one retry is rare and 64 mean a writer that died inside a write. */
#define READ_TRIES_MAX 64
#define PATH_BYTES_MAX 4096

enum flag { FLAG_HALTED = 1 << 8, FLAG_KILLED = 1 << 9, FLAG_STALE = 1 << 10 };
enum word { W_FLAGS, W_REF, W_VALID, W_QTY, W_BANDS = W_QTY + 3, W_EPOCH, W_TICK, W_SCORE, W_WRITTEN, W_MODEL };
_Static_assert(W_MODEL + LIMIT_MODEL_ID_BYTES / 8 == LIMIT_ROW_WORDS - 1, "one word is spare");
_Static_assert(offsetof(struct limit_slot, words) + (W_BANDS + 1) * 8 == 64, "what decides fits the first line");

static uint64_t band_pack(int64_t bps)
{
    if (bps < 0)
        return LIMIT_BAND_UNSET;
    return (uint64_t)(bps > LIMIT_BAND_MAX ? LIMIT_BAND_MAX : bps); /* tighter, never looser */
}

static int64_t band_unpack(uint64_t packed, int column)
{
    uint64_t bps = packed >> (column * LIMIT_BAND_BITS) & LIMIT_BAND_UNSET;
    return bps == LIMIT_BAND_UNSET ? LIMIT_UNSET : (int64_t)bps;
}

static void row_pack(const struct limit_row *row, uint64_t words[LIMIT_ROW_WORDS])
{
    memset(words, 0, LIMIT_ROW_WORDS * sizeof words[0]);
    words[W_FLAGS] = (uint64_t)(row->tier & 3) | (row->halted ? FLAG_HALTED : 0) | (row->killed ? FLAG_KILLED : 0) |
                     (row->stale ? FLAG_STALE : 0);
    words[W_REF] = (uint64_t)row->ref_price;
    words[W_VALID] = (uint64_t)row->valid_until_ns;
    for (int column = 0; column < LIMIT_COLUMNS; column++) {
        words[W_QTY + column] = (uint64_t)(row->qty[column] < 0 ? LIMIT_UNSET : row->qty[column]);
        words[W_BANDS] |= band_pack(row->band_bps[column]) << (column * LIMIT_BAND_BITS);
    }
    words[W_EPOCH] = (uint64_t)row->epoch;
    words[W_TICK] = (uint64_t)row->tick_ns;
    memcpy(&words[W_SCORE], &row->score, sizeof row->score);
    words[W_WRITTEN] = (uint64_t)row->written_ns;
    memcpy(&words[W_MODEL], row->model_id, LIMIT_MODEL_ID_BYTES);
}

static void row_unpack(const uint64_t words[LIMIT_ROW_WORDS], struct limit_row *row)
{
    row->tier = (uint8_t)(words[W_FLAGS] & 3);
    row->halted = words[W_FLAGS] & FLAG_HALTED;
    row->killed = words[W_FLAGS] & FLAG_KILLED;
    row->stale = words[W_FLAGS] & FLAG_STALE;
    row->ref_price = (int64_t)words[W_REF];
    row->valid_until_ns = (int64_t)words[W_VALID];
    for (int column = 0; column < LIMIT_COLUMNS; column++) {
        row->qty[column] = (int64_t)words[W_QTY + column];
        row->band_bps[column] = band_unpack(words[W_BANDS], column);
    }
    row->epoch = (int64_t)words[W_EPOCH];
    row->tick_ns = (int64_t)words[W_TICK];
    memcpy(&row->score, &words[W_SCORE], sizeof row->score);
    row->written_ns = (int64_t)words[W_WRITTEN];
    memcpy(row->model_id, &words[W_MODEL], LIMIT_MODEL_ID_BYTES);
}

static uint32_t slots_for(uint32_t capacity)
{
    uint32_t slots = 2;
    while (slots < capacity + capacity / 2 + 1) /* at most two thirds full, and an empty slot ends every search */
        slots *= 2;
    return slots;
}

static size_t size_for(uint32_t slot_count)
{
    return sizeof(struct limit_header) + (size_t)slot_count * sizeof(struct limit_slot);
}

static void bind(struct limit_table *table, void *memory, uint32_t slot_count)
{
    table->header = memory;
    table->slots = (struct limit_slot *)((char *)memory + sizeof(struct limit_header));
    table->slot_mask = slot_count - 1;
    table->hash_shift = 32 - (uint32_t)__builtin_ctz(slot_count);
    table->size_bytes = size_for(slot_count);
}

static void header_init(struct limit_header *header, uint32_t capacity)
{
    header->version = LIMIT_TABLE_VERSION;
    header->header_size = sizeof(struct limit_header);
    header->row_size = sizeof(struct limit_slot);
    header->row_count_max = capacity;
    header->slot_count = slots_for(capacity);
    header->account_count_max = LIMIT_TABLE_ACCOUNTS;
    atomic_store_explicit(&header->magic, LIMIT_TABLE_MAGIC, memory_order_release);
}

/* Say whether mapped bytes are a table that this code can use. */
static enum limit_open header_check(const struct limit_header *header, size_t size_bytes, uint64_t *found)
{
    if (size_bytes < sizeof *header) {
        *found = size_bytes;
        return LIMIT_OPEN_SIZE;
    }
    *found = atomic_load_explicit(&header->magic, memory_order_acquire);
    if (*found != LIMIT_TABLE_MAGIC)
        return LIMIT_OPEN_MAGIC;
    *found = header->version;
    if (header->version != LIMIT_TABLE_VERSION)
        return LIMIT_OPEN_VERSION;
    *found = header->row_size;
    if (header->row_size != sizeof(struct limit_slot) || header->header_size != sizeof *header ||
        header->account_count_max != LIMIT_TABLE_ACCOUNTS)
        return LIMIT_OPEN_ROW_SIZE;
    *found = size_bytes;
    bool sound = header->row_count_max > 0 && header->row_count_max <= LIMIT_TABLE_CAPACITY_MAX &&
                 header->slot_count == slots_for(header->row_count_max) && size_bytes == size_for(header->slot_count);
    return sound ? LIMIT_OPEN_OK : LIMIT_OPEN_SIZE;
}

/* Map an open file. On any result but OK nothing stays mapped. */
static enum limit_open map_file(struct limit_table *table, int fd, bool writable, uint64_t *found)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return LIMIT_OPEN_SYSTEM;
    size_t size_bytes = (size_t)info.st_size;
    if (size_bytes < sizeof(struct limit_header)) {
        *found = size_bytes;
        return LIMIT_OPEN_SIZE;
    }
    void *memory = mmap(NULL, size_bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return LIMIT_OPEN_SYSTEM;
    enum limit_open result = header_check(memory, size_bytes, found);
    if (result != LIMIT_OPEN_OK) {
        munmap(memory, size_bytes);
        return result;
    }
    bind(table, memory, ((struct limit_header *)memory)->slot_count);
    table->writable = writable;
    return LIMIT_OPEN_OK;
}

/* Write "<path><suffix>" into `out`. */
static bool path_with(char *out, size_t size, const char *path, const char *suffix)
{
    if ((size_t)snprintf(out, size, "%s%s", path, suffix) < size)
        return true;
    errno = ENAMETOOLONG;
    return false;
}

/* Make the file beside `path`, whole, then put it in its place: a reader never sees a table half made. */
static enum limit_open replace_file(const char *path, uint32_t capacity)
{
    char fresh[PATH_BYTES_MAX];
    if (!path_with(fresh, sizeof fresh, path, ".new"))
        return LIMIT_OPEN_SYSTEM;
    int fd = open(fresh, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return LIMIT_OPEN_SYSTEM;
    size_t size_bytes = size_for(slots_for(capacity));
    /* Allocated, not only sized: a full /dev/shm must fail here and not by a signal at the first write. */
    int failed = posix_fallocate(fd, 0, (off_t)size_bytes);
    void *memory = failed ? MAP_FAILED : mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory != MAP_FAILED) {
        header_init(memory, capacity);
        munmap(memory, size_bytes);
        failed = rename(fresh, path) == 0 ? 0 : errno;
    } else if (!failed) {
        failed = errno;
    }
    if (failed)
        unlink(fresh);
    close(fd);
    errno = failed;
    return failed ? LIMIT_OPEN_SYSTEM : LIMIT_OPEN_OK;
}

/* Take the lock beside `path`: a file of its own, so that the table may be replaced while it is held. */
static enum limit_open take_lock(const char *path, int *lock_fd)
{
    char lock[PATH_BYTES_MAX];
    if (!path_with(lock, sizeof lock, path, ".lock"))
        return LIMIT_OPEN_SYSTEM;
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return LIMIT_OPEN_SYSTEM;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        *lock_fd = fd;
        return LIMIT_OPEN_OK;
    }
    int saved = errno;
    close(fd);
    errno = saved;
    return saved == EWOULDBLOCK ? LIMIT_OPEN_LOCKED : LIMIT_OPEN_SYSTEM;
}

static enum limit_open map_path(struct limit_table *table, const char *path, bool writable, uint64_t *found)
{
    int fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (fd < 0)
        return LIMIT_OPEN_SYSTEM;
    enum limit_open result = map_file(table, fd, writable, found);
    int saved = errno;
    close(fd); /* the mapping stays */
    errno = saved;
    return result;
}

static void table_clear(struct limit_table *table)
{
    memset(table, 0, sizeof *table);
    table->lock_fd = -1;
}

enum limit_open limit_table_create(struct limit_table *table, const char *path, uint32_t capacity)
{
    uint64_t found;
    int lock_fd = -1;
    table_clear(table);
    if (capacity == 0 || capacity > LIMIT_TABLE_CAPACITY_MAX)
        return LIMIT_OPEN_CAPACITY;
    enum limit_open result = take_lock(path, &lock_fd);
    if (result != LIMIT_OPEN_OK)
        return result;
    result = map_path(table, path, true, &found);
    bool absent = result == LIMIT_OPEN_SYSTEM && errno == ENOENT;
    bool other_shape = result == LIMIT_OPEN_VERSION || result == LIMIT_OPEN_ROW_SIZE ||
                       (result == LIMIT_OPEN_OK && table->header->row_count_max != capacity);
    if (absent || other_shape) { /* a file that is no table of ours is left alone: the path may be a typing error */
        limit_table_close(table);
        result = replace_file(path, capacity);
        if (result == LIMIT_OPEN_OK)
            result = map_path(table, path, true, &found);
    }
    if (result != LIMIT_OPEN_OK) {
        int saved = errno;
        close(lock_fd);
        errno = saved;
        return result;
    }
    table->lock_fd = lock_fd;
    atomic_store_explicit(&table->header->writer_pid, (int64_t)getpid(), memory_order_release);
    return LIMIT_OPEN_OK;
}

enum limit_open limit_table_attach(struct limit_table *table, const char *path, uint64_t *found)
{
    table_clear(table);
    *found = 0;
    return map_path(table, path, false, found);
}

enum limit_open limit_table_private(struct limit_table *table, uint32_t capacity)
{
    table_clear(table);
    if (capacity == 0 || capacity > LIMIT_TABLE_CAPACITY_MAX)
        return LIMIT_OPEN_CAPACITY;
    uint32_t slot_count = slots_for(capacity);
    void *memory = mmap(NULL, size_for(slot_count), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return LIMIT_OPEN_SYSTEM;
    header_init(memory, capacity);
    bind(table, memory, slot_count);
    table->writable = true;
    return LIMIT_OPEN_OK;
}

void limit_table_close(struct limit_table *table)
{
    if (table->header)
        munmap(table->header, table->size_bytes);
    if (table->lock_fd >= 0)
        close(table->lock_fd);
    table_clear(table);
}

/* Return the slot of the instrument, or the empty slot that ends the search; NULL when there is neither. */
static struct limit_slot *find(const struct limit_table *table, uint32_t instrument_id)
{
    uint32_t at = (uint32_t)(instrument_id * UINT32_C(0x9E3779B1)) >> table->hash_shift; /* Fibonacci hashing */
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
    struct limit_slot *slot = find(table, row->instrument_id);
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
    for (int i = 0; i < LIMIT_ROW_WORDS; i++)
        atomic_store_explicit(&slot->words[i], words[i], memory_order_release);
    atomic_store_explicit(&slot->sequence, writing + 1, memory_order_release);
    if (fresh) {
        atomic_store_explicit(&slot->instrument_id, row->instrument_id, memory_order_release);
        atomic_store_explicit(&table->header->row_count, row_count + 1, memory_order_relaxed);
    }
    return true;
}

enum limit_read limit_table_read(const struct limit_table *table, int64_t instrument_id, struct limit_row *row)
{
    if (instrument_id < 1 || instrument_id > UINT32_MAX)
        return LIMIT_ABSENT;
    const struct limit_slot *slot = find(table, (uint32_t)instrument_id);
    if (!slot || atomic_load_explicit(&slot->instrument_id, memory_order_relaxed) == 0)
        return LIMIT_ABSENT;
    for (int tries = 0; tries < READ_TRIES_MAX; tries++) {
        uint32_t before = atomic_load_explicit(&slot->sequence, memory_order_acquire);
        if (before & 1u) {
#if defined(__x86_64__)
            __builtin_ia32_pause();
#endif
            continue;
        }
        uint64_t words[LIMIT_ROW_WORDS];
        for (int i = 0; i < LIMIT_ROW_WORDS; i++)
            words[i] = atomic_load_explicit(&slot->words[i], memory_order_acquire);
        if (atomic_load_explicit(&slot->sequence, memory_order_relaxed) == before) {
            row->instrument_id = (uint32_t)instrument_id;
            row_unpack(words, row);
            return LIMIT_FOUND;
        }
    }
    return LIMIT_TORN;
}

void limit_table_kill_firm(struct limit_table *table, bool killed)
{
    atomic_store_explicit(&table->header->firm_killed, killed, memory_order_release);
}

bool limit_table_kill_account(struct limit_table *table, uint64_t account_hash)
{
    struct limit_header *header = table->header;
    uint32_t used = atomic_load_explicit(&header->accounts_used, memory_order_relaxed);
    uint32_t room = LIMIT_TABLE_ACCOUNTS;
    for (uint32_t i = 0; i < used; i++) {
        uint64_t held = atomic_load_explicit(&header->accounts[i], memory_order_relaxed);
        if (held == account_hash)
            return true;
        if (held == 0 && room == LIMIT_TABLE_ACCOUNTS)
            room = i;
    }
    if (room == LIMIT_TABLE_ACCOUNTS) {
        if (used == LIMIT_TABLE_ACCOUNTS) {
            atomic_store_explicit(&header->accounts_overflowed, 1, memory_order_release);
            return false;
        }
        room = used;
    }
    atomic_store_explicit(&header->accounts[room], account_hash, memory_order_release);
    if (room == used)
        atomic_store_explicit(&header->accounts_used, used + 1, memory_order_release);
    return true;
}

void limit_table_rearm_account(struct limit_table *table, uint64_t account_hash)
{
    struct limit_header *header = table->header;
    uint32_t used = atomic_load_explicit(&header->accounts_used, memory_order_relaxed);
    /* Entries never move: a reader in the middle of its scan cannot miss an account that stays killed. */
    for (uint32_t i = 0; i < used; i++)
        if (atomic_load_explicit(&header->accounts[i], memory_order_relaxed) == account_hash)
            atomic_store_explicit(&header->accounts[i], 0, memory_order_release);
}

void limit_table_accounts_fit(struct limit_table *table)
{
    atomic_store_explicit(&table->header->accounts_overflowed, 0, memory_order_release);
}

bool limit_table_killed(const struct limit_table *table, uint64_t account_hash)
{
    const struct limit_header *header = table->header;
    if (atomic_load_explicit(&header->firm_killed, memory_order_acquire) ||
        atomic_load_explicit(&header->accounts_overflowed, memory_order_acquire))
        return true;
    uint32_t used = atomic_load_explicit(&header->accounts_used, memory_order_acquire);
    if (used > LIMIT_TABLE_ACCOUNTS)
        return true;
    for (uint32_t i = 0; i < used; i++)
        if (atomic_load_explicit(&header->accounts[i], memory_order_acquire) == account_hash)
            return true;
    return false;
}

uint64_t limit_account_hash(const char *account, size_t length)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)account[i]) * UINT64_C(0x100000001b3);
    return hash ? hash : 1;
}
