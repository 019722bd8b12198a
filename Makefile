PYTHON ?= $(shell command -v python3.11 || echo python3)
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: bench distill quickstart pretraining_gain test soak lint install

quickstart: install  ## simulate a shop, train on its click log, evaluate, export, serve and ask
	PATH="$(CURDIR)/.venv/bin:$$PATH" bash pipelines/quickstart.sh

pretraining_gain: install runs/shop/pretrained/metrics.json  ## the quickstart's ranker, with and without pre-training
	.venv/bin/python pipelines/measure_pretraining_gain.py pipelines/configs/pretraining_gain_shop.yaml

distill: install runs/shop/ranker/metrics.json  ## the quickstart's ranker into students, and what each keeps of it
	.venv/bin/python pipelines/distill.py pipelines/configs/distill_shop.yaml

runs/shop/pretrained/metrics.json runs/shop/ranker/metrics.json:
	$(MAKE) quickstart

test: install lint  ## what every change must pass; two processes share the cores, so each gets one
	TF_NUM_INTRAOP_THREADS=1 OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n 2 --dist loadfile -m "not soak"

bench: install runs/homedepot/tokenizer/tokenizer.json  ## speed and memory against peers; writes benchmarks/RESULTS.md
	bash benchmarks/run.sh

runs/homedepot/tokenizer/tokenizer.json:
	.venv/bin/python pipelines/prepare_data.py benchmarks/training.yaml
	.venv/bin/python pipelines/train_tokenizer.py benchmarks/training.yaml

soak: install  ## what takes longer: long kills, big logs, many trials
	.venv/bin/python -m pytest -m soak

lint: install
	.venv/bin/ruff check
	.venv/bin/ruff format --check

install: .venv/installed

.venv/installed: setup.cfg constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
		echo "tfr_listbert needs Python 3.11, the newest that TensorFlow Ranking supports: install it, or name it with 'make PYTHON=/path/to/python3.11 ...'." >&2; exit 2; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --editable ".[onnx,serving,test]"
	.venv/bin/python -m pip check
	touch $@
