/* The module `gate._native`: types, words of the reasons, constants, and the hashes of scopes. */
#include "python/module.h"

#include "python/gate_object.h"
#include "order/order.h"
#include "python/ring_object.h"
#include "python/table_object.h"

/* A type is a heap type or a structure sequence. */
static const struct {
    PyType_Spec *spec;
    PyStructSequence_Desc *sequence;
} types[TYPE_COUNT] = {
    [TYPE_LIMIT_TABLE] = {.spec = &limit_table_spec},
    [TYPE_GATE] = {.spec = &gate_spec},
    [TYPE_ROUTE] = {.spec = &route_spec},
    [TYPE_DECISION] = {.sequence = &gate_decision_desc},
    [TYPE_DECISION_RING] = {.spec = &decision_ring_spec},
};

static const struct {
    const char *name;
    long long value;
} constants[] = {
    {"ORDER_NEW", ORDER_NEW},
    {"ORDER_REPLACE", ORDER_REPLACE},
    {"ORDER_CANCEL", ORDER_CANCEL},
    {"ORDER_BUY", ORDER_BUY},
    {"ORDER_SELL", ORDER_SELL},
    {"ORDER_LIMIT", ORDER_LIMIT},
    {"ORDER_MARKET", ORDER_MARKET},
    {"ORDER_POST_ONLY", ORDER_POST_ONLY},
    {"ORDER_REDUCE_ONLY", ORDER_REDUCE_ONLY},
    {"VERDICT_ACCEPT", VERDICT_ACCEPT},
    {"VERDICT_REJECT", VERDICT_REJECT},
    {"VERDICT_PEND", VERDICT_PEND},
    {"SET_BLOCKED", LIMIT_SET_BLOCKED},
    {"SET_APPROVED", LIMIT_SET_APPROVED},
    {"SET_REARMED", LIMIT_SET_REARMED},
    {"SET_LOCATED", LIMIT_SET_LOCATED},
    {"SET_CAPACITY", LIMIT_SET_CAPACITY},
    {"UNLIMITED", LIMIT_UNLIMITED},
    {"BPS_MAX", LIMIT_BPS_MAX},
    {"TICKS_MAX", LIMIT_TICKS_MAX},
    {"WEIGHT_MAX", LIMIT_WEIGHT_MAX},
    {"MARGIN_MAX", LIMIT_MARGIN_MAX},
    {"OPEN_ORDERS_MAX", LIMIT_OPEN_ORDERS_MAX},
    {"REPEATS_MAX", LIMIT_REPEATS_MAX},
    {"QTY_STEP_MAX", LIMIT_QTY_STEP_MAX},
    {"PERIOD_MIN_NS", LIMIT_PERIOD_MIN_NS},
    {"PERIOD_MAX_NS", LIMIT_PERIOD_MAX_NS},
    {"MODEL_ID_BYTES_MAX", LIMIT_MODEL_ID_BYTES},
    {"ROW_BYTES", sizeof(struct limit_row)},
    {"ACCOUNT_ROW_BYTES", sizeof(struct account_limits)},
    {"SLOT_BYTES", sizeof(struct limit_slot)},
    {"ACCOUNT_SLOT_BYTES", sizeof(struct account_slot)},
    {"HEADER_BYTES", sizeof(struct limit_header)},
    {"RECORD_BYTES", sizeof(struct decision_record)},
};

static PyObject *module_scope_hash(PyObject *Py_UNUSED(module), PyObject *arg)
{
    Py_ssize_t length;
    const char *scope = PyUnicode_AsUTF8AndSize(arg, &length);
    return scope ? PyLong_FromUnsignedLongLong(scope_hash(scope, (size_t)length)) : NULL;
}

static PyObject *module_pair_hash(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 2)
        return PyErr_Format(PyExc_TypeError, "account and instrument_id were wanted, %zd arguments were given", count);
    unsigned long long account = PyLong_AsUnsignedLongLong(args[0]);
    long long instrument_id = PyErr_Occurred() ? -1 : PyLong_AsLongLong(args[1]);
    return PyErr_Occurred() ? NULL : PyLong_FromUnsignedLongLong(pair_hash(account, instrument_id));
}

static PyMethodDef module_methods[] = {
    {"scope_hash", module_scope_hash, METH_O, "Return the 64-bit hash of a scope such as 'account:A1'."},
    {"pair_hash", (PyCFunction)(void (*)(void))module_pair_hash, METH_FASTCALL,
     "Return the 64-bit hash of an account in one instrument."},
    {NULL, NULL, 0, NULL},
};

/* Add the tuple of what `name_of` says of every reason. */
static int add_names(PyObject *module, const char *name, const char *(*name_of)(int reason))
{
    PyObject *names = PyTuple_New(REASON_COUNT);
    for (int reason = 0; names && reason < REASON_COUNT; reason++) {
        PyObject *word = PyUnicode_InternFromString(name_of(reason));
        if (!word)
            Py_CLEAR(names);
        else
            PyTuple_SET_ITEM(names, reason, word);
    }
    int result = names ? PyModule_AddObjectRef(module, name, names) : -1;
    Py_XDECREF(names);
    return result;
}

static int add_type(PyObject *module, struct gate_state *state, int type)
{
    state->types[type] = types[type].spec ? (PyTypeObject *)PyType_FromModuleAndSpec(module, types[type].spec, NULL)
                                          : PyStructSequence_NewType(types[type].sequence);
    return state->types[type] ? PyModule_AddType(module, state->types[type]) : -1;
}

static int module_exec(PyObject *module)
{
    struct gate_state *state = PyModule_GetState(module);
    state->table_error = PyErr_NewExceptionWithDoc("gate._native.LimitTableError",
                                                   "A limit table that cannot be opened, written or read.", NULL, NULL);
    if (!state->table_error || PyModule_AddObjectRef(module, "LimitTableError", state->table_error) < 0)
        return -1;
    for (int type = 0; type < TYPE_COUNT; type++)
        if (add_type(module, state, type) < 0)
            return -1;
    if (add_names(module, "REASONS", order_reason_word) < 0 || add_names(module, "RULES", order_reason_rule) < 0)
        return -1;
    for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++) {
        PyObject *value = PyLong_FromLongLong(constants[i].value);
        int added = value ? PyModule_AddObjectRef(module, constants[i].name, value) : -1;
        Py_XDECREF(value);
        if (added < 0)
            return -1;
    }
    return 0;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    struct gate_state *state = PyModule_GetState(module);
    Py_VISIT(state->table_error);
    for (int type = 0; type < TYPE_COUNT; type++)
        Py_VISIT(state->types[type]);
    return 0;
}

static int module_clear(PyObject *module)
{
    struct gate_state *state = PyModule_GetState(module);
    Py_CLEAR(state->table_error);
    for (int type = 0; type < TYPE_COUNT; type++)
        Py_CLEAR(state->types[type]);
    return 0;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_native",
    .m_doc = "Limit table and gate in C.",
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
