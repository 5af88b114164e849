/* The Python type `gate._native.LimitTable`. The rules live in limit_table.c, limit_set.c and limit_file.c. */
#ifndef TIDEGATE_TABLE_OBJECT_H
#define TIDEGATE_TABLE_OBJECT_H

#include "python/module.h"

#include "table/limit_table.h"

typedef struct {
    PyObject_HEAD struct limit_table table;
} TableObject;

extern PyType_Spec limit_table_spec;

struct gate_state *table_state(TableObject *self);

/* Return true when the table is open, else set ValueError; when it may be written, else set LimitTableError. */
bool table_is_open(TableObject *self);
bool table_is_writable(TableObject *self);

/* Methods about the sets; table_sets.c. */
PyObject *table_set_put(TableObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *table_set_drop(TableObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *table_set_find(TableObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *table_set_fit(TableObject *self, PyObject *kind);
PyObject *table_set_members(TableObject *self, PyObject *kind);
PyObject *table_set_overflowed(TableObject *self, PyObject *kind);

#endif
