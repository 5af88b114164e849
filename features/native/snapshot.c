/* Snapshots: a header with magic, version, size and checksum, then the channel, then each instrument. Plain copies: a
 * snapshot is read by the build that wrote it or refused; hash maps are copied slot by slot, so that a restored kernel
 * writes the same bytes again. */
#include "kernel.h"

#include <stdlib.h>
#include <string.h>

#define MAGIC UINT64_C(0x31504e534b444754) /* "TGDKSNP1" */
#define VERSION 3u

struct header {
    uint64_t magic, size, checksum; /* checksum: of everything behind the header */
    uint32_t version, feature_count, flow_size, instrument_count; /* flow_size: with what is counted now */
};

struct channel_part {
    int64_t last_seq, last_ts_ns, next_tick_ns;
    double first_share;
    struct kernel_counts counts;
};

struct instrument_part {
    int64_t tick_size, lot_size;
    uint32_t id, status, bids, asks, order_count, order_capacity;
};

/* FNV-1a over 8-byte words: every part is a multiple of 8 bytes long. */
static uint64_t checksum_of(const uint8_t *bytes, size_t size)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325), word;
    for (size_t i = 0; i + 8 <= size; i += 8) {
        memcpy(&word, bytes + i, 8);
        hash = (hash ^ word) * UINT64_C(0x100000001b3);
        hash ^= hash >> 29;
    }
    return hash;
}

#define FLOW_SIZE (sizeof(struct now) + sizeof(struct flow))

static size_t book_bytes(const struct instrument_part *part)
{
    return ((size_t)part->bids + part->asks) * sizeof(struct level) + (size_t)part->order_capacity * sizeof(struct resting);
}

static struct instrument_part part_of(const struct instrument *instrument)
{
    const struct book *book = &instrument->book;
    return (struct instrument_part){
        .tick_size = instrument->tick_size,
        .lot_size = instrument->lot_size,
        .id = instrument->id,
        .status = instrument->status,
        .bids = book->sides[0].count,
        .asks = book->sides[1].count,
        .order_count = book->order_count,
        .order_capacity = book->order_capacity,
    };
}

size_t kernel_snapshot_size(const struct kernel *kernel)
{
    size_t size = sizeof(struct header) + sizeof(struct channel_part);
    for (uint32_t i = 0; i < kernel->instrument_count; i++) {
        struct instrument_part part = part_of(kernel->instruments[i]);
        size += sizeof part + FLOW_SIZE + book_bytes(&part);
    }
    return size;
}

static uint8_t *put(uint8_t *out, const void *from, size_t size)
{
    if (size)
        memcpy(out, from, size);
    return out + size;
}

void kernel_snapshot(const struct kernel *kernel, uint8_t *out)
{
    uint8_t *at = out + sizeof(struct header);
    struct channel_part channel = {kernel->last_seq, kernel->last_ts_ns, kernel->next_tick_ns, kernel->first_share, kernel->counts};
    at = put(at, &channel, sizeof channel);
    for (uint32_t i = 0; i < kernel->instrument_count; i++) {
        const struct instrument *instrument = kernel->instruments[i];
        const struct book *book = &instrument->book;
        struct instrument_part part = part_of(instrument);
        at = put(at, &part, sizeof part);
        at = put(at, &instrument->now, sizeof instrument->now);
        at = put(at, instrument->flow, sizeof *instrument->flow);
        at = put(at, book->sides[0].levels, part.bids * sizeof(struct level));
        at = put(at, book->sides[1].levels, part.asks * sizeof(struct level));
        at = put(at, book->orders, part.order_capacity * sizeof(struct resting));
    }
    struct header header = {
        .magic = MAGIC,
        .size = (uint64_t)(at - out),
        .checksum = checksum_of(out + sizeof header, (size_t)(at - out) - sizeof header),
        .version = VERSION,
        .feature_count = FEATURE_COUNT,
        .flow_size = FLOW_SIZE,
        .instrument_count = kernel->instrument_count,
    };
    put(out, &header, sizeof header);
}

static const char *fault_of(const struct header *header, const uint8_t *bytes, size_t size)
{
    if (header->magic != MAGIC)
        return "not a kernel snapshot";
    if (header->version != VERSION || header->feature_count != FEATURE_COUNT || header->flow_size != FLOW_SIZE)
        return "a snapshot of another version";
    if (header->size != size)
        return "cut short or too long";
    if (header->checksum != checksum_of(bytes + sizeof *header, size - sizeof *header))
        return "damaged (checksum)";
    return NULL;
}

/* Read one instrument; return where it ended, NULL when it does not fit. */
static const uint8_t *take(struct kernel *kernel, const uint8_t *at, const uint8_t *end)
{
    struct instrument_part part;
    if ((size_t)(end - at) < sizeof part + FLOW_SIZE)
        return NULL;
    memcpy(&part, at, sizeof part);
    at += sizeof part;
    struct instrument *instrument = kernel_instrument(kernel, part.id);
    if (!instrument || !book_reserve(&instrument->book, part.bids, part.asks, part.order_capacity))
        return NULL;
    memcpy(&instrument->now, at, sizeof instrument->now);
    at += sizeof instrument->now;
    memcpy(instrument->flow, at, sizeof *instrument->flow);
    at += sizeof *instrument->flow;
    if ((size_t)(end - at) < book_bytes(&part))
        return NULL;
    struct book *book = &instrument->book;
    instrument->status = part.status;
    instrument->tick_size = part.tick_size;
    instrument->lot_size = part.lot_size;
    book->order_count = part.order_count;
    memcpy(book->sides[0].levels, at, part.bids * sizeof(struct level));
    at += part.bids * sizeof(struct level);
    memcpy(book->sides[1].levels, at, part.asks * sizeof(struct level));
    at += part.asks * sizeof(struct level);
    book_restored(book);
    if (part.order_capacity)
        memcpy(book->orders, at, part.order_capacity * sizeof(struct resting));
    return at + part.order_capacity * sizeof(struct resting);
}

struct kernel *kernel_restore(const uint8_t *bytes, size_t size, const char **why)
{
    struct header header;
    struct channel_part channel;
    if (size < sizeof header + sizeof channel) {
        *why = "cut short";
        return NULL;
    }
    memcpy(&header, bytes, sizeof header);
    if ((*why = fault_of(&header, bytes, size)))
        return NULL;
    struct kernel *kernel = kernel_new();
    if (!kernel) {
        *why = "no memory";
        return NULL;
    }
    const uint8_t *at = bytes + sizeof header, *end = bytes + size;
    memcpy(&channel, at, sizeof channel);
    at += sizeof channel;
    kernel->last_seq = channel.last_seq;
    kernel->last_ts_ns = channel.last_ts_ns;
    kernel->next_tick_ns = channel.next_tick_ns;
    kernel->first_share = channel.first_share;
    kernel->counts = channel.counts;
    for (uint32_t i = 0; at && i < header.instrument_count; i++)
        at = take(kernel, at, end);
    if (at != end || kernel->instrument_count != header.instrument_count) {
        *why = "inconsistent";
        kernel_free(kernel);
        return NULL;
    }
    return kernel;
}
