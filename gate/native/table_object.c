#include "table_object.h"

static PyStructSequence_Field row_fields[] = {
    {"instrument_id", NULL},    {"envelope_qty", NULL},      {"dynamic_qty", NULL},    {"stale_qty", NULL},
    {"envelope_band_bps", NULL}, {"dynamic_band_bps", NULL}, {"stale_band_bps", NULL}, {"halted", NULL},
    {"killed", NULL},           {"stale", NULL},             {"tier", NULL},           {"ref_price", NULL},
    {"valid_until_ns", NULL},   {"epoch", NULL},             {"tick_ns", NULL},        {"model_id", NULL},
    {"score", NULL},            {"written_ns", NULL},        {NULL, NULL},
};
PyStructSequence_Desc limit_row_desc = {"gate._native.LimitRow", NULL, row_fields, 18};

static PyStructSequence_Field decision_fields[] = {
    {"reason", NULL}, {"limit", NULL}, {"observed", NULL}, {"stale", NULL}, {"tier", NULL},
    {"epoch", NULL},  {"tick_ns", NULL}, {"model_id", NULL}, {"score", NULL}, {NULL, NULL},
};
PyStructSequence_Desc decision_desc = {"gate._native.Decision", NULL, decision_fields, 9};

static struct gate_state *state_of(PyTypeObject *type)
{
    return PyType_GetModuleState(type);
}

/* Move `values` into a new structure of `type`; a NULL among them is an error already set. */
static PyObject *structure(PyTypeObject *type, PyObject **values, Py_ssize_t count)
{
    bool complete = true;
    for (Py_ssize_t i = 0; i < count; i++)
        complete = complete && values[i];
    PyObject *made = complete ? PyStructSequence_New(type) : NULL;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (made)
            PyStructSequence_SetItem(made, i, values[i]);
        else
            Py_XDECREF(values[i]);
    }
    return made;
}

static PyObject *limit_value(int64_t limit)
{
    return limit < 0 ? Py_NewRef(Py_None) : PyLong_FromLongLong(limit);
}

static PyObject *model_value(const char model_id[LIMIT_MODEL_ID_BYTES])
{
    return PyUnicode_DecodeASCII(model_id, (Py_ssize_t)strnlen(model_id, LIMIT_MODEL_ID_BYTES), "replace");
}

bool table_is_open(TableObject *self)
{
    if (self->table.header)
        return true;
    PyErr_SetString(PyExc_ValueError, "the limit table was closed");
    return false;
}

static bool is_writable(TableObject *self)
{
    if (!table_is_open(self))
        return false;
    if (!self->table.writable)
        PyErr_SetString(state_of(Py_TYPE(self))->table_error, "the limit table was attached for reading");
    return self->table.writable;
}

static PyObject *open_failed(PyTypeObject *type, enum limit_open result, const char *path, uint64_t found)
{
    PyObject *error = state_of(type)->table_error;
    unsigned long long was = found;
    switch (result) {
    case LIMIT_OPEN_SYSTEM:
        return path ? PyErr_SetFromErrnoWithFilename(PyExc_OSError, path) : PyErr_SetFromErrno(PyExc_OSError);
    case LIMIT_OPEN_CAPACITY:
        return PyErr_Format(error, "capacity must be 1 to %u", LIMIT_TABLE_CAPACITY_MAX);
    case LIMIT_OPEN_LOCKED:
        return PyErr_Format(error, "%s: another writer holds the lock", path);
    case LIMIT_OPEN_MAGIC:
        return PyErr_Format(error, "%s: wrong magic: this is no limit table", path);
    case LIMIT_OPEN_VERSION:
        return PyErr_Format(error, "%s: wrong version: was %llu, wanted %u", path, was, LIMIT_TABLE_VERSION);
    case LIMIT_OPEN_ROW_SIZE:
        return PyErr_Format(error, "%s: wrong row size: was %llu, wanted %zu", path, was, sizeof(struct limit_slot));
    default:
        return PyErr_Format(error, "%s: wrong size: %llu bytes do not fit the header", path, was);
    }
}

static PyObject *opened(PyTypeObject *type, struct limit_table *table)
{
    TableObject *self = (TableObject *)type->tp_alloc(type, 0);
    if (!self) {
        limit_table_close(table);
        return NULL;
    }
    self->table = *table;
    return (PyObject *)self;
}

static PyObject *table_create(PyObject *type, PyObject *args)
{
    PyObject *path = NULL;
    unsigned int capacity;
    struct limit_table table;
    if (!PyArg_ParseTuple(args, "O&I:create", PyUnicode_FSConverter, &path, &capacity))
        return NULL;
    const char *name = PyBytes_AS_STRING(path);
    enum limit_open result = limit_table_create(&table, name, capacity);
    PyObject *made = result == LIMIT_OPEN_OK ? opened((PyTypeObject *)type, &table)
                                             : open_failed((PyTypeObject *)type, result, name, 0);
    Py_DECREF(path);
    return made;
}

static PyObject *table_attach(PyObject *type, PyObject *args)
{
    PyObject *path = NULL;
    uint64_t found;
    struct limit_table table;
    if (!PyArg_ParseTuple(args, "O&:attach", PyUnicode_FSConverter, &path))
        return NULL;
    const char *name = PyBytes_AS_STRING(path);
    enum limit_open result = limit_table_attach(&table, name, &found);
    PyObject *made = result == LIMIT_OPEN_OK ? opened((PyTypeObject *)type, &table)
                                             : open_failed((PyTypeObject *)type, result, name, found);
    Py_DECREF(path);
    return made;
}

static PyObject *table_private(PyObject *type, PyObject *args)
{
    unsigned int capacity;
    struct limit_table table;
    if (!PyArg_ParseTuple(args, "I:private", &capacity))
        return NULL;
    enum limit_open result = limit_table_private(&table, capacity);
    return result == LIMIT_OPEN_OK ? opened((PyTypeObject *)type, &table)
                                   : open_failed((PyTypeObject *)type, result, NULL, 0);
}

static PyObject *table_close(TableObject *self, PyObject *Py_UNUSED(ignored))
{
    limit_table_close(&self->table);
    Py_RETURN_NONE;
}

static PyObject *table_enter(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return Py_NewRef(self);
}

static PyObject *table_exit(TableObject *self, PyObject *const *Py_UNUSED(args), Py_ssize_t Py_UNUSED(count))
{
    return table_close(self, NULL);
}

static void table_dealloc(TableObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (self->table.header)
        limit_table_close(&self->table);
    type->tp_free(self);
    Py_DECREF(type);
}

static int to_limit(PyObject *value, void *out)
{
    int64_t limit = value == Py_None ? LIMIT_UNSET : PyLong_AsLongLong(value);
    if (limit == -1 && PyErr_Occurred())
        return 0;
    if (limit < 0 && value != Py_None) {
        PyErr_Format(PyExc_ValueError, "a limit must be None or at least 0, was %R", value);
        return 0;
    }
    *(int64_t *)out = limit;
    return 1;
}

static PyObject *table_put(TableObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"instrument_id",  "envelope_qty",     "dynamic_qty", "stale_qty", "envelope_band_bps",
                            "dynamic_band_bps", "stale_band_bps", "halted",      "killed",    "stale",
                            "tier",           "ref_price",        "valid_until_ns", "epoch",  "tick_ns",
                            "model_id",       "score",            "written_ns",  NULL};
    struct limit_row row = {0};
    long long instrument_id, ref_price = 0, valid_until_ns = 0, epoch = 0, tick_ns = 0, written_ns = 0;
    int halted = 0, killed = 0, stale = 0, tier = 0;
    const char *model_id = "";
    Py_ssize_t model_bytes = 0;
    for (int column = 0; column < LIMIT_COLUMNS; column++)
        row.qty[column] = row.band_bps[column] = LIMIT_UNSET;
    if (!is_writable(self) ||
        !PyArg_ParseTupleAndKeywords(args, kwargs, "L|$O&O&O&O&O&O&pppiLLLLs#dL:put", names, &instrument_id, to_limit,
                                     &row.qty[LIMIT_ENVELOPE], to_limit, &row.qty[LIMIT_DYNAMIC], to_limit,
                                     &row.qty[LIMIT_STALE], to_limit, &row.band_bps[LIMIT_ENVELOPE], to_limit,
                                     &row.band_bps[LIMIT_DYNAMIC], to_limit, &row.band_bps[LIMIT_STALE], &halted,
                                     &killed, &stale, &tier, &ref_price, &valid_until_ns, &epoch, &tick_ns, &model_id,
                                     &model_bytes, &row.score, &written_ns))
        return NULL;
    if (instrument_id < 1 || instrument_id > UINT32_MAX)
        return PyErr_Format(PyExc_ValueError, "instrument_id must be 1 to %lld, was %lld", (long long)UINT32_MAX,
                            instrument_id);
    if (tier < 0 || tier > 3)
        return PyErr_Format(PyExc_ValueError, "tier must be 0 to 3, was %d", tier);
    if (model_bytes > LIMIT_MODEL_ID_BYTES)
        return PyErr_Format(PyExc_ValueError, "model_id must have at most %d bytes", LIMIT_MODEL_ID_BYTES);
    row.instrument_id = (uint32_t)instrument_id;
    row.tier = (uint8_t)tier;
    row.halted = halted;
    row.killed = killed;
    row.stale = stale;
    row.ref_price = ref_price;
    row.valid_until_ns = valid_until_ns;
    row.epoch = epoch;
    row.tick_ns = tick_ns;
    row.written_ns = written_ns;
    memcpy(row.model_id, model_id, (size_t)model_bytes);
    return PyBool_FromLong(limit_table_put(&self->table, &row));
}

static PyObject *table_read(TableObject *self, PyObject *arg)
{
    struct limit_row row;
    long long instrument_id = PyLong_AsLongLong(arg);
    if ((instrument_id == -1 && PyErr_Occurred()) || !table_is_open(self))
        return NULL;
    enum limit_read found = limit_table_read(&self->table, instrument_id, &row);
    if (found == LIMIT_ABSENT)
        Py_RETURN_NONE;
    if (found == LIMIT_TORN)
        return PyErr_Format(state_of(Py_TYPE(self))->table_error, "torn read of instrument %lld", instrument_id);
    PyObject *values[] = {
        PyLong_FromUnsignedLong(row.instrument_id),
        limit_value(row.qty[LIMIT_ENVELOPE]),
        limit_value(row.qty[LIMIT_DYNAMIC]),
        limit_value(row.qty[LIMIT_STALE]),
        limit_value(row.band_bps[LIMIT_ENVELOPE]),
        limit_value(row.band_bps[LIMIT_DYNAMIC]),
        limit_value(row.band_bps[LIMIT_STALE]),
        PyBool_FromLong(row.halted),
        PyBool_FromLong(row.killed),
        PyBool_FromLong(row.stale),
        PyLong_FromLong(row.tier),
        PyLong_FromLongLong(row.ref_price),
        PyLong_FromLongLong(row.valid_until_ns),
        PyLong_FromLongLong(row.epoch),
        PyLong_FromLongLong(row.tick_ns),
        model_value(row.model_id),
        PyFloat_FromDouble(row.score),
        PyLong_FromLongLong(row.written_ns),
    };
    return structure(state_of(Py_TYPE(self))->row_type, values, 18);
}

bool table_to_order(PyObject *const *args, Py_ssize_t count, struct order *order, int64_t *now_ns)
{
    if (count != 8) {
        PyErr_Format(PyExc_TypeError, "8 arguments were wanted, %zd were given", count);
        return false;
    }
    int64_t numbers[8];
    for (int i = 0; i < 8; i++) {
        numbers[i] = i == 1 ? (int64_t)PyLong_AsUnsignedLongLong(args[i]) : PyLong_AsLongLong(args[i]);
        if (numbers[i] == -1 && PyErr_Occurred())
            return false;
    }
    order->instrument_id = numbers[0];
    order->account_hash = (uint64_t)numbers[1];
    /* What does not fit the small fields is unknown, so invalid: never a value that wraps into a known one. */
    order->action = numbers[2] == (int32_t)numbers[2] ? (int32_t)numbers[2] : -1;
    order->side = numbers[3] == (int32_t)numbers[3] ? (int32_t)numbers[3] : -1;
    order->type = numbers[4] == (int32_t)numbers[4] ? (int32_t)numbers[4] : -1;
    order->qty = numbers[5];
    order->price = numbers[6];
    *now_ns = numbers[7];
    return true;
}

static PyObject *table_check(TableObject *self, PyObject *const *args, Py_ssize_t count)
{
    struct order order;
    struct decision decision;
    int64_t now_ns;
    if (!table_is_open(self) || !table_to_order(args, count, &order, &now_ns))
        return NULL;
    order_check(&self->table, &order, now_ns, &decision);
    return PyLong_FromLong(decision.reason);
}

static PyObject *table_decide(TableObject *self, PyObject *const *args, Py_ssize_t count)
{
    struct order order;
    struct decision decision;
    int64_t now_ns;
    if (!table_is_open(self) || !table_to_order(args, count, &order, &now_ns))
        return NULL;
    order_check(&self->table, &order, now_ns, &decision);
    static const struct limit_row none;
    const struct limit_row *row = decision.has_row ? &decision.row : &none;
    PyObject *values[] = {
        PyLong_FromLong(decision.reason),
        decision.has_numbers ? PyLong_FromLongLong(decision.limit) : Py_NewRef(Py_None),
        decision.has_numbers ? PyLong_FromLongLong(decision.observed) : Py_NewRef(Py_None),
        PyBool_FromLong(decision.stale),
        PyLong_FromLong(row->tier),
        PyLong_FromLongLong(row->epoch),
        PyLong_FromLongLong(row->tick_ns),
        model_value(row->model_id),
        PyFloat_FromDouble(row->score),
    };
    return structure(state_of(Py_TYPE(self))->decision_type, values, 9);
}

static PyObject *table_instrument_ids(TableObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *ids = table_is_open(self) ? PyList_New(0) : NULL;
    for (uint32_t at = 0; ids && at <= self->table.slot_mask; at++) {
        uint32_t instrument_id = atomic_load_explicit(&self->table.slots[at].instrument_id, memory_order_acquire);
        if (instrument_id == 0)
            continue;
        PyObject *number = PyLong_FromUnsignedLong(instrument_id);
        if (!number || PyList_Append(ids, number) < 0)
            Py_CLEAR(ids);
        Py_XDECREF(number);
    }
    return ids;
}

static PyObject *table_kill_firm(TableObject *self, PyObject *arg)
{
    int killed = PyObject_IsTrue(arg);
    if (killed < 0 || !is_writable(self))
        return NULL;
    limit_table_kill_firm(&self->table, killed);
    Py_RETURN_NONE;
}

static PyObject *table_kill_account(TableObject *self, PyObject *arg)
{
    uint64_t hash = PyLong_AsUnsignedLongLong(arg);
    if (PyErr_Occurred() || !is_writable(self))
        return NULL;
    return PyBool_FromLong(limit_table_kill_account(&self->table, hash));
}

static PyObject *table_rearm_account(TableObject *self, PyObject *arg)
{
    uint64_t hash = PyLong_AsUnsignedLongLong(arg);
    if (PyErr_Occurred() || !is_writable(self))
        return NULL;
    limit_table_rearm_account(&self->table, hash);
    Py_RETURN_NONE;
}

static PyObject *table_killed_accounts(TableObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *hashes = table_is_open(self) ? PyList_New(0) : NULL;
    for (uint32_t i = 0; hashes && i < LIMIT_TABLE_ACCOUNTS; i++) {
        uint64_t hash = atomic_load_explicit(&self->table.header->accounts[i], memory_order_acquire);
        if (hash == 0)
            continue;
        PyObject *number = PyLong_FromUnsignedLongLong(hash);
        if (!number || PyList_Append(hashes, number) < 0)
            Py_CLEAR(hashes);
        Py_XDECREF(number);
    }
    return hashes;
}

static PyObject *table_accounts_fit(TableObject *self, PyObject *Py_UNUSED(ignored))
{
    if (!is_writable(self))
        return NULL;
    limit_table_accounts_fit(&self->table);
    Py_RETURN_NONE;
}

static PyObject *table_heartbeat(TableObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2)
        return PyErr_Format(PyExc_TypeError, "now_ns and epoch were wanted, %zd arguments were given", count);
    long long now_ns = PyLong_AsLongLong(args[0]);
    long long epoch = now_ns == -1 && PyErr_Occurred() ? -1 : PyLong_AsLongLong(args[1]);
    if (PyErr_Occurred() || !is_writable(self))
        return NULL;
    atomic_store_explicit(&self->table.header->epoch, epoch, memory_order_release);
    atomic_store_explicit(&self->table.header->writer_heartbeat_ns, now_ns, memory_order_release);
    Py_RETURN_NONE;
}

enum header_field { FIELD_EPOCH, FIELD_PID, FIELD_HEARTBEAT, FIELD_ROWS, FIELD_CAPACITY, FIELD_FIRM, FIELD_OVERFLOW };

static PyObject *table_field(TableObject *self, void *closure)
{
    if (!table_is_open(self))
        return NULL;
    struct limit_header *header = self->table.header;
    switch ((enum header_field)(intptr_t)closure) {
    case FIELD_EPOCH:
        return PyLong_FromLongLong(atomic_load_explicit(&header->epoch, memory_order_acquire));
    case FIELD_PID:
        return PyLong_FromLongLong(atomic_load_explicit(&header->writer_pid, memory_order_acquire));
    case FIELD_HEARTBEAT:
        return PyLong_FromLongLong(atomic_load_explicit(&header->writer_heartbeat_ns, memory_order_acquire));
    case FIELD_ROWS:
        return PyLong_FromUnsignedLong(atomic_load_explicit(&header->row_count, memory_order_acquire));
    case FIELD_CAPACITY:
        return PyLong_FromUnsignedLong(header->row_count_max);
    case FIELD_FIRM:
        return PyBool_FromLong(atomic_load_explicit(&header->firm_killed, memory_order_acquire) != 0);
    case FIELD_OVERFLOW:
        return PyBool_FromLong(atomic_load_explicit(&header->accounts_overflowed, memory_order_acquire) != 0);
    }
    Py_UNREACHABLE();
}

#define FASTCALL(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef table_methods[] = {
    {"create", table_create, METH_VARARGS | METH_CLASS, "Open a table for writing at a path."},
    {"attach", table_attach, METH_VARARGS | METH_CLASS, "Open the table at a path for reading."},
    {"private", table_private, METH_VARARGS | METH_CLASS, "Make a table of this process alone."},
    {"close", (PyCFunction)table_close, METH_NOARGS, "Give the memory and the lock back."},
    {"__enter__", table_enter, METH_NOARGS, NULL},
    {"__exit__", FASTCALL(table_exit), METH_FASTCALL, NULL},
    {"put", FASTCALL(table_put), METH_VARARGS | METH_KEYWORDS, "Write one row."},
    {"read", (PyCFunction)table_read, METH_O, "Return the row of an instrument, or None."},
    {"check", FASTCALL(table_check), METH_FASTCALL, "Return the reason code of one order; 0 = accepted."},
    {"decide", FASTCALL(table_decide), METH_FASTCALL, "Return the whole decision on one order."},
    {"instrument_ids", (PyCFunction)table_instrument_ids, METH_NOARGS, "Return the ids that have a row."},
    {"kill_firm", (PyCFunction)table_kill_firm, METH_O, "Block or re-arm every account."},
    {"kill_account", (PyCFunction)table_kill_account, METH_O, "Block an account; False when there was no room."},
    {"rearm_account", (PyCFunction)table_rearm_account, METH_O, "End the block of an account."},
    {"killed_accounts", (PyCFunction)table_killed_accounts, METH_NOARGS, "Return the hashes of the blocked accounts."},
    {"accounts_fit", (PyCFunction)table_accounts_fit, METH_NOARGS, "Say that every blocked account is listed again."},
    {"heartbeat", FASTCALL(table_heartbeat), METH_FASTCALL, "Note that the writer lives, and its epoch."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef table_fields[] = {
    {"epoch", (getter)table_field, NULL, NULL, (void *)FIELD_EPOCH},
    {"writer_pid", (getter)table_field, NULL, NULL, (void *)FIELD_PID},
    {"writer_heartbeat_ns", (getter)table_field, NULL, NULL, (void *)FIELD_HEARTBEAT},
    {"row_count", (getter)table_field, NULL, NULL, (void *)FIELD_ROWS},
    {"capacity", (getter)table_field, NULL, NULL, (void *)FIELD_CAPACITY},
    {"firm_killed", (getter)table_field, NULL, NULL, (void *)FIELD_FIRM},
    {"accounts_overflowed", (getter)table_field, NULL, NULL, (void *)FIELD_OVERFLOW},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot table_slots[] = {
    {Py_tp_doc, "Limits of every instrument; see limit_table.h."},
    {Py_tp_dealloc, table_dealloc},
    {Py_tp_methods, table_methods},
    {Py_tp_getset, table_fields},
    {0, NULL},
};

PyType_Spec limit_table_spec = {
    .name = "gate._native.LimitTable",
    .basicsize = sizeof(TableObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = table_slots,
};
