/* A route is who sends: account, trader, desk, strategy, venue, session, hashed once. Orders are judged through it. */
#ifndef TIDEGATE_ROUTE_OBJECT_H
#define TIDEGATE_ROUTE_OBJECT_H

#include "python/gate_object.h"
#include "python/table_object.h"
#include "tidegate_gate.h"

typedef struct {
    PyObject_HEAD TableObject *table; /* kept alive: the gate reads its memory */
    PyObject *ring;                        /* where submitted orders' decisions go, or NULL */
    struct gate gate;
} GateObject;

typedef struct {
    PyObject_HEAD GateObject *gate;
    struct order order; /* the sender's fields are set, the others are of the last call */
} RouteObject;

/* Return true when the gate and its table are open, else set ValueError. */
bool gate_is_open(GateObject *self);

/* bench_object.c: (mode, orders, samples) -> (ended as they should, ns per clock unit, ns of all). */
PyObject *gate_measure(GateObject *self, PyObject *args);

#endif
