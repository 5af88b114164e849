#include "python/route_object.h"

#include "python/ring_object.h"

bool gate_is_open(GateObject *self)
{
    if (!self->gate.ledger) {
        PyErr_SetString(PyExc_ValueError, "the gate was closed");
        return false;
    }
    return table_is_open(self->table);
}

static PyObject *open_failed(struct gate_state *state, enum gate_open result, PyObject *path)
{
    switch (result) {
    case GATE_OPEN_SYSTEM:
        return PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, path);
    case GATE_OPEN_SIZES:
        return PyErr_Format(PyExc_ValueError, "accounts must be 1 to 4096, positions and orders 1 to %u", 1u << 20);
    case GATE_OPEN_LEDGER_LOCKED:
        return PyErr_Format(state->table_error, "%S: another process holds the ledger", path);
    default:
        return PyErr_Format(state->table_error, "%S: this is no ledger of these sizes", path);
    }
}

static PyObject *gate_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"table", "ledger_path", "ring", "accounts", "positions", "orders", "snapshot", NULL};
    PyObject *table, *path = NULL, *ring = NULL, *whole = NULL;
    Py_buffer snapshot = {0};
    struct gate_sizes sizes = {256, 8192, 65536};
    struct gate_state *state = PyType_GetModuleState(type);
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!|O$OIIIO:Gate", names, state->types[TYPE_LIMIT_TABLE], &table, &path, &ring,
                                     &sizes.accounts, &sizes.positions, &sizes.orders, &whole))
        return NULL;
    PyObject *name = NULL;
    bool is_sound = (!ring || ring == Py_None || decision_ring_of(ring)) && table_is_open((TableObject *)table) &&
                    (!path || path == Py_None || PyUnicode_FSConverter(path, &name)) &&
                    (!whole || whole == Py_None || PyObject_GetBuffer(whole, &snapshot, PyBUF_SIMPLE) == 0);
    if (is_sound && name && snapshot.buf) {
        PyErr_SetString(PyExc_ValueError, "a snapshot is loaded into a ledger of this process alone, not into a file");
        is_sound = false;
    }
    GateObject *self = is_sound ? (GateObject *)type->tp_alloc(type, 0) : NULL;
    if (self) {
        self->gate.ledger_fd = -1;
        self->table = (TableObject *)Py_NewRef(table);
        self->ring = ring && ring != Py_None ? Py_NewRef(ring) : NULL;
        enum gate_open result = gate_open_on(&self->gate, &self->table->table, name ? PyBytes_AS_STRING(name) : NULL, sizes);
        if (result != GATE_OPEN_OK) {
            open_failed(state, result, path ? path : Py_None);
            Py_CLEAR(self);
        } else if (snapshot.buf && !gate_restore(&self->gate, snapshot.buf, (size_t)snapshot.len)) {
            PyErr_SetString(state->table_error, "the snapshot is damaged, or not of a ledger of these sizes");
            Py_CLEAR(self);
        }
    }
    if (snapshot.obj)
        PyBuffer_Release(&snapshot);
    Py_XDECREF(name);
    return (PyObject *)self;
}

static void gate_dealloc(GateObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    gate_close(&self->gate);
    Py_XDECREF(self->table);
    Py_XDECREF(self->ring);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *object_close(GateObject *self, PyObject *Py_UNUSED(ignored))
{
    gate_close(&self->gate);
    Py_RETURN_NONE;
}

static PyObject *object_enter(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return Py_NewRef(self);
}

static PyObject *object_exit(GateObject *self, PyObject *Py_UNUSED(args))
{
    return object_close(self, NULL);
}

static PyObject *object_route(GateObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"account", "trader", "desk", "strategy", "venue", "session", NULL};
    unsigned long long account, trader = 0, desk = 0, strategy = 0, venue = 0, session = 0;
    struct gate_state *state = PyType_GetModuleState(Py_TYPE(self));
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "K|KKKKK:route", names, &account, &trader, &desk, &strategy, &venue, &session))
        return NULL;
    PyTypeObject *type = state->types[TYPE_ROUTE];
    RouteObject *route = (RouteObject *)type->tp_alloc(type, 0);
    if (!route)
        return NULL;
    route->gate = (GateObject *)Py_NewRef(self);
    route->order = (struct order){.account = account, .trader = trader, .desk = desk, .strategy = strategy, .venue = venue,
                                  .session = session};
    return (PyObject *)route;
}

static PyObject *object_filled(GateObject *self, PyObject *args)
{
    unsigned long long account, order_id;
    long long qty, price;
    if (!PyArg_ParseTuple(args, "KKLL:filled", &account, &order_id, &qty, &price) || !gate_is_open(self))
        return NULL;
    return PyBool_FromLong(gate_filled(&self->gate, account, order_id, qty, price));
}

static PyObject *object_closed(GateObject *self, PyObject *args)
{
    unsigned long long account, order_id;
    if (!PyArg_ParseTuple(args, "KK:closed", &account, &order_id) || !gate_is_open(self))
        return NULL;
    return PyBool_FromLong(gate_closed(&self->gate, account, order_id));
}

static PyObject *object_replaced(GateObject *self, PyObject *args)
{
    unsigned long long account, order_id;
    if (!PyArg_ParseTuple(args, "KK:replaced", &account, &order_id) || !gate_is_open(self))
        return NULL;
    return PyBool_FromLong(gate_replaced(&self->gate, account, order_id));
}

static PyObject *object_executed(GateObject *self, PyObject *args)
{
    unsigned long long account;
    long long instrument_id, qty, price;
    int side;
    if (!PyArg_ParseTuple(args, "KLiLL:executed", &account, &instrument_id, &side, &qty, &price) || !gate_is_open(self))
        return NULL;
    return PyBool_FromLong(gate_executed(&self->gate, account, instrument_id, side, qty, price));
}

static PyObject *object_parent(GateObject *self, PyObject *args)
{
    unsigned long long account, parent;
    long long qty;
    if (!PyArg_ParseTuple(args, "KKL:parent", &account, &parent, &qty) || !gate_is_open(self))
        return NULL;
    return PyBool_FromLong(gate_parent(&self->gate, account, parent, qty));
}

static PyObject *object_session(GateObject *self, PyObject *args)
{
    unsigned long long session;
    int up;
    if (!PyArg_ParseTuple(args, "Kp:session", &session, &up) || !gate_is_open(self))
        return NULL;
    return PyBool_FromLong(gate_session(&self->gate, session, up));
}

static PyObject *object_reconcile(GateObject *self, PyObject *args)
{
    unsigned long long account;
    long long instrument_id, held;
    int done;
    int64_t was;
    if (!PyArg_ParseTuple(args, "KLLp:reconcile", &account, &instrument_id, &held, &done) || !gate_is_open(self))
        return NULL;
    bool fits = gate_reconcile(&self->gate, account, instrument_id, held, done, &was);
    return fits ? PyLong_FromLongLong(was) : Py_NewRef(Py_None);
}

static PyObject *object_new_day(GateObject *self, PyObject *Py_UNUSED(ignored))
{
    if (!gate_is_open(self))
        return NULL;
    gate_new_day(&self->gate);
    Py_RETURN_NONE;
}

static PyObject *object_new_day_account(GateObject *self, PyObject *args)
{
    unsigned long long account;
    if (!PyArg_ParseTuple(args, "K:new_day_account", &account) || !gate_is_open(self))
        return NULL;
    gate_new_day_account(&self->gate, account);
    Py_RETURN_NONE;
}

static PyObject *object_mark(GateObject *self, PyObject *Py_UNUSED(ignored))
{
    if (!gate_is_open(self))
        return NULL;
    gate_mark(&self->gate);
    Py_RETURN_NONE;
}

static PyObject *object_mark_account(GateObject *self, PyObject *args)
{
    unsigned long long account;
    PyObject *given;
    if (!PyArg_ParseTuple(args, "KO:mark_account", &account, &given) || !gate_is_open(self))
        return NULL;
    PyObject *listed = PySequence_Fast(given, "instruments must be a sequence");
    if (!listed)
        return NULL;
    Py_ssize_t count = PySequence_Fast_GET_SIZE(listed);
    int64_t *instruments = PyMem_New(int64_t, count ? count : 1);
    for (Py_ssize_t i = 0; instruments && i < count; i++)
        instruments[i] = PyLong_AsLong(PySequence_Fast_GET_ITEM(listed, i));
    Py_DECREF(listed);
    if (!instruments)
        return PyErr_NoMemory();
    if (!PyErr_Occurred())
        gate_mark_account(&self->gate, account, instruments, (size_t)count);
    PyMem_Free(instruments);
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

/* A 128-bit number: high half times 2^64 and the low half. */
static PyObject *wide_value(__int128 number)
{
    unsigned char bytes[16];
    memcpy(bytes, &number, sizeof bytes);
    return _PyLong_FromByteArray(bytes, sizeof bytes, 1, 1);
}

/* Append an item and give it up; false when either failed. */
static bool append(PyObject *list, PyObject *item)
{
    bool added = item && PyList_Append(list, item) == 0;
    Py_XDECREF(item);
    return added;
}

static PyObject *object_positions(GateObject *self, PyObject *Py_UNUSED(ignored))
{
    struct gate_position found;
    uint32_t cursor = 0;
    PyObject *list = gate_is_open(self) ? PyList_New(0) : NULL;
    while (list && gate_next_position(&self->gate, &cursor, &found)) {
        PyObject *item = Py_BuildValue("KLLLLN", (unsigned long long)found.account, (long long)found.instrument_id,
                                       (long long)found.position, (long long)found.working_buy,
                                       (long long)found.working_sell, wide_value(found.cash));
        if (!append(list, item))
            Py_CLEAR(list);
    }
    return list;
}

static PyObject *object_working(GateObject *self, PyObject *Py_UNUSED(ignored))
{
    struct gate_working o;
    uint32_t cursor = 0;
    PyObject *list = gate_is_open(self) ? PyList_New(0) : NULL;
    while (list && gate_next_working(&self->gate, &cursor, &o)) {
        PyObject *item = Py_BuildValue("KKKKKKKLLLiN", (unsigned long long)o.account, (unsigned long long)o.order_id,
                                       (unsigned long long)o.trader, (unsigned long long)o.desk,
                                       (unsigned long long)o.strategy, (unsigned long long)o.venue,
                                       (unsigned long long)o.session, (long long)o.instrument_id, (long long)o.open_qty,
                                       (long long)o.price, (int)o.side, PyBool_FromLong(o.blocked));
        if (!append(list, item))
            Py_CLEAR(list);
    }
    return list;
}

static PyObject *object_counters(GateObject *self, PyObject *Py_UNUSED(ignored))
{
    if (!gate_is_open(self))
        return NULL;
    struct gate_counters c = gate_counters(&self->gate);
    return Py_BuildValue("{sKsKsKsKsKsK}", "accepted", (unsigned long long)c.accepted, "refused",
                         (unsigned long long)c.refused, "pended", (unsigned long long)c.pended, "unknown_reports",
                         (unsigned long long)c.unknown_reports, "overfills", (unsigned long long)c.overfills,
                         "torn_accounts", (unsigned long long)c.torn_accounts);
}

static PyObject *object_snapshot(GateObject *self, PyObject *Py_UNUSED(ignored))
{
    if (!gate_is_open(self))
        return NULL;
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)gate_snapshot_bytes(&self->gate));
    if (bytes)
        gate_snapshot(&self->gate, PyBytes_AS_STRING(bytes));
    return bytes;
}

static PyMethodDef gate_methods[] = {
    {"snapshot", (PyCFunction)object_snapshot, METH_NOARGS, "Return the ledger as bytes."},
    {"route", (PyCFunction)(void (*)(void))object_route, METH_VARARGS | METH_KEYWORDS, "Return who sends, hashed once."},
    {"filled", (PyCFunction)object_filled, METH_VARARGS, "Book a fill of a working order."},
    {"closed", (PyCFunction)object_closed, METH_VARARGS, "The order was cancelled or rejected, or has expired."},
    {"replaced", (PyCFunction)object_replaced, METH_VARARGS, "The replace took effect."},
    {"executed", (PyCFunction)object_executed, METH_VARARGS, "Book an execution without a working order here."},
    {"parent", (PyCFunction)object_parent, METH_VARARGS, "Declare a parent order."},
    {"session", (PyCFunction)object_session, METH_VARARGS, "A session is lost, or back."},
    {"reconcile", (PyCFunction)object_reconcile, METH_VARARGS, "Set a position; return what the gate believed."},
    {"new_day", (PyCFunction)object_new_day, METH_NOARGS, "Start a day."},
    {"new_day_account", (PyCFunction)object_new_day_account, METH_VARARGS, "Start a day of one account."},
    {"mark", (PyCFunction)object_mark, METH_NOARGS, "Mark every position at the reference price."},
    {"mark_account", (PyCFunction)object_mark_account, METH_VARARGS, "Mark what an account holds in some instruments."},
    {"positions", (PyCFunction)object_positions, METH_NOARGS, "Return the positions."},
    {"working", (PyCFunction)object_working, METH_NOARGS, "Return the working orders."},
    {"measure", (PyCFunction)gate_measure, METH_VARARGS, "Time judgements inside C."},
    {"counters", (PyCFunction)object_counters, METH_NOARGS, "Return what was counted."},
    {"close", (PyCFunction)object_close, METH_NOARGS, "Give everything back; the ledger's file stays."},
    {"__enter__", object_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)object_exit, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot gate_slots[] = {
    {Py_tp_doc, "The gate of one trading process: a limit table, a ledger, and the judgement between them."},
    {Py_tp_new, gate_new},
    {Py_tp_dealloc, gate_dealloc},
    {Py_tp_methods, gate_methods},
    {0, NULL},
};

PyType_Spec gate_spec = {
    .name = "gate._native.Gate",
    .basicsize = sizeof(GateObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = gate_slots,
};
