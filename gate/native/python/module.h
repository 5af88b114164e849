/* What the types of `gate._native` share. A new type is a word in `enum gate_type` and a line in `types` of module.c. */
#ifndef TIDEGATE_MODULE_H
#define TIDEGATE_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

enum gate_type { TYPE_LIMIT_TABLE, TYPE_GATE, TYPE_ROUTE, TYPE_DECISION, TYPE_DECISION_RING, TYPE_COUNT };

struct gate_state {
    PyObject *table_error; /* LimitTableError */
    PyTypeObject *types[TYPE_COUNT];
};

#endif
