# Two commands matter: `make demo` and `make test`. Each sets up all that it needs and leaves nothing running.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.SILENT:

PYTHON   ?= python3.11
UV_VERSION := 0.13.8
VENV     := .venv
PY       := $(VENV)/bin/python
UV       := .tools/bin/uv
TIDEGATE := $(VENV)/bin/tidegate
STAMPS   := build/stamps
PEERS    := build/peers-venv
SERVING  := build/serving-venv
PEERS_WITHOUT := pyside6 pyside6-addons pyside6-essentials shiboken6 pyqtgraph qdarkstyle qtpy
KUSTOMIZE_VERSION := v5.7.1
TEST_WORKERS ?= 2
NATIVE   := $(wildcard features/native/*.[ch] gate/native/*.h gate/native/*/*.[ch])

.PHONY: demo test check unit integration fuzz bench bench-peers drills soak
.PHONY: setup train-setup jars locks kustomize k8s-apiserver serving-env embed rules dashboards model results clean help

help:  ## list the commands
	grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(STAMPS)/build $(STAMPS)/jars  ## run the flash-crash scenario through the whole loop (report in build/demo/)
	$(TIDEGATE) demo

test: $(STAMPS)/dev $(STAMPS)/build $(STAMPS)/jars $(STAMPS)/serving $(STAMPS)/browser $(STAMPS)/kustomize  ## lint, types, unit and integration tests with real Kafka, Flink and chDB
	$(MAKE) check
	$(PY) -m pytest -n $(TEST_WORKERS) --dist loadscope --no-loadscope-reorder

check: $(STAMPS)/dev $(STAMPS)/build  ## lint, types and the tidy tests: what every commit passes
	echo "[tidegate] ruff";  $(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check -q .
	echo "[tidegate] mypy";  $(VENV)/bin/mypy
	echo "[tidegate] tidy";  $(PY) -m pytest -q tests/tidy

unit: $(STAMPS)/dev $(STAMPS)/build $(STAMPS)/kustomize  ## unit tests alone, a minute and a half (neither slow ones nor engines nor recordings)
	$(PY) -m pytest -q -m "not integration and not marketdata and not slow"

integration: $(STAMPS)/dev $(STAMPS)/build $(STAMPS)/jars $(STAMPS)/serving  ## integration tests alone
	$(PY) -m pytest -m integration

FUZZ_SECONDS ?= 60
fuzz: $(STAMPS)/dev $(STAMPS)/build  ## sanitizers and mutated recordings, FUZZ_SECONDS for each part; JSON last
	$(PY) -m tests.fuzz --seconds $(FUZZ_SECONDS)

bench: $(STAMPS)/dev $(STAMPS)/build $(STAMPS)/jars  ## every benchmark; results are printed, not committed
	$(PY) -m benchmarks.bench_gate && $(PY) -m benchmarks.bench_decisions && $(PY) -m benchmarks.bench_kernel && $(PY) -m benchmarks.bench_history && $(PY) -m benchmarks.bench_path && $(PY) -m benchmarks.bench_api

bench-peers: $(STAMPS)/dev $(STAMPS)/build $(STAMPS)/peers  ## one pre-trade check of NautilusTrader, vnpy and ours, in turns on one core; JSON last
	$(PY) -m benchmarks.bench_peers

rules: $(STAMPS)/dev .tools/promtool  ## try the alert rules on their cases with promtool (built from its sources the first time)
	$(PY) -m pytest -q tests/deploy/test_observability.py

dashboards: $(STAMPS)/build  ## rewrite Grafana's dashboards from deploy/observability/panels.py
	$(PY) -m deploy.observability.panels

serving-env: $(STAMPS)/serving  ## Triton in an environment of its own (docs/serving.md)

# The gate without Python and without its benchmarks.
CORE := $(foreach part,order table ledger judge gate ring,$(wildcard gate/native/$(part)/*.c))
EMBED := build/embed

embed: $(EMBED)/libtidegate_gate.a $(EMBED)/embed  ## the gate as a C library and the program that shows its use (docs/embed.md)

$(EMBED)/%.o: gate/native/%.c $(wildcard gate/native/*.h gate/native/*/*.h)
	mkdir -p $(@D)
	$(CC) -std=c11 -O3 -fPIC -Wall -Wextra -Werror -Igate/native -c $< -o $@

$(EMBED)/libtidegate_gate.a: $(CORE:gate/native/%.c=$(EMBED)/%.o)
	$(AR) rcs $@ $^

$(EMBED)/embed: gate/native/example/embed.c $(EMBED)/libtidegate_gate.a
	$(CC) -std=c11 -O3 -Wall -Wextra -Werror -Igate/native $^ -o $@

drills: $(STAMPS)/dev $(STAMPS)/build $(STAMPS)/jars  ## the drills that are too long for `make test` (docs/drills.md)
	$(PY) -m pytest -m drill

SOAK_MINUTES ?= 30
soak: $(STAMPS)/build $(STAMPS)/jars  ## a whole stack under a steady load for SOAK_MINUTES; fails where memory or handles grow; JSON last
	nice -n 10 $(TIDEGATE) drill soak --minutes $(SOAK_MINUTES) --json

model: $(STAMPS)/dev $(STAMPS)/build  ## rebuild the committed default model from its seed
	$(PY) -m deploy.build_default_model --seed 7

results: $(STAMPS)/build  ## rewrite README's table of the evaluation from benchmarks/results
	$(TIDEGATE) results

train-setup: $(STAMPS)/dev $(STAMPS)/build  ## what `tidegate train` needs beyond the runtime: torch and its exporter

setup: $(STAMPS)/build $(STAMPS)/jars  ## runtime environment, C extensions and jars, nothing else

jars: $(STAMPS)/jars  ## Kafka broker, Flink connector and plugin jars, CRDs of the Flink operator, Avro for subscribers in Java

kustomize: $(STAMPS)/kustomize  ## kustomize in build/tools, which the tests of the manifests render with (needs Go)

locks: $(UV)  ## resolve the pins again after a change of pyproject.toml
	$(UV) pip compile -q pyproject.toml --group train --group dev --python-version 3.11 --generate-hashes --no-header --no-annotate -o locks/all.lock
	$(UV) pip compile -q pyproject.toml --python-version 3.11 --generate-hashes --no-header --no-annotate -c locks/all.lock -o locks/runtime.lock
	$(UV) pip compile -q deploy/images/services.in --python-version 3.11 --generate-hashes --no-header --no-annotate -c locks/runtime.lock -o locks/services.lock
	$(UV) pip compile -q locks/peers.in --python-version 3.11 --generate-hashes --no-header --no-annotate $(PEERS_WITHOUT:%=--no-emit-package %) -o locks/peers.lock
	$(UV) pip compile -q locks/serving.in --python-version 3.11 --generate-hashes --no-header --no-annotate -o locks/serving.lock

clean:  ## remove what was built (not the jars and not the environment)
	rm -rf build .tidegate *.egg-info features/*.so gate/*.so

$(STAMPS)/prerequisites: deploy/prerequisites.sh
	mkdir -p $(STAMPS)
	PYTHON="$(PYTHON)" deploy/prerequisites.sh
	touch $@

$(STAMPS)/browser: deploy/browser.sh
	mkdir -p $(STAMPS)
	deploy/browser.sh
	touch $@

$(UV): $(STAMPS)/prerequisites
	echo "[tidegate] uv $(UV_VERSION)"
	$$(deploy/prerequisites.sh --python) -m venv .tools
	.tools/bin/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	touch $@

# Without service discovery of clouds, which rules do not need and which would double the time.
.tools/promtool: $(UV) deploy/observability/promtool/go.mod deploy/observability/promtool/go.sum
	command -v go > /dev/null || { echo "[tidegate] promtool needs Go 1.26 or later"; exit 1; }
	echo "[tidegate] promtool (some minutes the first time)"
	cd deploy/observability/promtool && go build -tags remove_all_sd -o $(CURDIR)/$@ github.com/prometheus/prometheus/cmd/promtool

$(PY): $(UV)
	echo "[tidegate] virtual environment"
	$(UV) venv -q --clear --python "$$(deploy/prerequisites.sh --python)" $(VENV)
	touch $(PY)

$(STAMPS)/runtime: $(PY) locks/runtime.lock
	echo "[tidegate] runtime packages (about 1 GB the first time)"
	$(UV) pip install -q --python $(PY) --require-hashes -r locks/runtime.lock
	touch $@

$(STAMPS)/dev: $(STAMPS)/runtime locks/all.lock
	echo "[tidegate] training and development packages"
	$(UV) pip install -q --python $(PY) --require-hashes -r locks/all.lock
	touch $@

$(STAMPS)/peers: $(UV) locks/peers.lock
	echo "[tidegate] the other engines, in an environment of their own (about 700 MB the first time)"
	$(UV) venv -q --clear --python "$$(deploy/prerequisites.sh --python)" $(PEERS)
	$(UV) pip install -q --python $(PEERS)/bin/python --no-deps --require-hashes -b locks/peers.lock -r locks/peers.lock
	touch $@

$(STAMPS)/serving: $(UV) locks/serving.lock
	echo "[tidegate] Triton, in an environment of its own (about 370 MB the first time)"
	$(UV) venv -q --clear --python "$$(deploy/prerequisites.sh --python)" $(SERVING)
	$(UV) pip install -q --python $(SERVING)/bin/python --no-deps --require-hashes -r locks/serving.lock
	touch $@

$(STAMPS)/build: $(STAMPS)/runtime pyproject.toml $(NATIVE)
	echo "[tidegate] C extensions"
	$(UV) pip install -q --python $(PY) --no-deps --reinstall-package tidegate -e .
	touch $@

# Without Go the manifests are not rendered: their tests then skip loudly, and fail where CI=true.
$(STAMPS)/kustomize: $(STAMPS)/prerequisites Makefile
	echo "[tidegate] kustomize $(KUSTOMIZE_VERSION) (a minute the first time)"
	if command -v go >/dev/null; then GOBIN=$(CURDIR)/build/tools GOFLAGS=-mod=mod go install sigs.k8s.io/kustomize/kustomize/v5@$(KUSTOMIZE_VERSION); \
	else echo "[tidegate] Go is missing: the manifests will NOT be rendered (apt-get install golang)" >&2; fi
	touch $@

k8s-apiserver: $(STAMPS)/dev $(STAMPS)/build $(STAMPS)/jars $(STAMPS)/kustomize build/tools/apiserver  ## apply every overlay to a real API server, built from Go modules (not part of `make test`)
	$(PY) -m tests.k8s.verify_api_server

build/tools/apiserver: tests/k8s/apiserver/go.mod tests/k8s/apiserver/main.go
	echo "[tidegate] kube-apiserver and etcd (some minutes the first time)"
	cd tests/k8s/apiserver && go build -trimpath -ldflags "-s -w" -o $(CURDIR)/$@ .

$(STAMPS)/jars: $(STAMPS)/prerequisites pom.xml
	echo "[tidegate] jars"
	mvn -q -B -ntp -Dstyle.color=never -Pbroker dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/jars/broker
	for profile in flink java plugins crds; do mvn -q -B -ntp -Dstyle.color=never -P$$profile dependency:copy-dependencies -DexcludeTransitive=true -DoutputDirectory=$(CURDIR)/jars/$$profile || exit 1; done
	touch $@
