/* The Python type `gate._native.DecisionRing`: parse, call the C core, convert. The rules live in decision_ring.c. */
#ifndef TIDEGATE_RING_OBJECT_H
#define TIDEGATE_RING_OBJECT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "ring/decision_ring.h"

typedef struct {
    PyObject_HEAD struct decision_ring ring;
    unsigned measuring; /* calls that work on the ring without the interpreter's lock */
} RingObject;

extern PyType_Spec decision_ring_spec;

/* The open ring of an object, or NULL with TypeError or ValueError set: for glue that pushes decisions. */
struct decision_ring *decision_ring_of(PyObject *object);

#endif
