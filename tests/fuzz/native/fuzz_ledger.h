/* Random tables, orders and reports for gate_fuzz.c, and the laws of a ledger. */
#ifndef TIDEGATE_FUZZ_LEDGER_H
#define TIDEGATE_FUZZ_LEDGER_H

#include "ledger/ledger.h"

#define FUZZ_INSTRUMENTS 12
#define FUZZ_ACCOUNTS 6
#define FUZZ_SIZES ((struct gate_sizes){8, 64, 128})
#define FUZZ_POSITION_SLOTS_MAX 128

struct fuzz_counts {
    int64_t checks, accepted, attached, adopted, crashed;
};

void seed(uint64_t number);
uint64_t draw(uint64_t below);
int64_t number(uint64_t below); /* small, or extreme */
void require(bool held, const char *law);

void fill_table(struct limit_table *table);
void change_table(struct limit_table *table, int64_t now_ns);
struct order random_order(void);
void report_something(struct gate *gate);

void require_sums(struct gate *gate);   /* what a ledger adds up is the sum of its parts */
void require_closed(struct gate *gate); /* an account that is not reconciled refuses */

uint8_t *bytes_of(const char *path, size_t *size);
void write_damaged(const char *path, const uint8_t *whole, size_t size);

#endif
