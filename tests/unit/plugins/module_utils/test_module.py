# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which layers a run manages, and what a host that lacks one hears."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.keepalive.hardening.plugins.module_utils import _module
from ansible_collections.keepalive.hardening.plugins.module_utils._errors import HardeningError

OPTIONS = {"sshd": {"client_alive_interval": "30"}, "ssh": {"server_alive_interval": "30"}, "sysctl": None}


@pytest.fixture(autouse=True)
def host_without_sshd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_module, "layer", lambda name: SimpleNamespace(present=lambda: name != "sshd"))


def test_a_layer_that_the_host_lacks_is_skipped() -> None:
    assert _module._choose({**OPTIONS, "layers": None}) == ({"ssh": OPTIONS["ssh"]}, ["sshd"])


@pytest.mark.parametrize(
    ("layers", "options", "says"),
    [
        (["sshd"], OPTIONS, "names sshd, but this host has no such layer"),
        (["sysctl"], OPTIONS, "names sysctl, but no options are given"),
        ([], OPTIONS, "names no layer"),
        (None, {**OPTIONS, "ssh": None}, "none of the layers"),
    ],
)
def test_a_layer_that_is_named_has_to_be_there(layers: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(HardeningError, match=says):
        _module._choose({**options, "layers": layers})
