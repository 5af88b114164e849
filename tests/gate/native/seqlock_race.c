/* One writer and two readers on a private table, for ThreadSanitizer: any data race or torn row ends with a status of its own. */
#include <pthread.h>
#include <stdio.h>

#include "limit_table.h"

#define WRITES 60000

static struct limit_table table;
static _Atomic int done;

static void *write_rows(void *unused)
{
    struct limit_row row = {.instrument_id = 1};
    for (int64_t n = 1; n <= WRITES; n++) {
        for (int column = 0; column < LIMIT_COLUMNS; column++)
            row.qty[column] = row.band_bps[column] = n;
        row.ref_price = row.valid_until_ns = row.epoch = row.tick_ns = row.written_ns = n;
        row.score = (double)n;
        if (!limit_table_put(&table, &row))
            break;
        if (n % 100 == 0) {
            limit_table_kill_account(&table, (uint64_t)n);
            limit_table_rearm_account(&table, (uint64_t)n);
        }
    }
    atomic_store(&done, 1);
    return unused;
}

static void *read_rows(void *torn)
{
    struct limit_row row;
    while (!atomic_load(&done)) {
        (void)limit_table_killed(&table, 7);
        if (limit_table_read(&table, 1, &row) != LIMIT_FOUND)
            continue;
        int64_t n = row.tick_ns;
        if (row.qty[0] != n || row.qty[2] != n || row.band_bps[1] != n || row.ref_price != n || row.written_ns != n ||
            row.score != (double)n)
            *(int *)torn = 1;
    }
    return NULL;
}

int main(void)
{
    pthread_t writer, readers[2];
    int torn[2] = {0, 0};
    if (limit_table_private(&table, 4) != LIMIT_OPEN_OK)
        return 2;
    for (int i = 0; i < 2; i++)
        if (pthread_create(&readers[i], NULL, read_rows, &torn[i]))
            return 2;
    if (pthread_create(&writer, NULL, write_rows, NULL))
        return 2;
    pthread_join(writer, NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
    limit_table_close(&table);
    printf("torn=%d\n", torn[0] || torn[1]);
    return torn[0] || torn[1] ? 3 : 0;
}
