/* The glue between the channel kernel and Python: parse, call, convert; nothing is decided here. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string.h>

#include "kernel.h"

typedef struct {
    PyObject_HEAD struct kernel *kernel;
} KernelObject;

static PyTypeObject KernelType;

static PyObject *kernel_wrap(PyTypeObject *type, struct kernel *kernel)
{
    KernelObject *self = (KernelObject *)type->tp_alloc(type, 0);
    if (!self) {
        kernel_free(kernel);
        return NULL;
    }
    self->kernel = kernel;
    return (PyObject *)self;
}

static PyObject *Kernel_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if ((args && PyTuple_GET_SIZE(args)) || (kwargs && PyDict_GET_SIZE(kwargs))) {
        PyErr_SetString(PyExc_TypeError, "Kernel() takes no arguments");
        return NULL;
    }
    struct kernel *kernel = kernel_new();
    return kernel ? kernel_wrap(type, kernel) : PyErr_NoMemory();
}

static void Kernel_dealloc(KernelObject *self)
{
    kernel_free(self->kernel);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* Take a 1-D contiguous buffer of `format`; `*rows` is set by the first and demanded of the others. */
static int take_column(PyObject *object, Py_buffer *view, const char *format, Py_ssize_t *rows)
{
    if (PyObject_GetBuffer(object, view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) < 0)
        return -1;
    const char *found = view->format ? view->format : "B";
    int same = strcmp(found, format) == 0 || (*format == 'l' && strcmp(found, "q") == 0) ||
               (*format == 'L' && strcmp(found, "Q") == 0);
    if (view->ndim != 1 || !same || (*rows >= 0 && view->shape[0] != *rows)) {
        PyErr_Format(PyExc_ValueError, "column was %dD '%s' of %zd, wanted 1D '%s' of %zd", view->ndim, found,
                     view->ndim ? view->shape[0] : 0, format, *rows);
        PyBuffer_Release(view);
        return -1;
    }
    *rows = view->shape[0];
    return 0;
}

#define COLUMNS 7
#define ARGUMENTS (COLUMNS + 4)

static void release(Py_buffer *views, int count)
{
    while (count-- > 0)
        PyBuffer_Release(&views[count]);
}

/* Columns and four numbers as a frame; the caller releases the views. */
static int take_frame(PyObject *const *args, Py_ssize_t count, struct frame *frame, Py_buffer views[COLUMNS])
{
    static const char *const formats[COLUMNS] = {"l", "I", "B", "b", "L", "l", "l"};
    if (count != ARGUMENTS) {
        PyErr_Format(PyExc_TypeError, "wanted %d arguments, got %zd", ARGUMENTS, count);
        return -1;
    }
    long long numbers[ARGUMENTS - COLUMNS];
    for (int i = 0; i < ARGUMENTS - COLUMNS; i++) {
        numbers[i] = PyLong_AsLongLong(args[COLUMNS + i]);
        if (numbers[i] == -1 && PyErr_Occurred())
            return -1;
    }
    Py_ssize_t rows = -1;
    for (int i = 0; i < COLUMNS; i++)
        if (take_column(args[i], &views[i], formats[i], &rows) < 0) {
            release(views, i);
            return -1;
        }
    *frame = (struct frame){
        .rows = (size_t)rows,
        .ts_event_ns = views[0].buf,
        .instrument_id = views[1].buf,
        .kind = views[2].buf,
        .side = views[3].buf,
        .order_id = views[4].buf,
        .price = views[5].buf,
        .qty = views[6].buf,
        .seq_first = numbers[0],
        .seq_last = numbers[1],
        .ts_last_ns = numbers[2],
        .flags = (int32_t)numbers[3],
    };
    return 0;
}

static PyObject *Kernel_apply(KernelObject *self, PyObject *const *args, Py_ssize_t count)
{
    struct frame frame;
    Py_buffer views[COLUMNS];
    if (take_frame(args, count, &frame, views) < 0)
        return NULL;
    int64_t expected = 0;
    enum kernel_result result;
    struct kernel *kernel = self->kernel;
    Py_BEGIN_ALLOW_THREADS
    result = kernel_apply(kernel, &frame, &expected);
    Py_END_ALLOW_THREADS
    release(views, COLUMNS);
    if (result == KERNEL_NO_MEMORY)
        return PyErr_NoMemory();
    size_t n = kernel->row_count;
    return Py_BuildValue("iLy#y#y#y#y#", (int)result, (long long)expected, (char *)kernel->row_tick_ns,
                         (Py_ssize_t)(n * sizeof(int64_t)), (char *)kernel->row_instrument_id,
                         (Py_ssize_t)(n * sizeof(uint32_t)), (char *)kernel->row_status,
                         (Py_ssize_t)(n * sizeof(uint32_t)), (char *)kernel->row_ref_price,
                         (Py_ssize_t)(n * sizeof(int64_t)), (char *)kernel->row_values,
                         (Py_ssize_t)(n * FEATURE_COUNT * sizeof(double)));
}

static PyObject *Kernel_apply_timed(KernelObject *self, PyObject *const *args, Py_ssize_t count)
{
    struct frame frame;
    Py_buffer views[COLUMNS];
    if (take_frame(args, count, &frame, views) < 0)
        return NULL;
    Py_ssize_t size = (Py_ssize_t)(frame.rows * sizeof(uint32_t));
    PyObject *spent_ns = PyBytes_FromStringAndSize(NULL, size), *rows = PyBytes_FromStringAndSize(NULL, size);
    if (spent_ns && rows)
        kernel_apply_timed(self->kernel, &frame, (uint32_t *)PyBytes_AS_STRING(spent_ns), (uint32_t *)PyBytes_AS_STRING(rows));
    release(views, COLUMNS);
    if (spent_ns && rows)
        return Py_BuildValue("NN", spent_ns, rows);
    Py_XDECREF(spent_ns);
    Py_XDECREF(rows);
    return NULL;
}

static PyObject *Kernel_snapshot(KernelObject *self, PyObject *unused)
{
    (void)unused;
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)kernel_snapshot_size(self->kernel));
    if (bytes)
        kernel_snapshot(self->kernel, (uint8_t *)PyBytes_AS_STRING(bytes));
    return bytes;
}

static PyObject *Kernel_restore(PyObject *type, PyObject *raw)
{
    Py_buffer view;
    if (PyObject_GetBuffer(raw, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    const char *why = NULL;
    struct kernel *kernel = kernel_restore(view.buf, (size_t)view.len, &why);
    PyBuffer_Release(&view);
    if (!kernel) {
        PyErr_Format(PyExc_ValueError, "snapshot refused: %s", why);
        return NULL;
    }
    return kernel_wrap((PyTypeObject *)type, kernel);
}

static PyObject *Kernel_counters(KernelObject *self, PyObject *unused)
{
    (void)unused;
    const struct kernel_counts *c = &self->kernel->counts;
    return Py_BuildValue("{sLsLsLsLsLsLsLsLsLsLsLsLsI}", "events", (long long)c->events, "ticks", (long long)c->ticks, "frames",
                         (long long)c->frames, "duplicates", (long long)c->duplicates, "gaps", (long long)c->gaps,
                         "clock_back", (long long)c->clock_back, "clock_jump", (long long)c->clock_jump, "bound_hit",
                         (long long)c->bound_hit, "unknown_order", (long long)c->book.unknown_order, "clamped_level",
                         (long long)c->book.clamped_level, "duplicate_order", (long long)c->book.duplicate_order, "bad_event",
                         (long long)c->book.bad_event, "instruments", self->kernel->instrument_count);
}

/* Levels of one instrument, best first, as [(price, qty)] of bids and of asks: for oracles, not for the hot path. */
static PyObject *Kernel_levels(KernelObject *self, PyObject *args)
{
    unsigned int id, levels_max;
    if (!PyArg_ParseTuple(args, "II", &id, &levels_max))
        return NULL;
    PyObject *sides[2] = {PyList_New(0), PyList_New(0)};
    for (uint32_t i = 0; sides[0] && sides[1] && i < self->kernel->instrument_count; i++) {
        const struct instrument *instrument = self->kernel->instruments[i];
        for (int which = 0; instrument->id == id && which < 2; which++) {
            const struct side *side = &instrument->book.sides[which];
            for (uint32_t at = 0; at < levels_max && at < side->count; at++) {
                const struct level *level = &side->levels[side->count - 1 - at];
                PyObject *pair = Py_BuildValue("LL", (long long)level->price, (long long)level->qty);
                if (!pair || PyList_Append(sides[which], pair) < 0) {
                    Py_XDECREF(pair);
                    Py_DECREF(sides[0]);
                    Py_DECREF(sides[1]);
                    return NULL;
                }
                Py_DECREF(pair);
            }
        }
    }
    if (!sides[0] || !sides[1]) {
        Py_XDECREF(sides[0]);
        Py_XDECREF(sides[1]);
        return NULL;
    }
    return Py_BuildValue("NN", sides[0], sides[1]);
}

static PyObject *get_last_seq(KernelObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromLongLong(self->kernel->last_seq);
}

static PyObject *get_last_ts(KernelObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromLongLong(self->kernel->last_ts_ns);
}

static PyMethodDef kernel_methods[] = {
    {"apply", (PyCFunction)(void (*)(void))Kernel_apply, METH_FASTCALL, NULL},
    {"apply_timed", (PyCFunction)(void (*)(void))Kernel_apply_timed, METH_FASTCALL, NULL},
    {"snapshot", (PyCFunction)Kernel_snapshot, METH_NOARGS, NULL},
    {"restore", (PyCFunction)Kernel_restore, METH_O | METH_CLASS, NULL},
    {"counters", (PyCFunction)Kernel_counters, METH_NOARGS, NULL},
    {"levels", (PyCFunction)Kernel_levels, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef kernel_fields[] = {
    {"last_seq", (getter)get_last_seq, NULL, NULL, NULL},
    {"last_ts_ns", (getter)get_last_ts, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyTypeObject KernelType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "features._native.Kernel",
    .tp_basicsize = sizeof(KernelObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "One channel's books, features and clock.",
    .tp_new = Kernel_new,
    .tp_dealloc = (destructor)Kernel_dealloc,
    .tp_methods = kernel_methods,
    .tp_getset = kernel_fields,
};

static PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "features._native", .m_size = -1};

PyMODINIT_FUNC PyInit__native(void)
{
    if (PyType_Ready(&KernelType) < 0)
        return NULL;
    PyObject *made = PyModule_Create(&module);
    if (made && (PyModule_AddObjectRef(made, "Kernel", (PyObject *)&KernelType) < 0 ||
                 PyModule_AddIntConstant(made, "FEATURE_COUNT", FEATURE_COUNT) < 0)) {
        Py_DECREF(made);
        return NULL;
    }
    return made;
}
