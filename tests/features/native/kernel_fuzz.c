/* Feeds the pure C kernel pseudo-random frames, damaged ones among them, and damaged snapshots; built with sanitizers.
 *
 * Prints `rows=... refused=...`, and `events=...` where a number of events is asked for; exits 1 when a restored kernel does
 * not continue byte for byte, or when damaged bytes are taken for a snapshot. A round is FRAMES frames into a new kernel
 * (snapshots grow with it); without EVENTS there is one. Usage: kernel_fuzz SEED FRAMES [EVENTS] */
#include "events.h"
#include "kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 64
#define COLUMN_BYTES (ROWS_MAX * sizeof(int64_t))

static uint64_t state;

static uint64_t draw(uint64_t below)
{
    state ^= state << 13; /* xorshift64 */
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

static const int64_t EXTREMES[] = {0, -1, 1, INT64_MIN, INT64_MAX, INT64_MIN + 1, INT64_MAX - 1, -5, INT64_MAX / 2 + 2};
#define EXTREMES_COUNT (sizeof EXTREMES / sizeof *EXTREMES)

static int64_t extreme(void)
{
    return EXTREMES[draw(EXTREMES_COUNT)];
}

/* Columns on the heap, of the exact length: a read past the end is seen. */
struct rows {
    int64_t *ts, *price, *qty;
    uint32_t *instrument;
    uint8_t *kind;
    int8_t *side;
    uint64_t *order;
};

static void *exactly(size_t count, size_t size)
{
    void *made = malloc(count ? count * size : 1);
    if (!made)
        exit(2);
    return made;
}

static struct rows rows_new(size_t n)
{
    return (struct rows){exactly(n, 8), exactly(n, 8), exactly(n, 8), exactly(n, 4), exactly(n, 1), exactly(n, 1), exactly(n, 8)};
}

static void rows_free(struct rows *rows)
{
    free(rows->ts), free(rows->price), free(rows->qty), free(rows->instrument);
    free(rows->kind), free(rows->side), free(rows->order);
}

static void fill(struct rows *rows, size_t i, int64_t ts)
{
    int side = draw(2) ? 1 : -1;
    rows->ts[i] = ts;
    rows->instrument[i] = draw(500) ? (uint32_t)draw(3) : (uint32_t)draw(UINT32_MAX);
    rows->kind[i] = draw(4) ? (uint8_t)(1 + draw(8)) : (uint8_t)draw(draw(9) ? 16 : 256);
    rows->side[i] = draw(40) ? (int8_t)side : (int8_t)draw(256);
    rows->order[i] = draw(50) ? draw(2000) : UINT64_MAX - draw(3);
    rows->price[i] = 1000 - side * (int64_t)draw(draw(9) ? 40 : 900);
    rows->qty[i] = 1 + (int64_t)draw(500);
    if (!draw(60))
        rows->price[i] = extreme();
    if (!draw(60))
        rows->qty[i] = extreme();
    if (!draw(300))
        rows->ts[i] = extreme();
    if (rows->kind[i] == KIND_SNAPSHOT_BEGIN && draw(8)) /* else books never grow */
        rows->kind[i] = KIND_ADD;
    if (rows->kind[i] == KIND_CLEAR && draw(8))
        rows->kind[i] = KIND_ADD;
}

static uint8_t *snapshot_of(const struct kernel *kernel, size_t *size)
{
    *size = kernel_snapshot_size(kernel);
    uint8_t *bytes = exactly(*size, 1);
    kernel_snapshot(kernel, bytes);
    return bytes;
}

static bool same_snapshot(const struct kernel *a, const struct kernel *b)
{
    size_t size_a, size_b;
    uint8_t *bytes_a = snapshot_of(a, &size_a), *bytes_b = snapshot_of(b, &size_b);
    bool same = size_a == size_b && memcmp(bytes_a, bytes_b, size_a) == 0;
    free(bytes_a);
    free(bytes_b);
    return same;
}

/* Return how many damaged copies were refused; exits when one is not. */
static int refuse_damaged(const uint8_t *bytes, size_t size)
{
    int refused = 0;
    for (int i = 0; i < 12; i++) {
        size_t cut = i % 3 == 0 ? draw(size) : i % 3 == 1 ? size - 1 - draw(16) : size;
        uint8_t *copy = exactly(cut, 1);
        memcpy(copy, bytes, cut);
        if (cut == size) /* one bit: in the header half of the times */
            copy[draw(i % 2 ? 56 : size)] ^= (uint8_t)(1u << draw(8));
        const char *why = NULL;
        struct kernel *kernel = kernel_restore(copy, cut, &why);
        free(copy);
        if (kernel || !why) {
            fprintf(stderr, "a damaged snapshot was restored\n");
            exit(1);
        }
        refused++;
    }
    return refused;
}

static struct kernel *restored(const struct kernel *kernel, int *refused)
{
    size_t size;
    const char *why = NULL;
    uint8_t *bytes = snapshot_of(kernel, &size);
    struct kernel *made = kernel_restore(bytes, size, &why);
    *refused += refuse_damaged(bytes, size);
    free(bytes);
    if (!made || !same_snapshot(kernel, made)) {
        fprintf(stderr, "a snapshot did not restore: %s\n", why ? why : "other bytes");
        exit(1);
    }
    return made;
}

static void apply(struct kernel *kernel, const struct frame *frame)
{
    int64_t expected = 0;
    if (kernel_apply(kernel, frame, &expected) == KERNEL_NO_MEMORY)
        exit(2);
}

/* Every extreme as time, price and size at once, of every kind, for a fresh kernel and for one that has begun. */
static void all_extremes(void)
{
    for (size_t i = 0; i < EXTREMES_COUNT * EXTREMES_COUNT * EXTREMES_COUNT; i++) {
        int64_t first = EXTREMES[i % EXTREMES_COUNT], second = EXTREMES[i / EXTREMES_COUNT % EXTREMES_COUNT];
        int64_t third = EXTREMES[i / EXTREMES_COUNT / EXTREMES_COUNT];
        struct kernel *kernel = kernel_new();
        for (int64_t n = 0; n < 2 * KIND_DEFINE; n++) {
            int64_t ts[] = {n < KIND_DEFINE ? first : INT64_C(1000000000)};
            int64_t price[] = {n % 2 ? second : 1 + n}, qty[] = {n % 3 ? third : 1 + n};
            uint32_t instrument[] = {1};
            uint8_t kind[] = {(uint8_t)(1 + n % KIND_DEFINE)};
            int8_t side[] = {n % 2 ? 1 : -1};
            uint64_t order[] = {1};
            apply(kernel, &(struct frame){1, ts, price, qty, instrument, kind, side, order, n + 1, n + 1, ts[0], 0});
        }
        apply(kernel, &(struct frame){.seq_first = 99, .seq_last = 98, .ts_last_ns = INT64_C(2000000000)});
        kernel_free(kernel);
    }
}

struct tally {
    int64_t events, rows, refused;
};

/* One round; returns false when a restored kernel goes another way. */
static bool run_round(long frames, struct tally *tally)
{
    struct kernel *kernel = kernel_new(), *twin = NULL;
    int64_t ts = INT64_C(1000000000000), seq = 1;
    int refused = 0;
    bool same = true;
    for (long number = 0; same && number < frames; number++) {
        size_t count = draw(ROWS_MAX);
        struct rows rows = rows_new(count);
        for (size_t i = 0; i < count; i++)
            fill(&rows, i, ts += (int64_t)draw(draw(200) ? 3000000 : 3000000000));
        seq += draw(50) ? 0 : (int64_t)draw(5);
        seq -= draw(50) ? 0 : (int64_t)draw((uint64_t)(seq < 70 ? seq : 70));
        bool are_signals = draw(40) == 0; /* numbers without rows */
        struct frame frame = {
            .rows = are_signals ? 0 : count, .ts_event_ns = rows.ts, .price = rows.price, .qty = rows.qty, .instrument_id = rows.instrument,
            .kind = rows.kind, .side = rows.side, .order_id = rows.order, .seq_first = seq,
            .seq_last = seq + (int64_t)count - 1, .ts_last_ns = draw(300) ? ts : extreme(), .flags = (int32_t)draw(draw(20) ? 4 : 8),
        };
        seq += (int64_t)count;
        apply(kernel, &frame);
        tally->events += (int64_t)frame.rows;
        tally->rows += (int64_t)kernel->row_count;
        if (twin)
            apply(twin, &frame);
        rows_free(&rows);
        same = !twin || same_snapshot(kernel, twin);
        if (!same)
            fprintf(stderr, "a restored kernel went another way at frame %ld\n", number);
        if (same && number % 25 == 0) {
            kernel_free(twin);
            twin = restored(kernel, &refused);
        }
    }
    tally->refused += refused;
    kernel_free(kernel);
    kernel_free(twin);
    return same;
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4)
        return 2;
    state = strtoull(argv[1], NULL, 10) * UINT64_C(0x9E3779B97F4A7C15) | 1;
    long frames = strtol(argv[2], NULL, 10);
    int64_t events = argc == 4 ? strtoll(argv[3], NULL, 10) : 0;
    struct tally tally = {0, 0, 0};
    if (frames < 1)
        return 2;
    all_extremes();
    do {
        if (!run_round(frames, &tally))
            return 1;
    } while (tally.events < events);
    printf("rows=%d refused=%lld", tally.rows > 0, (long long)tally.refused);
    if (argc == 4)
        printf(" events=%lld", (long long)tally.events);
    printf("\n");
    return 0;
}
