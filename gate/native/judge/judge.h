/* One judgement: the order, the rows that count for it, what its account has, and what accepting it would change.
 *
 * Each function asks one group of questions, in the order that the reasons are documented in, and writes what it learnt into
 * the judgement, so that booking need not compute anything again. None of them changes the ledger. */
#ifndef TIDEGATE_JUDGE_H
#define TIDEGATE_JUDGE_H

#include "ledger/ledger.h"

struct judgement {
    const struct gate *gate;
    const struct order *order;
    int64_t now_ns;
    struct decision *out;
    struct account *account;           /* NULL: none yet, judged as a fresh one */
    struct position *position;         /* NULL: none yet */
    struct working *target;            /* of a replace */
    struct account_terms *terms;
    const struct account *as_account;  /* as they count: those of the ledger, or fresh ones */
    const struct position *as_position;
    enum limit_read found;             /* whether there are words */
    struct limit_row_seen seen;
    bool exit;                         /* reduces, and said so */
    bool trips;                        /* the refusal disables the strategy until a person looks */
    int64_t price;                     /* the worst at which the order may trade */
    int64_t added;                     /* lots that the working side grows by */
    wide value;                        /* at that price */
    wide up, down, gross;              /* of the position, with this order */
    int64_t firm_units;
    int64_t tokens, tokens_ns, weight; /* of the account's bucket after the refill, in 1e-9 messages */
    struct message_rate session_rate;
    bool session_is_rated;             /* then accepting takes the weight of the session's bucket too */
    uint64_t parent;                   /* the order's own, or its target's */
    int64_t parent_added;
    uint32_t strategy_at, basket_at, parent_at;
    int64_t in_force[LIMIT_COUNT];
    uint64_t words[LIMIT_ROW_WORDS];   /* of the instrument's row */
};

static inline int64_t word(const struct judgement *j, enum word which)
{
    return (int64_t)j->words[which];
}

/* Remember the numbers that decided. */
static inline enum order_reason refuse(struct judgement *j, enum order_reason reason, int64_t limit, int64_t observed)
{
    j->out->has_numbers = true;
    j->out->limit = limit;
    j->out->observed = observed;
    return reason;
}

#define MESSAGE INT64_C(1000000000) /* a bucket counts in 1e-9 messages: messages a second times nanoseconds */
#define MESSAGE_PERMILLE (MESSAGE / 1000)

static inline int64_t bucket_size(int64_t message_burst)
{
    const int64_t burst_max = (INT64_C(1) << 62) / MESSAGE;
    return (message_burst < burst_max ? message_burst : burst_max) * MESSAGE;
}

bool was_sent(const struct judgement *j);                            /* an equal order a moment ago */
enum order_reason judge_rate(struct judgement *j);                   /* the part of judge_repeats about messages */
enum order_reason judge_strategy(struct judgement *j);               /* and about repeated execution */
enum order_reason judge_rated_session(struct judgement *j);          /* the session's rate, if people set one */
int64_t tokens_filled(struct message_rate rate, int64_t tokens, int64_t tokens_ns, int64_t now_ns); /* a bucket as it is now */
int64_t tokens_held(const struct account *account, const struct account_limits *limits);
void judge_weight(struct judgement *j);                              /* what the position weighs with this order */

/* Whether the session has messages left, too. */
static inline enum order_reason judge_session(struct judgement *j)
{
    uint64_t session = j->order->session;
    return session == 0 || !limit_account_may_be(&j->gate->table, session) ? REASON_OK : judge_rated_session(j);
}

/* Take of the session's bucket what the order weighs: another account may have emptied it since it was judged. Or give it back. */
enum order_reason session_spend(struct judgement *j);
void session_return(struct judgement *j);

/* Find account and position, those that count and those that are. */
void judge_find(struct judgement *j, struct account *account);

enum order_reason judge_form(const struct order *order);             /* is it an order at all? */
enum order_reason judge_scopes(struct judgement *j);                 /* is something blocked that it belongs to? */
enum order_reason judge_account_limits(struct judgement *j);         /* what may the account do? */
enum order_reason judge_limits_set(struct judgement *j);             /* which limits are in force? */
enum order_reason judge_terms(struct judgement *j);                  /* quantity, tick, size */
enum order_reason judge_price(struct judgement *j);                  /* reference, bands, collar, value */
enum order_reason judge_soft(struct judgement *j);                   /* warnings and second persons */

enum order_reason judge_standing(struct judgement *j);               /* session, reconciliation, replace target, exit */
enum order_reason judge_repeats(struct judgement *j);                /* duplicates, message rate, repeated execution */
enum order_reason judge_sums(struct judgement *j);                   /* period, basket, parent */
enum order_reason judge_lots(struct judgement *j);                   /* long, short, locate, self-match, open orders */
enum order_reason judge_values(struct judgement *j);                 /* concentration, gross, net, credit, losses */

/* Whether nothing is wrong with the order, as far as can be told from what was kept of the last one: yes, or do not know.
 * Wants gate, order, time and account; on yes value, strategy slot and evidence are set. Under the lock. */
bool judge_quickly(struct judgement *j, struct quick *quick);

/* Keep what the row says for the next order of the position; after judge_price, under the lock. */
void keep_terms(struct judgement *j);

/* Make anew what changed since: of the account, or of the position. False: the numbers are beyond what is answered quickly. */
bool make_room(struct account *account);
bool settle_quick(struct ledger *ledger, struct quick *quick);

bool session_is_down(const struct ledger *ledger, uint64_t session);

/* Hash of what makes two orders equal, next to account and instrument. */
uint64_t order_content(const struct order *order);

/* A strategy, basket or parent in its table: the place, or NONE when there is none (and none free, where one may be taken). */
uint32_t strategy_place(const struct account *account, uint64_t strategy, const struct account_limits *limits, int64_t now_ns);
uint32_t basket_place(const struct account *account, uint64_t basket, const struct account_limits *limits, int64_t now_ns);
uint32_t parent_place(const struct account *account, uint64_t parent);

/* The sum of the values of the running period; `*index` is the bucket that now falls in. */
int64_t period_width(const struct account_limits *limits);
bool period_is_kept(const struct account *account, const struct account_limits *limits);
bool period_runs(const struct account *account, const struct account_limits *limits, int64_t now_ns);
wide period_sum(const struct account *account, const struct account_limits *limits, int64_t now_ns, int64_t *index);

#endif
