/* The Python types `gate._native.Gate`, `Route` and `Decision`: parse, call the C core, convert. */
#ifndef TIDEGATE_GATE_OBJECT_H
#define TIDEGATE_GATE_OBJECT_H

#include "python/module.h"

extern PyType_Spec gate_spec, route_spec;
extern PyStructSequence_Desc gate_decision_desc;

#endif
