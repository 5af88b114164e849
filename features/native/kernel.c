#include "kernel.h"

#include "events.h"

#include <stdlib.h>
#include <string.h>

#define TS_NS_MAX (INT64_C(1) << 62)   /* the year 2116: a later time is damage, and near INT64_MAX ticks overflow */
#define AHEAD_MIN 16 /* fewer instruments stay in the cache by themselves */
#define AHEAD_INSTRUMENT 8
#define AHEAD_BOOK 4
#define SOON 16 /* a power of two above AHEAD_INSTRUMENT */
#define MILLIONS 1e-24 /* price and lot size are in 1e-9 */
#define LASTING (STATUS_STALE | STATUS_GAP | STATUS_HALTED | STATUS_BOUND_HIT)

static bool reserve_rows(struct kernel *kernel, size_t more);

struct kernel *kernel_new(void)
{
    struct kernel *kernel = calloc(1, sizeof *kernel);
    if (!kernel)
        return NULL;
    kernel->last_seq = kernel->last_ts_ns = -1;
    kernel->first_share = NAN;
    weights_init(&kernel->weights);
    if (!reserve_rows(kernel, 1)) {
        kernel_free(kernel);
        return NULL;
    }
    return kernel;
}

void kernel_free(struct kernel *kernel)
{
    if (!kernel)
        return;
    kernel_free_instruments(kernel);
    free(kernel->row_tick_ns);
    free(kernel->row_ref_price);
    free(kernel->row_instrument_id);
    free(kernel->row_status);
    free(kernel->row_values);
    free(kernel);
}

static bool grow(void *pointer, size_t capacity, size_t size)
{
    void **array = pointer;
    void *grown = realloc(*array, capacity * size);
    if (grown)
        *array = grown;
    return grown != NULL;
}

static bool reserve_rows(struct kernel *kernel, size_t more)
{
    size_t wanted = kernel->row_count + more, capacity = kernel->row_capacity ? kernel->row_capacity : 16;
    if (wanted <= kernel->row_capacity)
        return true;
    while (capacity < wanted)
        capacity *= 2;
    if (!grow(&kernel->row_tick_ns, capacity, sizeof(int64_t)) || !grow(&kernel->row_ref_price, capacity, sizeof(int64_t)) ||
        !grow(&kernel->row_instrument_id, capacity, sizeof(uint32_t)) ||
        !grow(&kernel->row_status, capacity, sizeof(uint32_t)) ||
        !grow(&kernel->row_values, capacity, FEATURE_COUNT * sizeof(double)))
        return false;
    kernel->row_capacity = capacity;
    return true;
}

/* Read the book anew after an event; otherwise what was read stands. */
static void read_book(const struct kernel *kernel, struct instrument *instrument)
{
    const struct now *now = &instrument->now;
    struct shape *shape = instrument->shape;
    shape->is_fresh = instrument->is_due;
    instrument->is_due = false;
    if (!shape->is_fresh)
        return;
    double clip = now->size_weight > 0 ? CLIP_TRADES * now->size_sum / now->size_weight : 0;
    shape_update(shape, &instrument->book, &(struct reading){instrument->tick_size, clip, &kernel->weights});
    trades_write(now, &instrument->flow->buckets, shape->values);
    const struct level *bid = &shape->top.bid, *ask = &shape->top.ask;
    bool both = bid->qty && ask->qty;
    shape->status = (bid->qty ? 0 : STATUS_BID_EMPTY) | (ask->qty ? 0 : STATUS_ASK_EMPTY);
    shape->status |= both && bid->price == ask->price ? STATUS_LOCKED : 0;
    shape->status |= both && bid->price > ask->price ? STATUS_CROSSED : 0;
    shape->ref_price = both ? bid->price + (ask->price - bid->price) / 2 : 0;
    shape->value_per_lot =
        both && instrument->tick_size > 0 ? shape->mid * (double)instrument->lot_size * MILLIONS : NAN;
}

static void close_row(struct kernel *kernel, struct instrument *instrument, int64_t tick_ns)
{
    size_t row = kernel->row_count++;
    struct shape *shape = instrument->shape;
    read_book(kernel, instrument);
    kernel->row_tick_ns[row] = tick_ns;
    kernel->row_instrument_id[row] = instrument->id;
    kernel->row_status[row] = (instrument->status & LASTING) | shape->status;
    kernel->row_ref_price[row] = shape->ref_price;
    bool is_whole = !(instrument->status & STATUS_STALE);
    flow_tick(instrument->flow, &instrument->now, shape, is_whole, &kernel->row_values[row * FEATURE_COUNT]);
}

/* Ask for the memory of instruments that come soon, so that many of them cost no more than few. */
static void close_rows(struct kernel *kernel, int64_t tick_ns)
{
    size_t first_row = kernel->row_count;
    for (uint32_t i = 0; i < kernel->instrument_count; i++) {
        if (i + 2 < kernel->instrument_count)
            flow_prefetch(kernel->instruments[i + 2]->flow, kernel->instruments[i + 2]->shape);
        close_row(kernel, kernel->instruments[i], tick_ns);
    }
    if (tick_ns % (TICK_NS * TICKS_1S) == 0)
        cross_second(kernel, tick_ns);
    cross_write(kernel, first_row);
    kernel->counts.ticks++;
}

/* Move the channel's clock to `ts_ns`, closing every tick up to it. */
static bool advance(struct kernel *kernel, int64_t ts_ns)
{
    bool within = ts_ns >= kernel->last_ts_ns && ts_ns < kernel->next_tick_ns && ts_ns <= TS_NS_MAX;
    if (within && kernel->last_ts_ns >= 0) { /* most events */
        kernel->last_ts_ns = ts_ns;
        return true;
    }
    if (ts_ns < 0 || ts_ns < kernel->last_ts_ns || ts_ns > TS_NS_MAX) {
        kernel->counts.clock_back++;
        return true;
    }
    bool jumped = kernel->last_ts_ns >= 0 && ts_ns - kernel->last_ts_ns > CLOCK_JUMP_NS_MAX;
    if (kernel->last_ts_ns < 0 || jumped) {
        kernel->counts.clock_jump += jumped;
        kernel->first_share = NAN;
        for (uint32_t i = 0; jumped && i < kernel->instrument_count; i++) {
            flow_init(kernel->instruments[i]->flow); /* no window may reach over the silence */
            now_init(&kernel->instruments[i]->now);
            kernel->instruments[i]->is_due = true;
        }
        kernel->next_tick_ns = (ts_ns / TICK_NS + 1) * TICK_NS;
    }
    for (; kernel->next_tick_ns <= ts_ns; kernel->next_tick_ns += TICK_NS) {
        if (!reserve_rows(kernel, kernel->instrument_count))
            return false;
        close_rows(kernel, kernel->next_tick_ns);
    }
    kernel->last_ts_ns = ts_ns;
    return true;
}

/* Ask for the memory of the events to come: first the instrument, nearer the event what its book points at. `soon` keeps
 * what was found, so that an event need not search again: NULL where the instrument was not there yet. */
static void look_ahead(const struct kernel *kernel, const struct frame *frame, size_t i, struct instrument **soon)
{
    if (i + AHEAD_INSTRUMENT < frame->rows) {
        struct instrument *found = kernel_find(kernel, frame->instrument_id[i + AHEAD_INSTRUMENT]);
        soon[(i + AHEAD_INSTRUMENT) % SOON] = found;
        for (size_t at = 0; found && at < offsetof(struct instrument, now.renewed); at += LINE)
            __builtin_prefetch((const char *)found + at, 1);
    }
    if (i + AHEAD_BOOK < frame->rows && soon[(i + AHEAD_BOOK) % SOON])
        book_prefetch(&soon[(i + AHEAD_BOOK) % SOON]->book, frame->order_id[i + AHEAD_BOOK], frame->side[i + AHEAD_BOOK]);
}

enum kernel_result kernel_apply(struct kernel *kernel, const struct frame *frame, int64_t *expected_seq)
{
    kernel->row_count = 0;
    enum kernel_result result = KERNEL_OK;
    bool heartbeat = frame->seq_last < frame->seq_first;
    if (kernel->last_seq >= 0 && !heartbeat && frame->seq_last <= kernel->last_seq) {
        kernel->counts.duplicates++;
        return KERNEL_DUPLICATE;
    }
    *expected_seq = kernel->last_seq + 1;
    if ((kernel->last_seq >= 0 && frame->seq_first > kernel->last_seq + 1) || (frame->flags & FRAME_GAP)) {
        kernel->counts.gaps++;
        for (uint32_t i = 0; i < kernel->instrument_count; i++)
            kernel->instruments[i]->status |= STATUS_STALE | STATUS_GAP;
        result = KERNEL_GAP;
    }
    /* A frame that overlaps the last one: what was seen is skipped. */
    size_t first = kernel->last_seq >= frame->seq_first && !heartbeat ? (size_t)(kernel->last_seq - frame->seq_first + 1) : 0;
    bool many = kernel->instrument_count > AHEAD_MIN;
    struct instrument *soon[SOON] = {NULL};
    for (size_t i = first; i < frame->rows; i++) {
        if (many)
            look_ahead(kernel, frame, i, soon);
        if (soon[i % SOON])
            kernel->last_found = soon[i % SOON];
        if (!advance(kernel, frame->ts_event_ns[i]))
            return KERNEL_NO_MEMORY;
        kernel_event(kernel, frame, i);
    }
    kernel->counts.frames++;
    if (frame->seq_last > kernel->last_seq)
        kernel->last_seq = frame->seq_last;
    if (frame->ts_last_ns > kernel->last_ts_ns && !advance(kernel, frame->ts_last_ns))
        return KERNEL_NO_MEMORY;
    return result;
}
