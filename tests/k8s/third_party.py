"""Schemas of kinds whose CRDs no package registry holds: our own reading of the fields that we use, every other refused."""

from typing import Any

_LABELS = {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1}
_DURATION = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h))+$"}


def _closed(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": list(properties) if required is None else required,
    }


def _document(spec: dict[str, Any]) -> dict[str, Any]:
    metadata = _closed(
        ["name", "namespace", "labels"], name={"type": "string"}, namespace={"type": "string"}, labels=_LABELS
    )
    return _closed(apiVersion={"type": "string"}, kind={"type": "string"}, metadata=metadata, spec=spec)


_RELABELLING = _closed(
    sourceLabels={"type": "array", "items": {"type": "string"}},
    regex={"type": "string"},
    targetLabel={"type": "string"},
    replacement={"type": "string"},
)
_ENDPOINT = _closed(["port", "interval"], port={"type": "string"}, path={"type": "string"}, interval=_DURATION,
                    scrapeTimeout=_DURATION, metricRelabelings={"type": "array", "items": _RELABELLING})  # fmt: skip
_RECORD = _closed(
    record={"type": "string", "pattern": "^tidegate:[a-z0-9_]+:[a-z0-9_]+$"}, expr={"type": "string", "minLength": 1}
)
_RULE = _closed(
    ["alert", "expr", "labels", "annotations"],
    alert={"type": "string", "pattern": "^Tidegate[A-Za-z]+$"},
    expr={"type": "string", "minLength": 1},
    labels=_closed(severity={"enum": ["page", "ticket"]}),
    annotations=_closed(summary={"type": "string"}, description={"type": "string"}),
    **{"for": _DURATION},
)

SCHEMAS: dict[str, dict[str, Any]] = {
    "monitoring.coreos.com/v1/PodMonitor": _document(
        _closed(
            ["selector", "podMetricsEndpoints"],
            selector=_closed(matchLabels=_LABELS),
            podTargetLabels={"type": "array", "items": {"type": "string"}},
            podMetricsEndpoints={"type": "array", "items": _ENDPOINT, "minItems": 1},
        )
    ),
    "monitoring.coreos.com/v1/PrometheusRule": _document(
        _closed(
            groups={
                "type": "array",
                "items": _closed(
                    name={"type": "string"},
                    rules={"type": "array", "items": {"oneOf": [_RULE, _RECORD]}, "minItems": 1},
                ),
            }
        )
    ),
    "kafka.strimzi.io/v1beta2/KafkaTopic": _document(
        _closed(
            partitions={"type": "integer", "minimum": 1},
            replicas={"type": "integer", "minimum": 1},
            config={"type": "object", "additionalProperties": {"type": ["string", "integer"]}},
        )
    ),
}
