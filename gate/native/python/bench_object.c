/* Gate.measure: the loops of bench.c for Python, without its lock. */
#include "python/route_object.h"

#include "bench/bench.h"

static bool is_measurable(GateObject *self, int mode, const Py_buffer *orders, const Py_buffer *samples)
{
    if (mode < 0 || mode >= BENCH_MODES || orders->len == 0 || (size_t)orders->len % sizeof(struct order) != 0 ||
        samples->itemsize != 4 || (uintptr_t)orders->buf % _Alignof(struct order) != 0) {
        PyErr_Format(PyExc_ValueError, "a mode, whole orders of %zu bytes and a buffer of 32-bit unsigned integers were wanted",
                     sizeof(struct order));
        return false;
    }
    bool writes = mode == BENCH_REWRITTEN || mode == BENCH_KILL;
    if (gate_is_open(self) && writes && !self->gate.table.writable)
        PyErr_SetString(PyExc_ValueError, "this measurement writes to the table, which was opened for reading");
    return !PyErr_Occurred();
}

PyObject *gate_measure(GateObject *self, PyObject *args)
{
    Py_buffer orders, samples;
    int mode;
    if (!PyArg_ParseTuple(args, "iy*w*:measure", &mode, &orders, &samples))
        return NULL;
    bool fits = is_measurable(self, mode, &orders, &samples);
    uint64_t ended_well = 0;
    int64_t span_ns = 0;
    double unit_ns = 1.0;
    if (fits) {
        struct bench_orders load = {orders.buf, (size_t)orders.len / sizeof(struct order)};
        Py_BEGIN_ALLOW_THREADS
        int64_t start_ns = bench_now_ns();
        ended_well = bench_run(&self->gate, (enum bench_mode)mode, load, samples.buf, (size_t)samples.len / sizeof(uint32_t));
        span_ns = bench_now_ns() - start_ns;
        if (mode != BENCH_VISIBLE && mode != BENCH_BATCH)
            unit_ns = bench_clock_unit_ns(20000000);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&orders);
    PyBuffer_Release(&samples);
    return fits ? Py_BuildValue("KdL", (unsigned long long)ended_well, unit_ns, (long long)span_ns) : NULL;
}
