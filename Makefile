# make demo   open the module with a synthetic patient (or yours, see below), estimate, register, save everything
# make test   check style, run the tests of the extension
# make test-all   the same and the tests of Testing/host, on which the tests of the panel run; what .ci/run calls
# make test-versions   run the tests of the core with numpy and SimpleITK as each Slicer has them (Testing/versions)
#
# All set up what they need first, into .venv (see Testing/environment.sh); the second time that takes no time.
#   make demo FIXED=a.nii.gz MOVING=b.nii.gz SEGMENTATION=s.nii.gz TISSUES=1=lung,2=soft,3=bone OUTPUT=results
#   make test PYTEST_ARGS="-k elasticity"
#   make test PYTEST_ARGS="-n 0 --pdb Testing/Python/core/test_live.py"   in one process
#   make test PYTHON=/path/to/python3.12
#   make test-versions-slicer-5.10

PYTHON ?=
FIXED =
MOVING =
SEGMENTATION =
MOVING_SEGMENTATION =
LANDMARKS =
TISSUES =
OUTPUT = demo-output
PYTEST_ARGS =

VENV_PYTHON := .venv/bin/python

# $(call option,--name,VALUE) is the option when VALUE was given, otherwise nothing.
option = $(if $(strip $(2)),$(1) "$(2)")

# Nothing outside of .venv may leak in.
export PYTHONNOUSERSITE = 1
unexport PYTHONPATH PYTHONHOME

VERSIONS := $(basename $(notdir $(wildcard Testing/versions/*.txt)))

.PHONY: help environment demo test test-all test-versions $(VERSIONS:%=test-versions-%) lint clean

help:
	@sed -n '/^#/!q;s/^# \{0,1\}//p' Makefile

environment:
	@PYTHON="$(PYTHON)" sh Testing/environment.sh

demo: environment
	$(VENV_PYTHON) Testing/demo.py $(call option,--fixed,$(FIXED)) $(call option,--moving,$(MOVING)) \
		$(call option,--segmentation,$(SEGMENTATION)) $(call option,--moving-segmentation,$(MOVING_SEGMENTATION)) \
		$(call option,--landmarks,$(LANDMARKS)) $(call option,--tissues,$(TISSUES)) $(call option,--output,$(OUTPUT))

lint: environment
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check --quiet .

# One process for each core takes one file after the other, in the order of Testing/Python/conftest.py.
IN_PARALLEL := -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

test: lint
	$(VENV_PYTHON) -m pytest $(IN_PARALLEL) --ignore Testing/Python/host $(PYTEST_ARGS)

test-all: lint
	$(VENV_PYTHON) -m pytest $(IN_PARALLEL) $(PYTEST_ARGS)

test-versions: $(VERSIONS:%=test-versions-%)

# The packages of one Slicer lie in a folder of their own, which comes before those of .venv.
$(VERSIONS:%=test-versions-%): test-versions-%: .venv/versions/%.txt
	PYTHONPATH=$(CURDIR)/.venv/versions/$*:$(CURDIR)/Testing/versions $(VENV_PYTHON) -m pytest -p core_only \
		--versions $< $(PYTEST_ARGS)

.venv/versions/%.txt: Testing/versions/%.txt | environment
	rm -rf .venv/versions/$*
	$(VENV_PYTHON) -m pip install --no-input --disable-pip-version-check --progress-bar off -q --no-deps \
		--target .venv/versions/$* --requirement $<
	cp $< $@

clean:
	rm -rf .venv demo-output build dist .pytest_cache .ruff_cache TissueElasticRegistration/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
