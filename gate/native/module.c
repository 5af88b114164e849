/* The module `gate._native`: types, constants, the hash of account ids, and the measuring loop of the benchmark. */
#include "table_object.h"

#include "bench.h"

static PyObject *account_hash(PyObject *Py_UNUSED(module), PyObject *arg)
{
    Py_ssize_t length;
    const char *account = PyUnicode_AsUTF8AndSize(arg, &length);
    return account ? PyLong_FromUnsignedLongLong(limit_account_hash(account, (size_t)length)) : NULL;
}

/* Return the orders in a list of 8-tuples as an array that the caller frees, and the time of the last; NULL on error. */
static struct order *orders_from(PyObject *list, int64_t *now_ns)
{
    Py_ssize_t count = PyList_GET_SIZE(list);
    struct order *orders = PyMem_Calloc((size_t)count, sizeof *orders);
    if (!orders)
        return (struct order *)PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *order = PyList_GET_ITEM(list, i);
        if (!PyTuple_Check(order)) {
            PyErr_SetString(PyExc_TypeError, "orders must be a list of tuples");
        } else if (table_to_order(&PyTuple_GET_ITEM(order, 0), PyTuple_GET_SIZE(order), &orders[i], now_ns)) {
            continue;
        }
        PyMem_Free(orders);
        return NULL;
    }
    return orders;
}

static PyObject *measure(struct limit_table *table, PyObject *list, Py_buffer *samples, Py_buffer *floor)
{
    int64_t now_ns = 0, batch_ns;
    double unit_ns;
    size_t count = (size_t)samples->len / sizeof(uint32_t), order_count = (size_t)PyList_GET_SIZE(list);
    struct order *orders = orders_from(list, &now_ns);
    if (!orders)
        return NULL;
    uint64_t accepted;
    Py_BEGIN_ALLOW_THREADS
    unit_ns = bench_clock_unit_ns(20 * 1000 * 1000);
    bench_timer(floor->buf, (size_t)floor->len / sizeof(uint32_t));
    accepted = bench_checks(table, orders, order_count, now_ns, samples->buf, count);
    batch_ns = bench_batch(table, orders, order_count, now_ns, count);
    Py_END_ALLOW_THREADS
    PyMem_Free(orders);
    return Py_BuildValue("dKL", unit_ns, (unsigned long long)accepted, (long long)batch_ns);
}

static PyObject *measure_checks(PyObject *module, PyObject *args)
{
    struct gate_state *state = PyModule_GetState(module);
    TableObject *self;
    PyObject *list;
    Py_buffer samples, floor;
    if (!PyArg_ParseTuple(args, "O!O!w*w*:measure_checks", state->table_type, &self, &PyList_Type, &list, &samples,
                          &floor))
        return NULL;
    PyObject *result = NULL;
    if (samples.itemsize != 4 || floor.itemsize != 4 || PyList_GET_SIZE(list) == 0)
        PyErr_SetString(PyExc_ValueError, "at least one order and two buffers of 32-bit unsigned integers were wanted");
    else if (table_is_open(self))
        result = measure(&self->table, list, &samples, &floor);
    PyBuffer_Release(&samples);
    PyBuffer_Release(&floor);
    return result;
}

static PyMethodDef module_methods[] = {
    {"account_hash", account_hash, METH_O, "Return the 64-bit hash of an account id."},
    {"measure_checks", measure_checks, METH_VARARGS, "Time checks inside C."},
    {NULL, NULL, 0, NULL},
};

static PyObject *reason_words(void)
{
    PyObject *words = PyTuple_New(REASON_COUNT);
    for (int reason = 0; words && reason < REASON_COUNT; reason++) {
        PyObject *word = PyUnicode_InternFromString(order_reason_word(reason));
        if (!word)
            Py_CLEAR(words);
        else
            PyTuple_SET_ITEM(words, reason, word);
    }
    return words;
}

static int module_exec(PyObject *module)
{
    struct gate_state *state = PyModule_GetState(module);
    state->table_error = PyErr_NewExceptionWithDoc("gate._native.LimitTableError",
                                                   "A limit table that cannot be opened, written or read.", NULL, NULL);
    state->table_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &limit_table_spec, NULL);
    state->row_type = PyStructSequence_NewType(&limit_row_desc);
    state->decision_type = PyStructSequence_NewType(&decision_desc);
    PyObject *words = reason_words();
    if (!state->table_error || !state->table_type || !state->row_type || !state->decision_type || !words ||
        PyModule_AddObjectRef(module, "LimitTableError", state->table_error) < 0 ||
        PyModule_AddType(module, state->table_type) < 0 || PyModule_AddType(module, state->row_type) < 0 ||
        PyModule_AddType(module, state->decision_type) < 0 || PyModule_AddObjectRef(module, "REASONS", words) < 0) {
        Py_XDECREF(words);
        return -1;
    }
    Py_DECREF(words);
    const struct {
        const char *name;
        long value;
    } constants[] = {
        {"ORDER_NEW", ORDER_NEW},       {"ORDER_REPLACE", ORDER_REPLACE},     {"ORDER_CANCEL", ORDER_CANCEL},
        {"ORDER_BUY", ORDER_BUY},       {"ORDER_SELL", ORDER_SELL},           {"ORDER_LIMIT", ORDER_LIMIT},
        {"ORDER_MARKET", ORDER_MARKET}, {"ACCOUNTS_MAX", LIMIT_TABLE_ACCOUNTS}, {"BAND_BPS_MAX", (long)LIMIT_BAND_MAX},
        {"MODEL_ID_BYTES_MAX", LIMIT_MODEL_ID_BYTES}, {"ROW_BYTES", (long)sizeof(struct limit_slot)},
    };
    for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++)
        if (PyModule_AddIntConstant(module, constants[i].name, constants[i].value) < 0)
            return -1;
    return 0;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    struct gate_state *state = PyModule_GetState(module);
    Py_VISIT(state->table_error);
    Py_VISIT(state->table_type);
    Py_VISIT(state->row_type);
    Py_VISIT(state->decision_type);
    return 0;
}

static int module_clear(PyObject *module)
{
    struct gate_state *state = PyModule_GetState(module);
    Py_CLEAR(state->table_error);
    Py_CLEAR(state->table_type);
    Py_CLEAR(state->row_type);
    Py_CLEAR(state->decision_type);
    return 0;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_native",
    .m_doc = "Limit table and order check in C.",
    .m_size = sizeof(struct gate_state),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&module_def);
}
