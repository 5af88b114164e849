"""The alert rules as the Prometheus operator takes them: ``python -m deploy.observability.kubernetes > k8s/.../rules.yaml``.

Invariant: ``rules.yml`` is the one source; this adds the resource around its groups and changes no letter of them. Rejected: the
resource as the source (promtool and a plain Prometheus cannot read it).
"""

import sys
import textwrap
from typing import Final

from deploy.local.prometheus import RULES

_HEAD: Final = """\
# Written from deploy/observability/rules.yml by `python -m deploy.observability.kubernetes`; edit it there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: tidegate
  namespace: tidegate
  labels:
    app.kubernetes.io/part-of: tidegate
spec:
  groups:
"""


def prometheus_rule() -> str:
    """Return the text of the resource."""
    _, groups = RULES.read_text().split("\ngroups:\n", 1)
    return _HEAD + textwrap.indent(groups, "  ")


if __name__ == "__main__":
    sys.stdout.write(prometheus_rule())
