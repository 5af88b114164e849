/* What each kind of event means to an instrument. */
#include "events.h"

#include "kernel.h"

#define REBUILDING (UINT32_C(1) << 31) /* never in a row: between the begin and the end of a snapshot */

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
    instrument->now.renewed = 1;
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
        instrument->now.added += !(instrument->status & REBUILDING);
        return book_add(book, counts, event.order_id, event.side, event.price, event.qty);
    case KIND_REPLACE:
        instrument->now.added++;
        instrument->now.cancelled++;
        return book_replace(book, counts, &event);
    case KIND_REDUCE:
    case KIND_DELETE:
        instrument->now.cancelled++;
        book_take(book, counts, &event, frame->kind[i] == KIND_DELETE);
        return BOOK_OK;
    case KIND_EXECUTE:
        now_traded(&instrument->now, &instrument->flow->buckets, event.side, event.qty);
        book_take(book, counts, &event, false);
        return BOOK_OK;
    case KIND_LEVEL_SET:
        return book_set_level(book, event.side, event.price, event.qty);
    default: /* trades that leave the visible book alone */
        now_traded(&instrument->now, &instrument->flow->buckets, event.side, event.qty);
        return BOOK_OK;
    }
}

void kernel_event(struct kernel *kernel, const struct frame *frame, size_t i)
{
    kernel->counts.events++;
    if (!is_sound(frame, i)) {
        kernel->counts.book.bad_event++;
        return;
    }
    struct instrument *instrument = kernel_instrument(kernel, frame->instrument_id[i]);
    if (!instrument) {
        kernel->counts.bound_hit++;
        return;
    }
    instrument->is_due = true;
    if (frame->kind[i] >= KIND_SNAPSHOT_BEGIN) {
        apply_status(instrument, frame, i);
        return;
    }
    struct top before = top_of(&instrument->book);
    if (apply_to_book(kernel, instrument, frame, i) != BOOK_OK)
        mark_bound(kernel, instrument);
    if (instrument->status & STATUS_STALE)
        return; /* a book under repair says nothing about flow */
    now_arrived(&instrument->now, kernel->last_ts_ns);
    now_book_changed(&instrument->now, &before, &instrument->book);
    if (frame->kind[i] != KIND_EXECUTE)
        return;
    int which = frame->side[i] > 0 ? 0 : 1;
    const struct level *had = which == 0 ? &before.bid : &before.ask, *has = &instrument->book.sides[which].best;
    if (had->qty && (!has->qty || has->price != had->price))
        instrument->now.hit[which] = 1;
}
