#define _POSIX_C_SOURCE 200809L
#include "python/ring_object.h"

#include <string.h>
#include <time.h>

#include "bench/ring_bench.h"

static void ring_dealloc(PyObject *object);

static bool is_open(RingObject *self)
{
    if (!self->ring.header)
        PyErr_SetString(PyExc_ValueError, "the decision ring was closed");
    return self->ring.header;
}

struct decision_ring *decision_ring_of(PyObject *object)
{
    if (Py_TYPE(object)->tp_dealloc != ring_dealloc) { /* the type allows no subclass */
        PyErr_Format(PyExc_TypeError, "a DecisionRing was wanted, got %s", Py_TYPE(object)->tp_name);
        return NULL;
    }
    RingObject *self = (RingObject *)object;
    return is_open(self) ? &self->ring : NULL;
}

static PyObject *open_failed(enum decision_ring_open result, const char *path)
{
    switch (result) {
    case DECISION_RING_SYSTEM:
        return path ? PyErr_SetFromErrnoWithFilename(PyExc_OSError, path) : PyErr_SetFromErrno(PyExc_OSError);
    case DECISION_RING_CAPACITY:
        return PyErr_Format(PyExc_ValueError, "capacity must be a power of two, 2 to %u", DECISION_RING_CAPACITY_MAX);
    case DECISION_RING_LOCKED:
        return PyErr_Format(PyExc_ValueError, "%s: another process has this decision ring open", path);
    case DECISION_RING_SHAPE:
        return PyErr_Format(PyExc_ValueError, "%s: no decision ring of this capacity and version", path);
    default:
        return PyErr_Format(PyExc_ValueError, "%s: damaged: its positions contradict each other", path);
    }
}

static uint64_t wall_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static PyObject *ring_create(PyObject *type, PyObject *args)
{
    PyObject *path = NULL, *where;
    unsigned int capacity;
    unsigned long long identity = 0;
    if (!PyArg_ParseTuple(args, "OI|K:create", &where, &capacity, &identity) ||
        (where != Py_None && !PyUnicode_FSConverter(where, &path)))
        return NULL;
    RingObject *self = (RingObject *)((PyTypeObject *)type)->tp_alloc((PyTypeObject *)type, 0);
    if (self) {
        const char *name = path ? PyBytes_AS_STRING(path) : NULL;
        enum decision_ring_open result =
            decision_ring_open(&self->ring, name, capacity, identity ? identity : wall_clock_ns());
        if (result != DECISION_RING_OK) {
            open_failed(result, name);
            Py_CLEAR(self);
        }
    }
    Py_XDECREF(path);
    return (PyObject *)self;
}

static PyObject *ring_close(RingObject *self, PyObject *Py_UNUSED(ignored))
{
    if (self->measuring) {
        PyErr_SetString(PyExc_ValueError, "the decision ring is in use by another thread");
        return NULL;
    }
    decision_ring_close(&self->ring);
    Py_RETURN_NONE;
}

static PyObject *ring_enter(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return Py_NewRef(self);
}

static PyObject *ring_exit(RingObject *self, PyObject *Py_UNUSED(args))
{
    return ring_close(self, NULL);
}

/* Goes the way that the gate's decisions go: fields of C structures in, the ring's record out. */
static PyObject *ring_push(RingObject *self, PyObject *args)
{
    Py_buffer raw, text;
    struct decision_record given;
    if (!PyArg_ParseTuple(args, "y*y*:push", &raw, &text))
        return NULL;
    bool fits = raw.len == (Py_ssize_t)sizeof given, pushed = false;
    if (!fits)
        PyErr_Format(PyExc_ValueError, "a record of %zu bytes was wanted, got %zd", sizeof given, raw.len);
    else if ((fits = is_open(self))) {
        memcpy(&given, raw.buf, sizeof given);
        struct decision decision = {
            .reason = (enum order_reason)given.reason, .verdict = (enum order_verdict)given.verdict,
            .warned = given.marks & DECISION_WARNED, .has_numbers = given.marks & DECISION_HAS_NUMBERS,
            .has_row = true, .stale = given.marks & DECISION_STALE, .limit = given.limit, .observed = given.observed,
            .worst_price = given.worst_price, .ref_price = given.ref_price, .epoch = given.epoch,
            .tick_ns = given.tick_ns, .score = given.score, .tier = given.tier,
        };
        memcpy(decision.model_id, given.model_id, sizeof given.model_id);
        struct decision_context context = {
            .now_ns = given.now_ns, .has_ledger = given.marks & DECISION_HAS_LEDGER,
            .position_before = given.position_before, .working_buy_before = given.working_buy_before,
            .working_sell_before = given.working_sell_before, .order_text = text.buf,
            .order_text_length = (size_t)text.len,
        };
        pushed = decision_ring_push(&self->ring, &given.order, &decision, &context);
    }
    PyBuffer_Release(&raw);
    PyBuffer_Release(&text);
    return fits ? PyBool_FromLong(pushed) : NULL;
}

static PyObject *ring_read(RingObject *self, PyObject *arg)
{
    Py_ssize_t max = PyLong_AsSsize_t(arg);
    if ((max == -1 && PyErr_Occurred()) || !is_open(self))
        return NULL;
    if (max < 1) {
        PyErr_SetString(PyExc_ValueError, "max must be at least 1");
        return NULL;
    }
    Py_ssize_t capacity = (Py_ssize_t)self->ring.mask + 1, size = (Py_ssize_t)sizeof(struct decision_record);
    PyObject *records = PyBytes_FromStringAndSize(NULL, (max < capacity ? max : capacity) * size);
    if (!records)
        return NULL;
    /* A bytes object is aligned for any type of C but starts behind its own header: copied there one by one. */
    char *out = PyBytes_AS_STRING(records);
    struct decision_record record;
    Py_ssize_t count = 0;
    for (; count < max && count < capacity && decision_ring_read(&self->ring, &record, 1) == 1; count++)
        memcpy(out + count * size, &record, sizeof record);
    return _PyBytes_Resize(&records, count * size) == 0 ? records : NULL;
}

static PyObject *ring_release(RingObject *self, PyObject *arg)
{
    unsigned long long count = PyLong_AsUnsignedLongLong(arg);
    if ((count == (unsigned long long)-1 && PyErr_Occurred()) || !is_open(self))
        return NULL;
    if (!decision_ring_release(&self->ring, count)) {
        PyErr_Format(PyExc_ValueError, "%llu entries were not read", count);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *ring_rewind(RingObject *self, PyObject *Py_UNUSED(ignored))
{
    if (!is_open(self))
        return NULL;
    decision_ring_rewind(&self->ring);
    Py_RETURN_NONE;
}

static PyObject *ring_set_wall_offset(RingObject *self, PyObject *arg)
{
    long long offset_ns = PyLong_AsLongLong(arg);
    if ((offset_ns == -1 && PyErr_Occurred()) || !is_open(self))
        return NULL;
    decision_ring_set_wall_offset(&self->ring, offset_ns);
    Py_RETURN_NONE;
}

static PyObject *ring_counters(RingObject *self, PyObject *Py_UNUSED(ignored))
{
    if (!is_open(self))
        return NULL;
    struct decision_ring_counters found = decision_ring_counters(&self->ring);
    return Py_BuildValue("{sKsKsKsKsK}", "numbered", (unsigned long long)found.numbered, "pending",
                         (unsigned long long)found.pending, "released", (unsigned long long)found.released, "lost",
                         (unsigned long long)found.lost, "torn", (unsigned long long)found.torn);
}

static PyObject *ring_lost(RingObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *made = is_open(self) ? PyDict_New() : NULL;
    for (int reason = 0; made && reason < DECISION_LOSS_REASONS; reason++) {
        uint64_t count = atomic_load_explicit(&self->ring.header->lost[reason], memory_order_relaxed);
        PyObject *key = count ? PyLong_FromLong(reason) : NULL, *value = count ? PyLong_FromUnsignedLongLong(count) : NULL;
        if (count && (!key || !value || PyDict_SetItem(made, key, value) < 0))
            Py_CLEAR(made);
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    return made;
}

static PyObject *ring_measure(RingObject *self, PyObject *args)
{
    Py_buffer samples;
    unsigned int batch;
    int drains;
    if (!PyArg_ParseTuple(args, "w*Ip:measure_pushes", &samples, &batch, &drains))
        return NULL;
    uint64_t lost = 0;
    bool fits = samples.itemsize == 4 && batch > 0;
    if (!fits)
        PyErr_SetString(PyExc_ValueError, "a buffer of 32-bit unsigned integers and a batch above 0 were wanted");
    else if ((fits = is_open(self))) {
        self->measuring++;
        Py_BEGIN_ALLOW_THREADS
        lost = bench_pushes(&self->ring, samples.buf, (size_t)samples.len / sizeof(uint32_t), batch, drains);
        Py_END_ALLOW_THREADS
        self->measuring--;
    }
    PyBuffer_Release(&samples);
    return fits ? PyLong_FromUnsignedLongLong(lost) : NULL;
}

static PyObject *ring_layout(PyObject *Py_UNUSED(type), PyObject *Py_UNUSED(ignored))
{
#define FIELD(member) {#member, offsetof(struct decision_record, member)}
    static const struct {
        const char *name;
        size_t offset;
    } fields[] = {
        FIELD(seq), FIELD(now_ns), FIELD(wall_offset_ns), FIELD(order.instrument_id), FIELD(order.order_id),
        FIELD(order.target_id), FIELD(order.account), FIELD(order.trader), FIELD(order.desk), FIELD(order.strategy),
        FIELD(order.venue), FIELD(order.session), FIELD(order.parent), FIELD(order.basket), FIELD(order.qty),
        FIELD(order.price), FIELD(order.action), FIELD(order.side), FIELD(order.type), FIELD(order.flags), FIELD(limit),
        FIELD(observed), FIELD(worst_price), FIELD(ref_price), FIELD(epoch), FIELD(tick_ns), FIELD(score), FIELD(position_before),
        FIELD(working_buy_before), FIELD(working_sell_before), FIELD(model_id), FIELD(reason), FIELD(text_length),
        FIELD(verdict), FIELD(tier), FIELD(marks), FIELD(order_text),
    };
#undef FIELD
    PyObject *made = PyDict_New();
    for (size_t i = 0; made && i < sizeof fields / sizeof fields[0]; i++) {
        PyObject *offset = PyLong_FromSize_t(fields[i].offset);
        if (!offset || PyDict_SetItemString(made, fields[i].name, offset) < 0)
            Py_CLEAR(made);
        Py_XDECREF(offset);
    }
    return made;
}

static PyObject *ring_identity(RingObject *self, void *Py_UNUSED(closure))
{
    return is_open(self) ? PyLong_FromUnsignedLongLong(self->ring.header->identity) : NULL;
}

static PyObject *ring_capacity(RingObject *self, void *Py_UNUSED(closure))
{
    return is_open(self) ? PyLong_FromUnsignedLongLong(self->ring.mask + 1) : NULL;
}

static void ring_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    decision_ring_close(&((RingObject *)object)->ring);
    type->tp_free(object);
    Py_DECREF(type);
}

#define METHOD(function) (PyCFunction)(void (*)(void))(function)

static PyMethodDef ring_methods[] = {
    {"create", METHOD(ring_create), METH_VARARGS | METH_CLASS, "Open the ring at a path, or a private one for None."},
    {"close", METHOD(ring_close), METH_NOARGS, "Give the ring back; a file stays."},
    {"__enter__", METHOD(ring_enter), METH_NOARGS, NULL},
    {"__exit__", METHOD(ring_exit), METH_VARARGS, NULL},
    {"push", METHOD(ring_push), METH_VARARGS, "Record a decision; False when it was lost."},
    {"read", METHOD(ring_read), METH_O, "Return records from the cursor on, and move it."},
    {"release", METHOD(ring_release), METH_O, "Give the room of the oldest entries back."},
    {"rewind", METHOD(ring_rewind), METH_NOARGS, "Read again from the oldest entry that was not released."},
    {"set_wall_offset", METHOD(ring_set_wall_offset), METH_O, "What to add to the gate's clock for epoch time, ns."},
    {"counters", METHOD(ring_counters), METH_NOARGS, "Return the counts."},
    {"lost_by_reason", METHOD(ring_lost), METH_NOARGS, "Return losses by number of the reason."},
    {"measure_pushes", METHOD(ring_measure), METH_VARARGS, "Time pushes inside C."},
    {"layout", METHOD(ring_layout), METH_NOARGS | METH_CLASS, "Return the offset of every field of a record."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef ring_properties[] = {
    {"identity", (getter)ring_identity, NULL, "Number of this ring, given when it was made.", NULL},
    {"capacity", (getter)ring_capacity, NULL, "Entries that it holds.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot ring_slots[] = {
    {Py_tp_doc, "Decisions on their way out of the trading process."},
    {Py_tp_dealloc, ring_dealloc},
    {Py_tp_methods, ring_methods},
    {Py_tp_getset, ring_properties},
    {0, NULL},
};

PyType_Spec decision_ring_spec = {
    .name = "gate._native.DecisionRing",
    .basicsize = sizeof(RingObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = ring_slots,
};
