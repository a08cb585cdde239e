# `make demo` and `make test` are all that a newcomer needs; each makes its own environment and
# installs what it needs. PYTHON=... chooses the interpreter, VENV=... the folder.

VENV ?= .venv
PY = $(VENV)/bin/python
# one more than cores: much of a test is waiting, but those with timed wires must not starve
WORKERS ?= $(shell expr 1 + $$(nproc))
CODE = $(wildcard conftest.py deploy docs drivers edge models tests)
# mosquitto lives where only root looks
export PATH := $(PATH):/usr/sbin:/sbin

# for what exists to show something: to skip all of it is no success
SHOW = $(PY) -m pytest -p tests.mustrun

# more than the machine can do: beside others it takes minutes
ALONE = tests/system/test_overload.py

.PHONY: rig-example help pictures web-test web-pictures demo box test long scenes outage crash faults late rig rig-defects rig-qemu power-cut oracle frames mutants kernel-test check fuzz bench venv docs site models models-eval streets lock \
    wheel deb bundle sbom sums release deb-test image image-test cluster-test city-test broker clean

help:
	@echo "make demo          a simulated intersection; SECONDS=60 ends it by itself"
	@echo "make box           the program and what a box needs, in .venv; the other targets need more"
	@echo "make test          all fast tests; PYTEST='-k name' for some of them"
	@echo "make long          what make test tries in part, as a whole: all examples, seeds and days"
	@echo "make scenes        the tests that need real time: kills, hung buses, clocks that are set"
	@echo "make outage        kill -9 and a broker that is away for a minute, with real processes"
	@echo "make rig-example   the example project of a supplier, with the wheel only, in an empty environment"
	@echo "make crash         power cuts, kills at system calls, and damaged files; some 20 minutes"
	@echo "make faults        every fault of docs/faults.md, with its outcome"
	@echo "make late          100,000 questions to each meter's table over links that delay and repeat; LATE="
	@echo "make rig           the library of scenarios on real processes, many at a time; RIG='killed power_cut', SHORT=1"
	@echo "make rig-defects   twelve planted defects on real processes: incident.toml fails by each; RIG=live_only"
	@echo "make oracle        12 minutes of random faults: each record once; SECONDS=3600, SEED=7"
	@echo "make frames        frames of real meters against other implementations; FRAMES=DIR for more"
	@echo "make fuzz          a million injured frames for each decoder; FRAMES=, GUIDED=, DECODER="
	@echo "make mutants       wrong changes of the code that keeps and proves records; SEED=1, COUNT=300"
	@echo "make kernel-test   the buses and drivers on a real kernel, in QEMU; makes its guest once"
	@echo "make power-cut     a guest whose power goes, on an honest, a slow and a lying disk; CYCLES=3 for each, SEED="
	@echo "make rig-qemu      a scenario on a guest with a real kernel, by kerbstone rig run; SCENARIO=NAME"
	@echo "make web-test      the page in a browser (Debian's chromium), in an environment of its own"
	@echo "make check         format, lint, types, imports, generated documents, licences"
	@echo "make bench         ratios against peers, measured here"
	@echo "make docs          write the documents that are made from code"
	@echo "make pictures      pictures of terminals for docs/img, of a real run with simulated devices; 3 minutes"
	@echo "make web-pictures  pictures of the page in a browser for docs/img; 3 minutes"
	@echo "make site          a site of all pages in build/site, with a search; every link and anchor checked"
	@echo "make models        simulate streets, train and export the models again; STREETS=, DATA=, NAB="
	@echo "make models-eval   the tables of the models' cards; STREETS= or FINAL=, DATA=, NAB=, QUICK=1"
	@echo "make streets       the newer kinds of streets: SET=training, choosing or final; STREETS="
	@echo "make lock          resolve requirements/*.txt again; UPGRADE=1 for newer versions"
	@echo "make wheel         dist/kerbstone-*.whl"
	@echo "make deb           dist/kerbstone_*_arm64.deb; ARCH=amd64. make bundle, sbom, sums: deploy/package"
	@echo "make release       checks, tests, seals the contract, builds all of these, tags; VERSION=1.2.3"
	@echo "make deb-test      install, upgrade and purge it in a Debian of its own; root; DEB=FILE"
	@echo "make image         dist/kerbstone-*-arm64.img.xz, a card for a Raspberry Pi; root"
	@echo "make image-test    boot it in QEMU: claim, enrolment, a record at the city's broker"
	@echo "make cluster-test  three RabbitMQ nodes, each killed under load; some 6 minutes"
	@echo "make city-test     a city of GATEWAYS=1000, each part of it harmed under load; 100 take 7 minutes on two cores"
	@echo "make broker        mosquitto on loopback with mutual TLS and a PKI of its own in build/broker"
	@echo "make clean         remove what these made"

demo:
	@.ci/venv $(VENV) demo
	@PYTHONPATH=. $(PY) -m edge.cli.main demo $(if $(SECONDS),--seconds $(SECONDS))

# what a box needs, and nothing that only developers need: 203 MB in place of 819
box:
	@.ci/venv $(VENV) box
	@echo "$(VENV)/bin/kerbstone is there"

venv:
	@.ci/venv $(VENV) dev

test: venv
	@.ci/tools
	TMPDIR=$$(.ci/memory) LONG= $(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
	    -m "not bench and not kernel and not scene and not long" $(PYTEST)

# all examples of each property, all seeds and kinds of what is tried in part each time
long: venv
	@.ci/tools
	TMPDIR=$$(.ci/memory) LONG=1 $(SHOW) -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
	    --timeout 1200 -m "long and not bench and not kernel and not scene" $(PYTEST)

scenes: venv
	@.ci/tools
	$(SHOW) -n $(WORKERS) --dist loadfile -m scene --ignore=$(ALONE) $(PYTEST)
	$(SHOW) -m scene $(ALONE)

# the example project of a supplier, from an empty environment; a network for pip
rig-example: venv
	@.ci/tools
	$(SHOW) -m scene -rs $(PYTEST) tests/rig/test_example.py

outage: venv
	@.ci/tools
	OUTAGE_S=60 $(SHOW) tests/system/test_outage.py $(PYTEST)

# cuts through a VFS that drops, reorders and tears; kills at each system call; damaged files
crash: venv
	@.ci/tools
	LONG=1 CRASH_CUTS=300 CRASH_KILLS=all CRASH_DAMAGE=all CRASH_CHANGES=300 KILLS=all $(SHOW) --timeout 1800 -s $(PYTEST) \
	    tests/crash tests/identity/test_killed_by_signal.py tests/infer/test_judge_kills.py

faults: venv
	@.ci/tools
	PYTHONPATH=. $(PY) -m tests.faults.run -n auto --dist loadfile $(PYTEST)

late: venv
	LATE=$(or $(LATE),100000) $(SHOW) -n auto --timeout 3600 -rP -q $(PYTEST) tests/drivers/meters/test_late_responses.py

# mostly waiting: WORKERS_RIG at a time, each with a box and a broker of its own; RIG: names
WORKERS_RIG ?= 16
rig: venv
	@.ci/tools
	PYTHONPATH=. $(PY) -m tests.rig.everyscenario --workers $(WORKERS_RIG) $(if $(SHORT),--short) $(RIG)

rig-defects: venv
	@.ci/tools
	PYTHONPATH=. $(PY) -m tests.rig.everyscenario --defects --workers $(WORKERS_RIG) $(RIG)

oracle: venv
	@.ci/tools
	ORACLE_S=$(or $(SECONDS),720) SEED=$(or $(SEED),4) \
	    $(SHOW) --timeout 7200 -s -q $(PYTEST) tests/oracle/test_oracle.py

# FRAMES: a folder with more frames and their SHA256SUMS; docs/frames.md says what is in it
frames: venv
	PYTHONPATH=. $(PY) -m tests.frames.run $(if $(FRAMES),--frames $(FRAMES))

# each against the tests that reach its line; survivors have their reasons in docs/mutants.md
mutants: venv
	@.ci/tools
	PYTHONPATH=. $(PY) -m tests.mutants.run --seed $(or $(SEED),1) --count $(or $(COUNT),300)

kernel-test: venv
	@.ci/tools
	$(SHOW) -m kernel --timeout 1800 -s -rs $(PYTEST) tests/kernel

# CYCLES for each of the disks; the last run must lose, or the rig sees nothing
power-cut: venv
	@.ci/tools
	PYTHONPATH=. $(PY) -m tests.powercut.run --cycles $(or $(CYCLES),3) --seed $(or $(SEED),1) $(POWER_CUT)

# in real time: the incident takes a quarter of an hour
rig-qemu: venv
	@.ci/tools
	PYTHONPATH=. $(PY) -m tests.kernel.rigqemu $(SCENARIO)

# the page in a real browser, beside a real daemon on simulated wires
web-test: VENV = .venv-web
web-test:
	@.ci/venv $(VENV) browser
	@.ci/tools browser
	$(SHOW) -q -rs --timeout 600 $(PYTEST) tests/web/browser

check: venv
	$(PY) -m ruff format --check $(CODE)
	$(PY) -m ruff check $(CODE)
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	PYTHONPATH=. $(PY) docs/generate.py --check
	$(PY) -m deploy.package.licences

# FRAMES: so many for each decoder; GUIDED: so many runs each of atheris, where it has a wheel
GUIDED ?= 100000
fuzz: FRAMES ?= 1000000
fuzz:
	@.ci/venv .venv-fuzz fuzz
	PYTHONPATH=. .venv-fuzz/bin/python -m tests.fuzz.run --frames $(FRAMES) $(DECODER)
	PYTHONPATH=. .venv-fuzz/bin/python -m tests.fuzz.guided --runs $(GUIDED) $(DECODER)

bench: venv
	@.ci/tools
	$(SHOW) -m bench --timeout 1800 -s -q $(PYTEST) tests/bench

docs: venv
	PYTHONPATH=. $(PY) docs/generate.py

# a daemon, simulated wires, and commands on pseudo-terminals; look at what comes out
pictures: venv
	PYTHONPATH=. $(PY) -m docs.pictures

web-pictures:
	@.ci/venv .venv-web browser
	@.ci/tools browser
	PYTHONPATH=. .venv-web/bin/python -m docs.webpictures

# a tool of the desk, with an environment of its own; decision 36 has the reason for its generator
site:
	@.ci/venv .venv-site site
	@PYTHONPATH=. .venv-site/bin/python -m docs.site.build

# STREETS: where simulated streets are kept (made when missing, 25 minutes of one core);
# DATA: real series with labelled faults; NAB: a checkout of the Numenta Anomaly Benchmark
STREETS ?= build/streets
TRAIN = PYTHONPATH=. .venv-train/bin/python -m
models:
	@.ci/venv .venv-train train
	$(TRAIN) models.congestion.scenarios.generate --out $(STREETS) --held-out 99
	$(TRAIN) models.congestion.scenarios.generate --out $(STREETS) --set training --count 90
	$(TRAIN) models.loopfault.train --streets $(STREETS)/train --out models/loopfault \
	    --plays 5 --rounds 50 --leaves 13
	$(TRAIN) models.congestion.train --streets $(STREETS)/train $(STREETS)/held_out \
	    $(STREETS)/training --rule mid stop --out models/congestion
	$(if $(and $(DATA),$(NAB)),$(TRAIN) models.anomaly.train --data $(DATA) --nab $(NAB) --out models/anomaly,\
	    @echo "models/anomaly is left as it is: DATA=labelled series and NAB=its data train it")

# one of the three sets, 60, 30 and 60 streets of ten kinds; a final set draws a seed of its own
SET ?= training
streets:
	@.ci/venv .venv-train train
	$(TRAIN) models.congestion.scenarios.generate --out $(STREETS) --set $(SET)

# FINAL: a final set in place of STREETS; this opening is counted in it
models-eval:
	@.ci/venv .venv-train train
	$(TRAIN) models.evaluate \
	    $(if $(FINAL),--final $(FINAL),$(if $(wildcard $(STREETS)),--streets $(STREETS))) \
	    $(if $(QUICK),,$(if $(wildcard $(STREETS)),--fusion $(STREETS))) \
	    $(if $(DATA),--data $(DATA)) $(if $(NAB),--nab-repo $(NAB)) $(if $(QUICK),--quick)

lock:
	requirements/lock.sh

wheel: venv
	$(PY) -m hatchling build -t wheel

deb bundle sbom sums: venv
	$(PY) -m deploy.package.$@ $(if $(filter-out sums,$@),$(if $(ARCH),--arch $(ARCH)))

# refuses what is not ready, and says why; the tag comes last
release: venv
	$(PY) -m deploy.release $(VERSION)

# as root, with mmdebstrap; on a desk after `make deb ARCH=amd64`
deb-test: venv
	$(PY) -m tests.package.installed $(DEB)

# as root, with what deploy/image/README.md installs; the root of Debian packages is kept in build/image
image: venv
	PYTHONPATH=. $(PY) -m deploy.image $(IMAGE_OPTIONS)

image-test: venv
	@.ci/tools
	PYTHONPATH=. $(PY) -m tests.image.run $(if $(IMAGE),--image $(IMAGE))

# three nodes on loopback, each killed in turn
cluster-test: venv
	@.ci/tools cluster
	$(SHOW) -s -rs $(PYTEST) tests/cluster

# BACKLOG: minutes of records with which all gateways come back at once
city-test: venv
	@.ci/tools cluster
	GATEWAYS=$(or $(GATEWAYS),1000) BACKLOG=$(or $(BACKLOG),20) $(SHOW) -s -rs $(PYTEST) tests/city

broker: venv
	@.ci/tools
	$(PY) deploy/broker/start.py build/broker

clean:
	rm -rf .venv .venv-other .venv-train .venv-fuzz .venv-node .venv-site .venv-web dist build .mypy_cache .ruff_cache .pytest_cache \
	    .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
