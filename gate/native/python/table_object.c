/* Parse, call the C core, convert. Rows cross as the bytes of their C struct, which gate/rows.py packs and unpacks. */
#include "python/table_object.h"

struct gate_state *table_state(TableObject *self)
{
    return PyType_GetModuleState(Py_TYPE(self));
}

bool table_is_open(TableObject *self)
{
    if (self->table.header)
        return true;
    PyErr_SetString(PyExc_ValueError, "the limit table was closed");
    return false;
}

bool table_is_writable(TableObject *self)
{
    if (!table_is_open(self))
        return false;
    if (!self->table.writable)
        PyErr_SetString(table_state(self)->table_error, "the limit table was attached for reading");
    return self->table.writable;
}

static PyObject *open_failed(PyTypeObject *type, enum limit_open result, const char *path, uint64_t found)
{
    PyObject *error = ((struct gate_state *)PyType_GetModuleState(type))->table_error;
    unsigned long long was = found;
    switch (result) {
    case LIMIT_OPEN_SYSTEM:
        return path ? PyErr_SetFromErrnoWithFilename(PyExc_OSError, path) : PyErr_SetFromErrno(PyExc_OSError);
    case LIMIT_OPEN_CAPACITY:
        return PyErr_Format(error, "capacity must be 1 to %u instruments and 1 to %u accounts", LIMIT_TABLE_CAPACITY_MAX,
                            LIMIT_TABLE_ACCOUNTS_MAX);
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

#define ACCOUNTS_DEFAULT 256

/* A number of rows; one that no table can have becomes 0, which limit_file.c refuses with its bounds. */
static int to_capacity(PyObject *value, void *out)
{
    long long rows = PyLong_AsLongLong(value);
    if (rows == -1 && PyErr_Occurred())
        return 0;
    *(uint32_t *)out = rows < 0 || rows > UINT32_MAX ? 0 : (uint32_t)rows;
    return 1;
}

static PyObject *table_create(PyObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"", "instruments", "accounts", NULL};
    PyObject *path = NULL;
    struct limit_capacity capacity = {0, ACCOUNTS_DEFAULT};
    struct limit_table table;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&O&|O&:create", names, PyUnicode_FSConverter, &path, to_capacity,
                                     &capacity.instruments, to_capacity, &capacity.accounts)) {
        Py_XDECREF(path);
        return NULL;
    }
    const char *name = PyBytes_AS_STRING(path);
    enum limit_open result = limit_table_create(&table, name, capacity);
    PyObject *made = result == LIMIT_OPEN_OK ? opened((PyTypeObject *)type, &table)
                                             : open_failed((PyTypeObject *)type, result, name, 0);
    Py_DECREF(path);
    return made;
}

static PyObject *table_attach(PyObject *type, PyObject *arg)
{
    PyObject *path = NULL;
    uint64_t found;
    struct limit_table table;
    if (!PyUnicode_FSConverter(arg, &path))
        return NULL;
    const char *name = PyBytes_AS_STRING(path);
    enum limit_open result = limit_table_attach(&table, name, &found);
    PyObject *made = result == LIMIT_OPEN_OK ? opened((PyTypeObject *)type, &table)
                                             : open_failed((PyTypeObject *)type, result, name, found);
    Py_DECREF(path);
    return made;
}

static PyObject *table_private(PyObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"instruments", "accounts", NULL};
    struct limit_capacity capacity = {0, ACCOUNTS_DEFAULT};
    struct limit_table table;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&|O&:private", names, to_capacity, &capacity.instruments, to_capacity,
                                     &capacity.accounts))
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

/* Copy exactly `size` bytes from a bytes-like object. */
static bool copy_struct(PyObject *arg, void *out, Py_ssize_t size)
{
    Py_buffer buffer;
    if (PyObject_GetBuffer(arg, &buffer, PyBUF_SIMPLE) < 0)
        return false;
    bool fits = buffer.len == size;
    if (fits)
        memcpy(out, buffer.buf, (size_t)size);
    else
        PyErr_Format(PyExc_ValueError, "a row has %zd bytes, was %zd", size, buffer.len);
    PyBuffer_Release(&buffer);
    return fits;
}

/* Say whether bytes are a row; they are judged as bytes, because a bool that is neither 0 nor 1 may not even be read. */
static bool row_is_sound(const unsigned char bytes[sizeof(struct limit_row)])
{
    static const size_t switches[] = {
        offsetof(struct limit_row, halted),     offsetof(struct limit_row, killed),       offsetof(struct limit_row, stale),
        offsetof(struct limit_row, restricted), offsetof(struct limit_row, needs_locate),
    };
    static const unsigned char none[sizeof(uint32_t)];
    const char *fault = NULL;
    if (memcmp(bytes + offsetof(struct limit_row, instrument_id), none, sizeof none) == 0)
        fault = "instrument_id must not be 0";
    if (bytes[offsetof(struct limit_row, tier)] > 3)
        fault = "tier must be 0 to 3";
    if (bytes[offsetof(struct limit_row, class_id)] > 63)
        fault = "class_id must be 0 to 63";
    for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++)
        if (bytes[switches[i]] > 1)
            fault = "a switch must be 0 or 1";
    if (fault)
        PyErr_SetString(PyExc_ValueError, fault);
    return !fault;
}

static PyObject *table_put(TableObject *self, PyObject *arg)
{
    unsigned char bytes[sizeof(struct limit_row)];
    struct limit_row row;
    if (!table_is_writable(self) || !copy_struct(arg, bytes, sizeof bytes) || !row_is_sound(bytes))
        return NULL;
    memcpy(&row, bytes, sizeof row);
    return PyBool_FromLong(limit_table_put(&self->table, &row));
}

static PyObject *table_put_account(TableObject *self, PyObject *arg)
{
    struct account_limits limits;
    if (!table_is_writable(self) || !copy_struct(arg, &limits, sizeof limits))
        return NULL;
    if (limits.account == 0) {
        PyErr_SetString(PyExc_ValueError, "account must not be 0");
        return NULL;
    }
    return PyBool_FromLong(limit_table_put_account(&self->table, &limits));
}

static PyObject *table_read(TableObject *self, PyObject *arg)
{
    struct limit_row row;
    long long instrument_id = PyLong_AsLongLong(arg);
    if ((instrument_id == -1 && PyErr_Occurred()) || !table_is_open(self))
        return NULL;
    memset(&row, 0, sizeof row); /* the padding too */
    switch (limit_table_read(&self->table, instrument_id, &row)) {
    case LIMIT_FOUND:
        return PyBytes_FromStringAndSize((const char *)&row, sizeof row);
    case LIMIT_ABSENT:
        Py_RETURN_NONE;
    case LIMIT_TORN:
        return PyErr_Format(table_state(self)->table_error, "torn read of instrument %lld", instrument_id);
    }
    Py_UNREACHABLE();
}

static PyObject *table_read_account(TableObject *self, PyObject *arg)
{
    struct account_limits limits;
    unsigned long long account = PyLong_AsUnsignedLongLong(arg);
    if (PyErr_Occurred() || !table_is_open(self))
        return NULL;
    switch (limit_table_read_account(&self->table, account, &limits)) {
    case LIMIT_FOUND:
        return PyBytes_FromStringAndSize((const char *)&limits, sizeof limits);
    case LIMIT_ABSENT:
        Py_RETURN_NONE;
    case LIMIT_TORN:
        return PyErr_Format(table_state(self)->table_error, "torn read of account %llu", account);
    }
    Py_UNREACHABLE();
}

/* Append a number that this call takes over; on failure the list is gone. */
static void append(PyObject **list, PyObject *number)
{
    if (!number || PyList_Append(*list, number) < 0)
        Py_CLEAR(*list);
    Py_XDECREF(number);
}

static PyObject *table_instrument_ids(TableObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *ids = table_is_open(self) ? PyList_New(0) : NULL;
    for (uint32_t at = 0; ids && at <= self->table.slot_mask; at++) {
        uint32_t instrument_id = atomic_load_explicit(&self->table.slots[at].instrument_id, memory_order_acquire);
        if (instrument_id != 0)
            append(&ids, PyLong_FromUnsignedLong(instrument_id));
    }
    return ids;
}

static PyObject *table_accounts(TableObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *accounts = table_is_open(self) ? PyList_New(0) : NULL;
    for (uint32_t at = 0; accounts && at <= self->table.account_mask; at++) {
        uint64_t account = atomic_load_explicit(&self->table.accounts[at].account, memory_order_acquire);
        if (account != 0)
            append(&accounts, PyLong_FromUnsignedLongLong(account));
    }
    return accounts;
}

static PyObject *table_kill_firm(TableObject *self, PyObject *arg)
{
    int killed = PyObject_IsTrue(arg);
    if (killed < 0 || !table_is_writable(self))
        return NULL;
    limit_table_kill_firm(&self->table, killed);
    Py_RETURN_NONE;
}

static PyObject *table_heartbeat(TableObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2)
        return PyErr_Format(PyExc_TypeError, "now_ns and epoch were wanted, %zd arguments were given", count);
    long long now_ns = PyLong_AsLongLong(args[0]);
    long long epoch = now_ns == -1 && PyErr_Occurred() ? -1 : PyLong_AsLongLong(args[1]);
    if (PyErr_Occurred() || !table_is_writable(self))
        return NULL;
    limit_table_heartbeat(&self->table, now_ns, epoch);
    Py_RETURN_NONE;
}

static PyObject *table_writer_dead(TableObject *self, PyObject *arg)
{
    long long now_ns = PyLong_AsLongLong(arg);
    if ((now_ns == -1 && PyErr_Occurred()) || !table_is_open(self))
        return NULL;
    return PyBool_FromLong(limit_table_writer_dead(&self->table, now_ns));
}

static int table_set_ttl(TableObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    long long ttl_ns = value ? PyLong_AsLongLong(value) : -1;
    if (PyErr_Occurred() || !table_is_writable(self))
        return -1;
    if (ttl_ns < 0) {
        PyErr_SetString(PyExc_ValueError, "heartbeat_ttl_ns must be at least 0; 0 = the writer is not judged");
        return -1;
    }
    limit_table_set_ttl(&self->table, ttl_ns);
    return 0;
}

enum header_field {
    FIELD_EPOCH,
    FIELD_PID,
    FIELD_HEARTBEAT,
    FIELD_TTL,
    FIELD_ROWS,
    FIELD_CAPACITY,
    FIELD_ACCOUNTS,
    FIELD_ACCOUNT_CAPACITY,
    FIELD_FIRM
};

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
    case FIELD_TTL:
        return PyLong_FromLongLong(atomic_load_explicit(&header->heartbeat_ttl_ns, memory_order_acquire));
    case FIELD_ROWS:
        return PyLong_FromUnsignedLong(atomic_load_explicit(&header->row_count, memory_order_acquire));
    case FIELD_CAPACITY:
        return PyLong_FromUnsignedLong(header->row_count_max);
    case FIELD_ACCOUNTS:
        return PyLong_FromUnsignedLong(atomic_load_explicit(&header->account_count, memory_order_acquire));
    case FIELD_ACCOUNT_CAPACITY:
        return PyLong_FromUnsignedLong(header->account_count_max);
    case FIELD_FIRM:
        return PyBool_FromLong(atomic_load_explicit(&header->firm_killed, memory_order_acquire) != 0);
    }
    Py_UNREACHABLE();
}

#define ANY(function) ((PyCFunction)(void (*)(void))function)

static PyMethodDef table_methods[] = {
    {"create", ANY(table_create), METH_VARARGS | METH_KEYWORDS | METH_CLASS, "Open a table for writing at a path."},
    {"attach", table_attach, METH_O | METH_CLASS, "Open the table at a path for reading."},
    {"private", ANY(table_private), METH_VARARGS | METH_KEYWORDS | METH_CLASS, "Make a table of this process alone."},
    {"close", ANY(table_close), METH_NOARGS, "Give the memory and the lock back."},
    {"__enter__", table_enter, METH_NOARGS, NULL},
    {"__exit__", ANY(table_exit), METH_FASTCALL, NULL},
    {"put", ANY(table_put), METH_O, "Write the row of an instrument; False when the table is full."},
    {"put_account", ANY(table_put_account), METH_O, "Write the row of an account; False when the table is full."},
    {"read", ANY(table_read), METH_O, "Return the row of an instrument, or None."},
    {"read_account", ANY(table_read_account), METH_O, "Return the row of an account, or None."},
    {"instrument_ids", ANY(table_instrument_ids), METH_NOARGS, "Return the ids that have a row."},
    {"accounts", ANY(table_accounts), METH_NOARGS, "Return the hashes of the accounts that have a row."},
    {"kill_firm", ANY(table_kill_firm), METH_O, "Block or re-arm every account."},
    {"set_put", ANY(table_set_put), METH_FASTCALL, "Add a member or change its number; False when there was no room."},
    {"set_drop", ANY(table_set_drop), METH_FASTCALL, "Take a member out."},
    {"set_fit", ANY(table_set_fit), METH_O, "Say that every member is listed again."},
    {"set_find", ANY(table_set_find), METH_FASTCALL, "Return the number of a member, or None."},
    {"set_members", ANY(table_set_members), METH_O, "Return the members and their numbers."},
    {"set_overflowed", ANY(table_set_overflowed), METH_O, "Return whether a member did not fit."},
    {"heartbeat", ANY(table_heartbeat), METH_FASTCALL, "Note that the writer lives, and its epoch."},
    {"writer_dead", ANY(table_writer_dead), METH_O, "Return whether the writer is silent for longer than its ttl."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef table_fields[] = {
    {"epoch", (getter)table_field, NULL, NULL, (void *)FIELD_EPOCH},
    {"writer_pid", (getter)table_field, NULL, NULL, (void *)FIELD_PID},
    {"writer_heartbeat_ns", (getter)table_field, NULL, NULL, (void *)FIELD_HEARTBEAT},
    {"heartbeat_ttl_ns", (getter)table_field, (setter)table_set_ttl, NULL, (void *)FIELD_TTL},
    {"row_count", (getter)table_field, NULL, NULL, (void *)FIELD_ROWS},
    {"capacity", (getter)table_field, NULL, NULL, (void *)FIELD_CAPACITY},
    {"account_count", (getter)table_field, NULL, NULL, (void *)FIELD_ACCOUNTS},
    {"account_capacity", (getter)table_field, NULL, NULL, (void *)FIELD_ACCOUNT_CAPACITY},
    {"firm_killed", (getter)table_field, NULL, NULL, (void *)FIELD_FIRM},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot table_slots[] = {
    {Py_tp_doc, "Limits of instruments and accounts, and the sets beside them; see limit_table.h."},
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
