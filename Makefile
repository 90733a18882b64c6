# The commands of this project; CI runs the same ones. Everything they need they install into .venv.
PYTHON ?= python3
BIN := .venv/bin
MINISTACK := .venv-ministack/bin/ministack
export MINISTACK_VENV := $(CURDIR)/.venv-ministack

.PHONY: run test pythons e2e matrix lint bench package deploy deploy-edge lock clean

run: .venv/run  ## start the index on http://127.0.0.1:8080 over ./data
	$(BIN)/serverless-pypi serve

test: .venv/test $(MINISTACK)  ## run all tests but those that need the public index, and say what they leave unrun
	$(BIN)/pytest -n 2 --dist loadfile -m "not e2e" --cov --cov-report=term-missing:skip-covered

pythons: .venv/test $(MINISTACK)  ## run them under each Python found here: PYTHONS="python3.14 ..." PART=units|function|integration
	$(BIN)/python -m tests.pythons $(if $(PART),--part $(PART)) $(PYTHONS)

e2e: .venv/test  ## run the tests against the public index
	$(BIN)/pytest -m e2e tests/e2e

matrix: .venv/test  ## try every client that tests/matrix/clients.toml pins, write docs/clients.md
	$(BIN)/python -m tests.matrix

lint: .venv/test  ## formatting, rules, types, direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --python-version 3.15 indexer/zstd.py
	$(BIN)/cfn-lint deploy/*.yaml
	$(BIN)/pytest -q tests/test_imports.py

bench: .venv/bench  ## measure everything; QUICK=--quick for a first look (wrk makes better load, where it is installed)
	$(BIN)/python -m benchmarks.cold $(QUICK)
	$(BIN)/python -m benchmarks.warm $(QUICK)
	$(BIN)/python -m benchmarks.index $(QUICK)
	$(BIN)/python -m benchmarks.http $(QUICK)
	$(BIN)/python -m benchmarks.burst $(QUICK)
	$(BIN)/python -m benchmarks.ingest $(QUICK)
	$(BIN)/python -m benchmarks.upload $(QUICK)
	$(BIN)/python -m benchmarks.manage $(QUICK)
	$(BIN)/python -m benchmarks.tune $(QUICK)

PYTHON_VERSION ?= 3.13
ARCH ?= x86_64
OUTPUT ?= dist
LDIST = $(BIN)/python setup.py --quiet ldist --python $(PYTHON_VERSION) --arch $(ARCH) --output $(OUTPUT)
ZIP = $$(ls -t $(OUTPUT)/serverless-pypi-*-$(ARCH).zip | head -n 1)

package: .venv/package  ## build the function's zip: PYTHON_VERSION=3.13 ARCH=x86_64 SETTINGS=file OUTPUT=dist
	$(LDIST) $(if $(SETTINGS),--settings $(SETTINGS))

deploy: package  ## deploy it to AWS: STACK=pypi BUCKET=name ARTIFACTS=bucket PARAMETERS="NAME=VALUE ..."
	$(BIN)/python -m deploy.deploy --zip "$(ZIP)" --stack "$(STACK)" --artifacts "$(ARTIFACTS)" \
	  $(if $(BUCKET),BucketName=$(BUCKET)) $(PARAMETERS)

deploy-edge: OUTPUT = dist/edge
deploy-edge: package  ## add a door by Lambda@Edge: STACK=pypi-edge BUCKET=name SETTINGS=file ARTIFACTS=bucket
	$(BIN)/python -m deploy.deploy --template edge --zip "$(ZIP)" --stack "$(STACK)" --artifacts "$(ARTIFACTS)" \
	  BucketName=$(BUCKET) $(PARAMETERS)

lock: .venv/test  ## renew deploy/requirements.txt, the versions that the zip holds
	$(BIN)/python -m deploy.lock

clean:  ## remove what these commands made, but not ./data
	rm -rf .venv .venv-ministack .venv-pythons .matrix-cache build dist .mypy_cache .ruff_cache .hypothesis .coverage* *.egg-info

.venv/pip:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	touch $@

.venv/run: .venv/pip setup.py
	$(BIN)/python -m pip install --quiet --editable '.[serve]'
	touch $@

.venv/package: .venv/pip setup.py
	$(BIN)/python -m pip install --quiet 'setuptools>=77'
	touch $@

.venv/bench: .venv/test
	$(BIN)/python -m pip install --quiet --editable '.[serve,test,bench]'
	touch $@

.venv/test: .venv/pip setup.py
	$(BIN)/python -m pip install --quiet --editable '.[serve,test]'
	touch $@

# Its own environment: ministack pins an old botocore.
$(MINISTACK):
	$(PYTHON) -m venv .venv-ministack
	.venv-ministack/bin/python -m pip install --quiet 'ministack==1.5.33'
