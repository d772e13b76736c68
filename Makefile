# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
##   make harden     harden three lab hosts: boots them on this machine first
##   make harden INVENTORY=path/to/inventory [LIMIT=hosts] [CHECK=1] [ARGS='-e ...']
##                   harden your own hosts; CHECK=1 only shows what would change
##   make audit [INVENTORY=... LIMIT=... ARGS=...]
##                   tell what is set and what is wrong with it; changes nothing
##   make test       everything CI runs; PARTS='name ...' runs some of it
##   make fuzz       20,000 generated configurations against the real tools; takes hours
##   make measure    measure the predictions again and write docs/measured.md
##   make bench      measure speed against ping and against plays by hand; writes tests/bench/RESULTS.md
##   make matrix     sanity and unit tests on every ansible-core and Python; CORES='2.18 ...' for some
##   make release VERSION=x.y.z
##                   version, changelog, tarball and its tests, commit and tag; pushes nothing
##   make docs       build the documentation as a site, .cache/docs/html/index.html
##   make fmt        format the Python code
##   make clean      remove the lab's hosts

.PHONY: help setup harden audit test fuzz measure bench matrix release docs fmt clean
help:
	@sed -n 's/^##//p' Makefile

IN_VENV = PATH="$(CURDIR)/.venv/bin:$$PATH"
LAB = $(IN_VENV) python tests/lab/lab.py
MOLECULE = MOLECULE_EPHEMERAL_DIRECTORY="$(CURDIR)/.cache/molecule" MOLECULE_GLOB='molecule/*/molecule.yml'
OPTIONS = $(if $(LIMIT),--limit "$(LIMIT)") $(if $(filter-out 0,$(CHECK)),--check --diff) $(ARGS)

setup: .venv/.complete
.venv/.complete: uv.lock pyproject.toml .ci/setup
	@.ci/setup

harden audit: setup
ifdef INVENTORY
harden audit:
	@$(IN_VENV) ansible-playbook $(PLAYBOOK) -i "$(INVENTORY)" $(OPTIONS)
else
harden audit: LIMIT = lab
harden audit:
	@$(LAB) up
	@$(IN_VENV) ansible-playbook $(PLAYBOOK) -i tests/lab/inventory/hosts.yml $(OPTIONS)
endif
harden: PLAYBOOK = harden.yml
audit: PLAYBOOK = playbooks/audit.yml

test: setup
	@$(IN_VENV) python tests/checks/run.py $(PARTS)

fuzz: export KEEPALIVE_FUZZ = 20000
fuzz: setup
	@$(IN_VENV) pytest tests/unit/plugins/module_utils/test_candidates.py
	@$(IN_VENV) python tests/hosts/run.py -k differential

measure: export KEEPALIVE_RECORD = 1
measure: setup
	@$(IN_VENV) $(MOLECULE) molecule test -s partition

matrix: setup
	@$(IN_VENV) python tests/checks/matrix.py $(CORES)

release: setup
	@$(IN_VENV) python tests/checks/release.py "$(VERSION)"

docs: setup
	@$(IN_VENV) python docs/site/build.py

bench: setup
	@$(IN_VENV) python tests/bench/run.py $(ARGS)

fmt: setup
	@$(IN_VENV) ruff format
	@$(IN_VENV) ruff check --fix

clean: setup
	@$(LAB) down
