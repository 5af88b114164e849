/* Producers and the consumer of a decision ring at once: no record is torn, none is lost without a count. The ring is small,
 * so that it is full much of the time. Prints what went wrong, as counts. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "ring/decision_ring.h"

#define PRODUCERS 4
#define PUSHES 40000
#define CAPACITY 64

static struct decision_ring ring;
static _Atomic int running = PRODUCERS;
static uint64_t refused[PRODUCERS];

/* Every field follows from two numbers, so a mix of two records shows. */
static void fill(struct order *order, struct decision *decision, struct decision_context *context, uint64_t who, uint64_t number)
{
    int64_t mixed = (int64_t)(who * PUSHES + number + 1);
    *order = (struct order){.instrument_id = mixed, .order_id = number + 1, .account = who + 1, .qty = mixed, .price = -mixed};
    *decision = (struct decision){.reason = (enum order_reason)(number % REASON_COUNT), .has_row = true,
                                  .limit = mixed, .observed = mixed, .epoch = mixed, .score = (double)mixed};
    *context = (struct decision_context){.now_ns = mixed, .position_before = mixed, .order_text = "text", .order_text_length = 4};
}

static bool is_whole(const struct decision_record *record)
{
    int64_t mixed = record->order.instrument_id;
    return mixed == (int64_t)((record->order.account - 1) * PUSHES + record->order.order_id) && record->order.qty == mixed &&
           record->order.price == -mixed && record->limit == mixed && record->epoch == mixed && record->now_ns == mixed &&
           record->position_before == mixed && record->score == (double)mixed && memcmp(record->order_text, "text", 5) == 0 &&
           record->reason == (record->order.order_id - 1) % REASON_COUNT;
}

static void *produce(void *argument)
{
    uint64_t who = (uint64_t)(size_t)argument;
    for (uint64_t number = 0; number < PUSHES; number++) {
        struct order order;
        struct decision decision;
        struct decision_context context;
        fill(&order, &decision, &context, who, number);
        if (!decision_ring_push(&ring, &order, &decision, &context)) {
            refused[who]++;
            sched_yield();
        }
    }
    atomic_fetch_sub(&running, 1);
    return NULL;
}

int main(int count, char **arguments)
{
    static bool seen[PRODUCERS * PUSHES + 1];
    static uint64_t last[PRODUCERS + 1];
    uint64_t found = 0, broken = 0, twice = 0, disordered = 0, uncounted = 0, lost = 0;
    pthread_t threads[PRODUCERS];
    if (decision_ring_open(&ring, count > 1 ? arguments[1] : NULL, CAPACITY, 1) != DECISION_RING_OK)
        return 2;
    for (size_t i = 0; i < PRODUCERS; i++)
        if (pthread_create(&threads[i], NULL, produce, (void *)i) != 0)
            return 2;
    bool ended = false;
    for (uint64_t round = 0; !ended; round++) {
        struct decision_record records[16];
        ended = atomic_load(&running) == 0; /* before the read, so that the last read sees all */
        size_t some;
        while ((some = decision_ring_read(&ring, records, 16)) > 0) {
            if (round % 7 == 0) { /* what was not released is read again, and only once more */
                decision_ring_rewind(&ring);
                some = decision_ring_read(&ring, records, some);
            }
            for (size_t i = 0; i < some; i++) {
                const struct decision_record *record = &records[i];
                uint64_t who = record->order.account <= PRODUCERS ? record->order.account : 0;
                broken += !is_whole(record) || record->seq == 0 || record->seq > PRODUCERS * PUSHES;
                twice += record->seq <= PRODUCERS * PUSHES && seen[record->seq];
                if (record->seq <= PRODUCERS * PUSHES)
                    seen[record->seq] = true;
                disordered += record->seq <= last[who]; /* of one thread, numbers rise */
                last[who] = record->seq;
            }
            found += some;
            decision_ring_release(&ring, some);
        }
    }
    for (size_t i = 0; i < PRODUCERS; i++) {
        pthread_join(threads[i], NULL);
        lost += refused[i];
    }
    struct decision_ring_counters counters = decision_ring_counters(&ring);
    uncounted = (counters.numbered != PRODUCERS * PUSHES) + (counters.lost != lost) + (counters.pending != 0) +
                (found + lost != PRODUCERS * PUSHES) + (counters.released != found);
    decision_ring_close(&ring);
    printf("broken=%llu twice=%llu disordered=%llu uncounted=%llu\n", (unsigned long long)broken, (unsigned long long)twice,
           (unsigned long long)disordered, (unsigned long long)uncounted);
    fprintf(stderr, "found=%llu lost=%llu\n", (unsigned long long)found, (unsigned long long)lost);
    return broken || twice || disordered || uncounted || found == 0 || lost == 0;
}
