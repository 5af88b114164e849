/* The Python type `gate._native.LimitTable`: parse, call the C core, convert. The rules live in limit_table.c and
 * order_check.c. */
#ifndef TIDEGATE_TABLE_OBJECT_H
#define TIDEGATE_TABLE_OBJECT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "order_check.h"

struct gate_state {
    PyObject *table_error;
    PyTypeObject *table_type, *row_type, *decision_type;
};

typedef struct {
    PyObject_HEAD struct limit_table table;
} TableObject;

extern PyType_Spec limit_table_spec;
extern PyStructSequence_Desc limit_row_desc, decision_desc;

/* Return true when the table is open, else set ValueError. */
bool table_is_open(TableObject *self);

/* Parse (instrument_id, account_hash, action, side, order_type, qty, price, now_ns); false with an error set. */
bool table_to_order(PyObject *const *args, Py_ssize_t count, struct order *order, int64_t *now_ns);

#endif
