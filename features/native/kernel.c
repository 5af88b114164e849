#include "kernel.h"

#include "events.h"

#include <stdlib.h>
#include <string.h>

#define REBUILDING (UINT32_C(1) << 31) /* never in a row: between the begin and the end of a snapshot */
#define TS_NS_MAX (INT64_C(1) << 62)   /* the year 2116: a later time is damage, and near INT64_MAX ticks overflow */
#define LASTING (STATUS_STALE | STATUS_GAP | STATUS_HALTED | STATUS_BOUND_HIT)

static bool reserve_rows(struct kernel *kernel, size_t more);

struct kernel *kernel_new(void)
{
    struct kernel *kernel = calloc(1, sizeof *kernel);
    if (!kernel)
        return NULL;
    kernel->last_seq = kernel->last_ts_ns = -1;
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
    for (uint32_t i = 0; i < kernel->instrument_count; i++) {
        book_free(&kernel->instruments[i]->book);
        free(kernel->instruments[i]);
    }
    free(kernel->instruments);
    free(kernel->row_tick_ns);
    free(kernel->row_ref_price);
    free(kernel->row_instrument_id);
    free(kernel->row_status);
    free(kernel->row_values);
    free(kernel);
}

static uint32_t place_of(const struct kernel *kernel, uint32_t id)
{
    uint32_t low = 0, high = kernel->instrument_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (kernel->instruments[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool grow_instruments(struct kernel *kernel)
{
    uint32_t capacity = kernel->instrument_capacity ? kernel->instrument_capacity * 2 : 8;
    if (capacity > INSTRUMENTS_MAX)
        return false;
    struct instrument **grown = realloc(kernel->instruments, capacity * sizeof(struct instrument *));
    if (!grown)
        return false;
    kernel->instruments = grown;
    kernel->instrument_capacity = capacity;
    return true;
}

/* Return the instrument, made stale and empty the first time; NULL at the bound or without memory. */
struct instrument *kernel_instrument(struct kernel *kernel, uint32_t id)
{
    if (kernel->last_found < kernel->instrument_count && kernel->instruments[kernel->last_found]->id == id)
        return kernel->instruments[kernel->last_found];
    uint32_t at = place_of(kernel, id);
    if (at == kernel->instrument_count || kernel->instruments[at]->id != id) {
        if (kernel->instrument_count == kernel->instrument_capacity && !grow_instruments(kernel))
            return NULL;
        struct instrument *fresh = calloc(1, sizeof *fresh);
        if (!fresh)
            return NULL;
        fresh->id = id;
        fresh->status = STATUS_STALE;
        book_init(&fresh->book);
        flow_init(&fresh->flow);
        memmove(&kernel->instruments[at + 1], &kernel->instruments[at],
                (kernel->instrument_count - at) * sizeof *kernel->instruments);
        kernel->instruments[at] = fresh;
        kernel->instrument_count++;
    }
    kernel->last_found = at;
    return kernel->instruments[at];
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

static void close_row(struct kernel *kernel, struct instrument *instrument, int64_t tick_ns)
{
    size_t row = kernel->row_count++;
    struct top top = top_of(&instrument->book);
    uint32_t status = instrument->status & LASTING;
    status |= top.bid_qty ? 0 : STATUS_BID_EMPTY;
    status |= top.ask_qty ? 0 : STATUS_ASK_EMPTY;
    bool both = top.bid_qty && top.ask_qty;
    status |= both && top.bid_price == top.ask_price ? STATUS_LOCKED : 0;
    status |= both && top.bid_price > top.ask_price ? STATUS_CROSSED : 0;
    kernel->row_tick_ns[row] = tick_ns;
    kernel->row_instrument_id[row] = instrument->id;
    kernel->row_status[row] = status;
    kernel->row_ref_price[row] = both ? top.bid_price + (top.ask_price - top.bid_price) / 2 : 0;
    flow_tick(&instrument->flow, &instrument->book, instrument->tick_size, &kernel->row_values[row * FEATURE_COUNT]);
}

/* Move the channel's clock to `ts_ns`, closing every tick up to it. */
static bool advance(struct kernel *kernel, int64_t ts_ns)
{
    if (ts_ns < 0 || ts_ns < kernel->last_ts_ns || ts_ns > TS_NS_MAX) {
        kernel->counts.clock_back++;
        return true;
    }
    bool jumped = kernel->last_ts_ns >= 0 && ts_ns - kernel->last_ts_ns > CLOCK_JUMP_NS_MAX;
    if (kernel->last_ts_ns < 0 || jumped) {
        kernel->counts.clock_jump += jumped;
        for (uint32_t i = 0; jumped && i < kernel->instrument_count; i++)
            flow_init(&kernel->instruments[i]->flow); /* no window may reach over the silence */
        kernel->next_tick_ns = (ts_ns / TICK_NS + 1) * TICK_NS;
    }
    for (; kernel->next_tick_ns <= ts_ns; kernel->next_tick_ns += TICK_NS) {
        if (!reserve_rows(kernel, kernel->instrument_count))
            return false;
        for (uint32_t i = 0; i < kernel->instrument_count; i++)
            close_row(kernel, kernel->instruments[i], kernel->next_tick_ns);
        kernel->counts.ticks++;
    }
    kernel->last_ts_ns = ts_ns;
    return true;
}

static void mark_bound(struct kernel *kernel, struct instrument *instrument)
{
    kernel->counts.bound_hit++;
    instrument->status |= STATUS_STALE | STATUS_BOUND_HIT;
}

static bool is_sound(const struct frame *frame, size_t i)
{
    int kind = frame->kind[i];
    if (kind < KIND_ADD || kind > KIND_DEFINE)
        return false;
    if (kind >= KIND_SNAPSHOT_BEGIN && kind <= KIND_CLEAR)
        return true;
    if (kind == KIND_DEFINE)
        return frame->price[i] > 0 && frame->qty[i] > 0;
    bool sided = frame->side[i] == 1 || frame->side[i] == -1;
    bool trade = kind == KIND_EXECUTE_HIDDEN || kind == KIND_TRADE;
    return frame->price[i] > 0 && frame->qty[i] >= (kind == KIND_LEVEL_SET ? 0 : 1) &&
           (sided || (trade && frame->side[i] == 0));
}

static void forget(struct instrument *instrument)
{
    book_clear(&instrument->book);
    instrument->status &= ~(uint32_t)STATUS_BOUND_HIT;
}

/* Events that say something about the book as a whole. */
static void apply_status(struct instrument *instrument, const struct frame *frame, size_t i)
{
    switch (frame->kind[i]) {
    case KIND_SNAPSHOT_BEGIN:
        forget(instrument);
        instrument->status |= STATUS_STALE | REBUILDING;
        break;
    case KIND_CLEAR:
        forget(instrument);
        instrument->status &= ~(STATUS_STALE | STATUS_GAP | REBUILDING);
        break;
    case KIND_SNAPSHOT_END:
        instrument->status &= ~REBUILDING;
        if (!(instrument->status & STATUS_BOUND_HIT))
            instrument->status &= ~(uint32_t)(STATUS_STALE | STATUS_GAP);
        break;
    case KIND_HALT:
        instrument->status |= STATUS_HALTED;
        break;
    case KIND_RESUME:
        instrument->status &= ~(uint32_t)STATUS_HALTED;
        break;
    case KIND_DEFINE:
        instrument->tick_size = frame->price[i];
        instrument->lot_size = frame->qty[i];
        break;
    }
}

static int apply_to_book(struct kernel *kernel, struct instrument *instrument, const struct frame *frame, size_t i)
{
    struct book *book = &instrument->book;
    struct book_counts *counts = &kernel->counts.book;
    struct resting event = {frame->order_id[i], frame->price[i], frame->qty[i], frame->side[i], {0}};
    switch (frame->kind[i]) {
    case KIND_ADD: /* an order that a snapshot lists was added before */
        instrument->flow.added += !(instrument->status & REBUILDING);
        return book_add(book, counts, event.order_id, event.side, event.price, event.qty);
    case KIND_REPLACE:
        instrument->flow.added++;
        instrument->flow.cancelled++;
        return book_replace(book, counts, &event);
    case KIND_REDUCE:
    case KIND_DELETE:
        instrument->flow.cancelled++;
        book_take(book, counts, &event, frame->kind[i] == KIND_DELETE);
        return BOOK_OK;
    case KIND_EXECUTE:
        flow_traded(&instrument->flow, event.side, event.qty);
        book_take(book, counts, &event, false);
        return BOOK_OK;
    case KIND_LEVEL_SET:
        return book_set_level(book, event.side, event.price, event.qty);
    default: /* trades that leave the visible book alone */
        flow_traded(&instrument->flow, event.side, event.qty);
        return BOOK_OK;
    }
}

static bool apply_event(struct kernel *kernel, const struct frame *frame, size_t i)
{
    if (!advance(kernel, frame->ts_event_ns[i]))
        return false;
    kernel->counts.events++;
    if (!is_sound(frame, i)) {
        kernel->counts.book.bad_event++;
        return true;
    }
    struct instrument *instrument = kernel_instrument(kernel, frame->instrument_id[i]);
    if (!instrument) {
        kernel->counts.bound_hit++;
        return true;
    }
    if (frame->kind[i] >= KIND_SNAPSHOT_BEGIN) {
        apply_status(instrument, frame, i);
        return true;
    }
    struct top before = top_of(&instrument->book);
    if (apply_to_book(kernel, instrument, frame, i) != BOOK_OK)
        mark_bound(kernel, instrument);
    if (instrument->status & STATUS_STALE)
        return true; /* a book under repair says nothing about flow */
    struct top after = top_of(&instrument->book);
    flow_book_changed(&instrument->flow, &before, &after);
    bool emptied = frame->kind[i] == KIND_EXECUTE &&
                   (frame->side[i] > 0 ? before.bid_qty && (!after.bid_qty || after.bid_price != before.bid_price)
                                       : before.ask_qty && (!after.ask_qty || after.ask_price != before.ask_price));
    if (emptied)
        instrument->flow.hit[frame->side[i] > 0 ? 0 : 1] = 1;
    return true;
}

enum kernel_result kernel_apply(struct kernel *kernel, const struct frame *frame, int64_t *expected_seq)
{
    kernel->row_count = 0;
    enum kernel_result result = KERNEL_OK;
    bool heartbeat = frame->rows == 0;
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
    for (size_t i = first; i < frame->rows; i++)
        if (!apply_event(kernel, frame, i))
            return KERNEL_NO_MEMORY;
    kernel->counts.frames++;
    if (frame->seq_last > kernel->last_seq)
        kernel->last_seq = frame->seq_last;
    if (frame->ts_last_ns > kernel->last_ts_ns && !advance(kernel, frame->ts_last_ns))
        return KERNEL_NO_MEMORY;
    return result;
}
