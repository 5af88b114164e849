/* The methods of `gate._native.LimitTable` that are about its sets: parse, call limit_set.c, convert. */
#include "python/table_object.h"

struct set_arguments {
    enum limit_set_kind kind;
    unsigned long long hash;
    long long number;
};

/* Parse kind, hash and number, of which a method takes the first `wanted`. */
static bool set_arguments(PyObject *const *args, Py_ssize_t count, Py_ssize_t wanted, struct set_arguments *out)
{
    if (count != wanted) {
        PyErr_Format(PyExc_TypeError, "%zd arguments were wanted, %zd were given", wanted, count);
        return false;
    }
    long kind = PyLong_AsLong(args[0]);
    if (kind == -1 && PyErr_Occurred())
        return false;
    if (kind < 0 || kind >= LIMIT_SETS) {
        PyErr_Format(PyExc_ValueError, "a set is 0 to %d, was %ld", LIMIT_SETS - 1, kind);
        return false;
    }
    out->kind = (enum limit_set_kind)kind;
    out->hash = wanted > 1 ? PyLong_AsUnsignedLongLong(args[1]) : 0;
    out->number = wanted > 2 && !PyErr_Occurred() ? PyLong_AsLongLong(args[2]) : 0;
    return !PyErr_Occurred();
}

PyObject *table_set_put(TableObject *self, PyObject *const *args, Py_ssize_t count)
{
    struct set_arguments given;
    if (!set_arguments(args, count, 3, &given) || !table_is_writable(self))
        return NULL;
    if (given.hash == 0) {
        PyErr_SetString(PyExc_ValueError, "hash 0 means none and is no member");
        return NULL;
    }
    return PyBool_FromLong(limit_set_put(&self->table, given.kind, given.hash, given.number));
}

PyObject *table_set_drop(TableObject *self, PyObject *const *args, Py_ssize_t count)
{
    struct set_arguments given;
    if (!set_arguments(args, count, 2, &given) || !table_is_writable(self))
        return NULL;
    limit_set_drop(&self->table, given.kind, given.hash);
    Py_RETURN_NONE;
}

PyObject *table_set_fit(TableObject *self, PyObject *arg)
{
    struct set_arguments given;
    if (!set_arguments(&arg, 1, 1, &given) || !table_is_writable(self))
        return NULL;
    limit_set_fit(&self->table, given.kind);
    Py_RETURN_NONE;
}

PyObject *table_set_find(TableObject *self, PyObject *const *args, Py_ssize_t count)
{
    struct set_arguments given;
    int64_t number;
    if (!set_arguments(args, count, 2, &given) || !table_is_open(self))
        return NULL;
    if (!limit_set_find(&self->table, given.kind, given.hash, &number))
        Py_RETURN_NONE;
    return PyLong_FromLongLong(number);
}

PyObject *table_set_members(TableObject *self, PyObject *arg)
{
    struct set_arguments given;
    struct limit_member members[LIMIT_SET_CAPACITY];
    if (!set_arguments(&arg, 1, 1, &given) || !table_is_open(self))
        return NULL;
    int count = limit_set_list(&self->table, given.kind, members);
    if (count < 0)
        return PyErr_Format(table_state(self)->table_error, "torn read of set %d", (int)given.kind);
    PyObject *found = PyDict_New();
    for (int i = 0; found && i < count; i++) {
        PyObject *hash = PyLong_FromUnsignedLongLong(members[i].hash), *number = PyLong_FromLongLong(members[i].number);
        if (!hash || !number || PyDict_SetItem(found, hash, number) < 0)
            Py_CLEAR(found);
        Py_XDECREF(hash);
        Py_XDECREF(number);
    }
    return found;
}

PyObject *table_set_overflowed(TableObject *self, PyObject *arg)
{
    struct set_arguments given;
    if (!set_arguments(&arg, 1, 1, &given) || !table_is_open(self))
        return NULL;
    return PyBool_FromLong(
        atomic_load_explicit(&self->table.header->sets[given.kind].overflowed, memory_order_acquire) != 0);
}
