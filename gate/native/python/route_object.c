#include "python/route_object.h"

#include "python/ring_object.h"

#define DECISION_FIELDS 16

static PyStructSequence_Field decision_fields[] = {
    {"reason", NULL}, {"verdict", NULL}, {"warned", NULL}, {"stale", NULL}, {"limit", NULL}, {"observed", NULL},
    {"worst_price", NULL}, {"tier", NULL}, {"epoch", NULL}, {"tick_ns", NULL}, {"model_id", NULL}, {"score", NULL},
    {"ref_price", NULL}, {"position_before", NULL}, {"working_buy_before", NULL}, {"working_sell_before", NULL},
    {NULL, NULL},
};
PyStructSequence_Desc gate_decision_desc = {"gate._native.Decision", "What the gate says of an order.", decision_fields, DECISION_FIELDS};

/* A long is 64 bits here, and on CPython 3.11 this call is the faster of the two. */
static bool to_number(PyObject *value, int64_t *out)
{
    *out = PyLong_AsLong(value);
    return *out != -1 || !PyErr_Occurred();
}
_Static_assert(sizeof(long) == 8, "prices and times fit a long");

static bool to_hash(PyObject *value, uint64_t *out)
{
    *out = PyLong_AsUnsignedLong(value);
    return *out != UINT64_MAX || !PyErr_Occurred();
}

static bool to_byte(PyObject *value, uint8_t *out)
{
    long number = PyLong_AsLong(value);
    if (number == -1 && PyErr_Occurred())
        return false;
    *out = number < 0 || number > 255 ? 255 : (uint8_t)number; /* 255 is nothing of ours: an invalid order */
    return true;
}

/* instrument_id, order_id, action, side, order_type, flags, qty, price, now_ns[, target_id[, parent[, basket[, text]]]] */
static bool parse(RouteObject *self, PyObject *const *args, Py_ssize_t count, struct order *order, int64_t *now_ns)
{
    if (count < 9 || count > 13) {
        PyErr_Format(PyExc_TypeError, "9 to 13 arguments were wanted, %zd were given", count);
        return false;
    }
    if (!gate_is_open(self->gate))
        return false;
    *order = self->order;
    return to_number(args[0], &order->instrument_id) && to_hash(args[1], &order->order_id) &&
           to_byte(args[2], &order->action) && to_byte(args[3], &order->side) && to_byte(args[4], &order->type) &&
           to_byte(args[5], &order->flags) && to_number(args[6], &order->qty) && to_number(args[7], &order->price) &&
           to_number(args[8], now_ns) && (count < 10 || to_hash(args[9], &order->target_id)) &&
           (count < 11 || to_hash(args[10], &order->parent)) && (count < 12 || to_hash(args[11], &order->basket));
}

static PyObject *number_or_none(bool is_set, int64_t number)
{
    return is_set ? PyLong_FromLongLong(number) : Py_NewRef(Py_None);
}

static PyObject *decision_value(PyTypeObject *route_type, const struct decision *decision)
{
    struct gate_state *state = PyType_GetModuleState(route_type);
    size_t model_bytes = strnlen(decision->model_id, LIMIT_MODEL_ID_BYTES);
    PyObject *values[] = {
        PyLong_FromLong(decision->reason),
        PyLong_FromLong(decision->verdict),
        PyBool_FromLong(decision->warned),
        PyBool_FromLong(decision->stale),
        number_or_none(decision->has_numbers, decision->limit),
        number_or_none(decision->has_numbers, decision->observed),
        number_or_none(decision->worst_price > 0, decision->worst_price),
        PyLong_FromLong(decision->tier),
        PyLong_FromLongLong(decision->epoch),
        PyLong_FromLongLong(decision->tick_ns),
        PyUnicode_DecodeASCII(decision->model_id, (Py_ssize_t)model_bytes, "replace"),
        PyFloat_FromDouble(decision->score),
        number_or_none(decision->ref_price > 0, decision->ref_price),
        number_or_none(decision->has_ledger, decision->position_before),
        number_or_none(decision->has_ledger, decision->working_buy_before),
        number_or_none(decision->has_ledger, decision->working_sell_before),
    };
    PyObject *made = PyStructSequence_New(state->types[TYPE_DECISION]);
    for (Py_ssize_t i = 0; i < DECISION_FIELDS; i++) {
        if (!values[i])
            Py_CLEAR(made);
        if (made)
            PyStructSequence_SetItem(made, i, values[i]);
        else
            Py_XDECREF(values[i]);
    }
    return made;
}

static PyObject *route_check(RouteObject *self, PyObject *const *args, Py_ssize_t count)
{
    struct order order;
    struct decision decision;
    int64_t now_ns;
    if (!parse(self, args, count, &order, &now_ns))
        return NULL;
    gate_check(&self->gate->gate, &order, now_ns, &decision);
    return PyLong_FromLong(decision.reason);
}

static PyObject *route_decide(RouteObject *self, PyObject *const *args, Py_ssize_t count)
{
    struct order order;
    struct decision decision;
    int64_t now_ns;
    if (!parse(self, args, count, &order, &now_ns))
        return NULL;
    gate_check(&self->gate->gate, &order, now_ns, &decision);
    return decision_value(Py_TYPE(self), &decision);
}

/* Send the decision on its way out; a full ring counts what it lost, and no order waits for it. */
static bool record(GateObject *gate, const struct order *order, int64_t now_ns, const struct decision *decision, PyObject *text)
{
    struct decision_ring *ring = gate->ring ? decision_ring_of(gate->ring) : NULL;
    struct decision_context context = {
        .now_ns = now_ns,
        .has_ledger = decision->has_ledger,
        .position_before = decision->position_before,
        .working_buy_before = decision->working_buy_before,
        .working_sell_before = decision->working_sell_before,
    };
    if (!ring)
        return !gate->ring;
    if (text) {
        Py_ssize_t length;
        context.order_text = PyUnicode_AsUTF8AndSize(text, &length);
        context.order_text_length = (size_t)length;
        if (!context.order_text)
            return false;
    }
    decision_ring_push(ring, order, decision, &context);
    return true;
}

static PyObject *route_submit(RouteObject *self, PyObject *const *args, Py_ssize_t count)
{
    struct order order;
    struct decision decision;
    int64_t now_ns;
    PyObject *text = count == 13 && args[12] != Py_None ? args[12] : NULL;
    if (text && !PyUnicode_Check(text))
        return PyErr_Format(PyExc_TypeError, "the order's text must be a str, was %R", text);
    if (!parse(self, args, count, &order, &now_ns))
        return NULL;
    if (self->gate->ring && !decision_ring_of(self->gate->ring))
        return NULL; /* closed: an order must not be booked whose decision nobody would hear of */
    gate_submit(&self->gate->gate, &order, now_ns, &decision);
    return record(self->gate, &order, now_ns, &decision, text) ? decision_value(Py_TYPE(self), &decision) : NULL;
}

static void route_dealloc(RouteObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(self->gate);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef route_methods[] = {
    {"check", (PyCFunction)(void (*)(void))route_check, METH_FASTCALL, "Judge an order; return the number of the reason."},
    {"decide", (PyCFunction)(void (*)(void))route_decide, METH_FASTCALL, "Judge an order; return the decision."},
    {"submit", (PyCFunction)(void (*)(void))route_submit, METH_FASTCALL, "Judge an order and book it when accepted."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot route_slots[] = {
    {Py_tp_doc, "Who sends: made by Gate.route."},
    {Py_tp_dealloc, route_dealloc},
    {Py_tp_methods, route_methods},
    {0, NULL},
};

PyType_Spec route_spec = {
    .name = "gate._native.Route",
    .basicsize = sizeof(RouteObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = route_slots,
};
