/* Opening, taking over and closing a limit table: the only part that makes system calls.
 *
 * Invariants: a table is never seen half made, a second writer is refused, and bytes that are no table of this version and shape
 * are neither read as one nor overwritten when they are something else.
 *
 * Rejected: a lock on the table's own file (a table of another shape takes its place by a new file, while the lock is held).
 */
#define _GNU_SOURCE
#include "table/limit_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES_MAX 4096

static uint32_t slots_for(uint32_t capacity)
{
    uint32_t slots = 2;
    while (slots < capacity + capacity / 2 + 1) /* at most two thirds full, and an empty slot ends every search */
        slots *= 2;
    return slots;
}

static size_t size_for(uint32_t slot_count, uint32_t account_slot_count)
{
    return sizeof(struct limit_header) + (size_t)slot_count * sizeof(struct limit_slot) +
           (size_t)account_slot_count * sizeof(struct account_slot);
}

static bool capacity_is_sound(struct limit_capacity capacity)
{
    return capacity.instruments > 0 && capacity.instruments <= LIMIT_TABLE_CAPACITY_MAX && capacity.accounts > 0 &&
           capacity.accounts <= LIMIT_TABLE_ACCOUNTS_MAX;
}

static void bind(struct limit_table *table, struct limit_header *header)
{
    table->header = header;
    table->slots = (struct limit_slot *)(header + 1);
    table->accounts = (struct account_slot *)(table->slots + header->slot_count);
    table->slot_mask = header->slot_count - 1;
    table->hash_shift = 32 - (uint32_t)__builtin_ctz(header->slot_count);
    table->account_mask = header->account_slot_count - 1;
    table->account_shift = 64 - (uint32_t)__builtin_ctz(header->account_slot_count);
    table->size_bytes = size_for(header->slot_count, header->account_slot_count);
}

static void header_init(struct limit_header *header, struct limit_capacity capacity)
{
    header->version = LIMIT_TABLE_VERSION;
    header->header_size = sizeof(struct limit_header);
    header->row_size = sizeof(struct limit_slot);
    header->row_count_max = capacity.instruments;
    header->slot_count = slots_for(capacity.instruments);
    header->account_count_max = capacity.accounts;
    header->account_slot_count = slots_for(capacity.accounts);
    atomic_store_explicit(&header->magic, LIMIT_TABLE_MAGIC, memory_order_release);
}

/* Say whether mapped bytes are a table that this code can use. */
static enum limit_open header_check(const struct limit_header *header, size_t size_bytes, uint64_t *found)
{
    *found = atomic_load_explicit(&header->magic, memory_order_acquire);
    if (*found != LIMIT_TABLE_MAGIC)
        return LIMIT_OPEN_MAGIC;
    *found = header->version;
    if (header->version != LIMIT_TABLE_VERSION)
        return LIMIT_OPEN_VERSION;
    *found = header->row_size;
    if (header->row_size != sizeof(struct limit_slot) || header->header_size != sizeof *header)
        return LIMIT_OPEN_ROW_SIZE;
    *found = size_bytes;
    struct limit_capacity capacity = {header->row_count_max, header->account_count_max};
    bool sound = capacity_is_sound(capacity) && header->slot_count == slots_for(capacity.instruments) &&
                 header->account_slot_count == slots_for(capacity.accounts) &&
                 size_bytes == size_for(header->slot_count, header->account_slot_count);
    return sound ? LIMIT_OPEN_OK : LIMIT_OPEN_SIZE;
}

/* The start of a header: what a table of an older version surely has. */
#define HEADER_START_BYTES 64

/* Say why a file that is shorter than a header cannot be used. */
static enum limit_open start_check(int fd, size_t size_bytes, uint64_t *found)
{
    struct {
        uint64_t magic;
        uint32_t version;
    } start = {0};
    ssize_t got = pread(fd, &start, sizeof start, 0);
    if (got < 0)
        return LIMIT_OPEN_SYSTEM;
    *found = start.magic;
    if ((size_t)got >= sizeof start.magic && start.magic != LIMIT_TABLE_MAGIC)
        return LIMIT_OPEN_MAGIC;
    *found = start.version;
    if (size_bytes >= HEADER_START_BYTES && start.version != LIMIT_TABLE_VERSION)
        return LIMIT_OPEN_VERSION;
    *found = size_bytes;
    return LIMIT_OPEN_SIZE;
}

/* Map an open file. On any result but OK nothing stays mapped. */
static enum limit_open map_file(struct limit_table *table, int fd, bool writable, uint64_t *found)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return LIMIT_OPEN_SYSTEM;
    size_t size_bytes = (size_t)info.st_size;
    if (size_bytes < sizeof(struct limit_header))
        return start_check(fd, size_bytes, found);
    void *memory = mmap(NULL, size_bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return LIMIT_OPEN_SYSTEM;
    enum limit_open result = header_check(memory, size_bytes, found);
    if (result != LIMIT_OPEN_OK) {
        munmap(memory, size_bytes);
        return result;
    }
    bind(table, memory);
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
static enum limit_open replace_file(const char *path, struct limit_capacity capacity)
{
    char fresh[PATH_BYTES_MAX];
    if (!path_with(fresh, sizeof fresh, path, ".new"))
        return LIMIT_OPEN_SYSTEM;
    int fd = open(fresh, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return LIMIT_OPEN_SYSTEM;
    size_t size_bytes = size_for(slots_for(capacity.instruments), slots_for(capacity.accounts));
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

static bool has_capacity(const struct limit_header *header, struct limit_capacity capacity)
{
    return header->row_count_max == capacity.instruments && header->account_count_max == capacity.accounts;
}

enum limit_open limit_table_create(struct limit_table *table, const char *path, struct limit_capacity capacity)
{
    uint64_t found;
    int lock_fd = -1;
    table_clear(table);
    if (!capacity_is_sound(capacity))
        return LIMIT_OPEN_CAPACITY;
    enum limit_open result = take_lock(path, &lock_fd);
    if (result != LIMIT_OPEN_OK)
        return result;
    result = map_path(table, path, true, &found);
    bool absent = result == LIMIT_OPEN_SYSTEM && errno == ENOENT;
    bool other_shape = result == LIMIT_OPEN_VERSION || result == LIMIT_OPEN_ROW_SIZE ||
                       (result == LIMIT_OPEN_OK && !has_capacity(table->header, capacity));
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
    for (int kind = 0; kind < LIMIT_SETS; kind++)
        limit_set_mend(table, (enum limit_set_kind)kind);
    atomic_store_explicit(&table->header->writer_pid, (int64_t)getpid(), memory_order_release);
    return LIMIT_OPEN_OK;
}

enum limit_open limit_table_attach(struct limit_table *table, const char *path, uint64_t *found)
{
    table_clear(table);
    *found = 0;
    return map_path(table, path, false, found);
}

enum limit_open limit_table_private(struct limit_table *table, struct limit_capacity capacity)
{
    table_clear(table);
    if (!capacity_is_sound(capacity))
        return LIMIT_OPEN_CAPACITY;
    size_t size_bytes = size_for(slots_for(capacity.instruments), slots_for(capacity.accounts));
    void *memory = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return LIMIT_OPEN_SYSTEM;
    header_init(memory, capacity);
    bind(table, memory);
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
