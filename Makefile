# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
##   make harden     harden three lab hosts: boots them on this machine first
##   make harden INVENTORY=path/to/inventory [LIMIT=hosts] [CHECK=1] [ARGS='-e ...']
##                   harden your own hosts; CHECK=1 only shows what would change
##   make test       everything CI runs; PARTS='name ...' runs some of it
##   make fuzz       20,000 generated configurations against the real tools; takes hours
##   make fmt        format the Python code
##   make clean      remove the lab's hosts

.PHONY: help setup harden test fuzz fmt clean
help:
	@sed -n 's/^##//p' Makefile

IN_VENV = PATH="$(CURDIR)/.venv/bin:$$PATH"
LAB = $(IN_VENV) python tests/lab/lab.py
OPTIONS = $(if $(LIMIT),--limit "$(LIMIT)") $(if $(filter-out 0,$(CHECK)),--check --diff) $(ARGS)

setup: .venv/.complete
.venv/.complete: uv.lock pyproject.toml .ci/setup
	@.ci/setup

harden: setup
ifdef INVENTORY
	@$(IN_VENV) ansible-playbook harden.yml -i "$(INVENTORY)" $(OPTIONS)
else
harden: LIMIT = lab
harden:
	@$(LAB) up
	@$(IN_VENV) ansible-playbook harden.yml -i tests/lab/inventory/hosts.yml $(OPTIONS)
endif

test: setup
	@$(IN_VENV) python tests/checks/run.py $(PARTS)

fuzz: export KEEPALIVE_FUZZ = 20000
fuzz: setup
	@$(IN_VENV) pytest tests/unit/plugins/module_utils/test_candidates.py
	@$(IN_VENV) python tests/hosts/run.py -k differential

fmt: setup
	@$(IN_VENV) ruff format
	@$(IN_VENV) ruff check --fix

clean: setup
	@$(LAB) down
