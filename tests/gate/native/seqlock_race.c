/* One writer and two readers on a private table, for ThreadSanitizer. Rows of both kinds are rewritten, and members of a set come
 * and go between members that stay; any data race, torn row, missed member or wrong number ends with a status of its own. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "table/limit_table.h"

#define WRITES 6000
#define STAYING 24
#define PASSING 40

static struct limit_table table;
static _Atomic int done;

/* Hashes are made from their home slots, by the inverse of the multiplier of limit_set.c: all of them share a few slots, so that
 * every drop must draw others forward. The lowest bit of what is hashed tells those that stay. */
#define MULTIPLIER UINT64_C(0x9E3779B97F4A7C15)
#define INVERSE UINT64_C(0xF1DE83E19937733D)

static uint64_t staying_hash(int i)
{
    return ((uint64_t)(i / 2) << 53 | (uint64_t)(2 * i + 1)) * INVERSE;
}

static uint64_t passing_hash(int64_t n)
{
    uint64_t i = (uint64_t)(n % PASSING);
    return ((i / 4) << 53 | (2 * i + 2)) * INVERSE;
}

static int64_t number_of(uint64_t hash)
{
    return (int64_t)(hash * 7);
}

static void write_row(int64_t n)
{
    struct limit_row row = {.instrument_id = 1};
    for (int column = 0; column < LIMIT_COLUMNS; column++)
        for (int limit = 0; limit < LIMIT_COUNT; limit++)
            row.limits[column][limit] = n;
    row.ref_price = row.ref_low = row.ref_high = row.ref_until_ns = row.valid_until_ns = n;
    row.tick_size = row.lot_nano = row.qty_min = row.qty_step = row.epoch = row.tick_ns = row.written_ns = n;
    row.warn_permille = row.pend_permille = (uint16_t)n;
    row.score = (double)n;
    memcpy(row.model_id, &n, sizeof n);
    memcpy(row.model_id + 16, &n, sizeof n);
    limit_table_put(&table, &row);
}

static void write_account(int64_t n)
{
    struct account_limits limits = {.account = 5, .class_mask = (uint64_t)n};
    limits.gross_value = limits.net_value = limits.instrument_value = limits.credit = limits.day_loss = n;
    limits.drawdown = limits.period_value = limits.basket_value = limits.open_orders = limits.messages_per_s = n;
    limits.message_burst = limits.repeats_max = limits.duplicate_ns = n;
    limits.period_ns = LIMIT_PERIOD_MIN_NS + n;
    limit_table_put_account(&table, &limits);
}

static void *write_all(void *unused)
{
    for (int64_t n = 1; n <= WRITES; n++) {
        write_row(n);
        write_account(n);
        for (int kind = 0; kind < LIMIT_SETS; kind++) {
            limit_set_put(&table, (enum limit_set_kind)kind, passing_hash(n), number_of(passing_hash(n)));
            limit_set_drop(&table, (enum limit_set_kind)kind, passing_hash(n * 17));
        }
        limit_table_heartbeat(&table, n, n);
        limit_table_set_ttl(&table, n);
        limit_table_kill_firm(&table, n & 1);
    }
    atomic_store(&done, 1);
    return unused;
}

static bool row_is_torn(void)
{
    struct limit_row row;
    if (limit_table_read(&table, 1, &row) != LIMIT_FOUND)
        return false;
    int64_t n = row.tick_ns, text[3];
    for (int column = 0; column < LIMIT_COLUMNS; column++)
        for (int limit = 0; limit < LIMIT_COUNT; limit++)
            if (row.limits[column][limit] != n)
                return true;
    memcpy(text, row.model_id, sizeof text);
    return row.ref_price != n || row.ref_low != n || row.ref_high != n || row.ref_until_ns != n || row.valid_until_ns != n ||
           row.tick_size != n || row.lot_nano != n || row.qty_min != n || row.qty_step != n || row.epoch != n ||
           row.written_ns != n || row.warn_permille != (uint16_t)n || row.pend_permille != (uint16_t)n ||
           row.score != (double)n || text[0] != n || text[2] != n;
}

static bool account_is_torn(void)
{
    struct account_limits limits;
    if (limit_table_read_account(&table, 5, &limits) != LIMIT_FOUND)
        return false;
    int64_t n = limits.gross_value;
    return limits.net_value != n || limits.basket_value != n || limits.open_orders != n || limits.repeats_max != n ||
           limits.messages_per_s != n || limits.message_burst != n || limits.duplicate_ns != n ||
           limits.period_ns != LIMIT_PERIOD_MIN_NS + n || limits.class_mask != (uint64_t)n;
}

/* A BLOCKED member is never missed; of another set "none" may be said when it would not stand still, a wrong number never. */
static bool set_is_wrong(enum limit_set_kind kind, int i, int *unsure)
{
    int64_t number;
    bool found = limit_set_find(&table, kind, staying_hash(i), &number);
    if (kind == LIMIT_SET_BLOCKED && !found)
        return true;
    if (!found)
        *unsure += 1;
    else if (number != number_of(staying_hash(i)) && !(kind == LIMIT_SET_BLOCKED && number == 0))
        return true;
    if (limit_set_find(&table, kind, passing_hash(i), &number) && number != number_of(passing_hash(i)))
        return !(kind == LIMIT_SET_BLOCKED && number == 0);
    return false;
}

static bool list_is_wrong(enum limit_set_kind kind)
{
    struct limit_member members[LIMIT_SET_CAPACITY];
    int count = limit_set_list(&table, kind, members), staying = 0;
    for (int i = 0; i < count; i++) {
        if (members[i].number != number_of(members[i].hash))
            return true;
        staying += members[i].hash * MULTIPLIER & 1;
    }
    return count >= 0 && staying != STAYING;
}

static void *read_all(void *result)
{
    int *fault = result, unsure = 0, reads = 0;
    while (!atomic_load(&done)) {
        if (row_is_torn())
            *fault |= 1;
        if (account_is_torn())
            *fault |= 2;
        enum limit_set_kind kind = (enum limit_set_kind)(reads % LIMIT_SETS);
        if (set_is_wrong(kind, reads / LIMIT_SETS % STAYING, &unsure))
            *fault |= 4;
        if (reads % 64 == 0 && list_is_wrong(kind))
            *fault |= 8;
        (void)limit_table_writer_dead(&table, reads);
        reads++;
    }
    if (unsure > reads / 10)
        *fault |= 16; /* said by exhaustion alone, so it must stay rare */
    return NULL;
}

int main(void)
{
    pthread_t writer, readers[2];
    int fault[2] = {0, 0};
    if (limit_table_private(&table, (struct limit_capacity){4, 4}) != LIMIT_OPEN_OK)
        return 2;
    for (int kind = 0; kind < LIMIT_SETS; kind++)
        for (int i = 0; i < STAYING; i++)
            limit_set_put(&table, (enum limit_set_kind)kind, staying_hash(i), number_of(staying_hash(i)));
    for (int i = 0; i < 2; i++)
        if (pthread_create(&readers[i], NULL, read_all, &fault[i]))
            return 2;
    if (pthread_create(&writer, NULL, write_all, NULL))
        return 2;
    pthread_join(writer, NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
    limit_table_close(&table);
    printf("fault=%d\n", fault[0] | fault[1]);
    return fault[0] | fault[1] ? 3 : 0;
}
