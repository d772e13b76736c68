# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests share: running a layer as the modules do, asking the real tools, looking at files."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.keepalive.hardening.plugins.module_utils import _ssh_layer, _sshd_layer, _sysctl_layer
from ansible_collections.keepalive.hardening.plugins.module_utils._command import Result
from ansible_collections.keepalive.hardening.plugins.module_utils._options import OPTIONS
from ansible_collections.keepalive.hardening.plugins.module_utils._transaction import Plan, carry_out, exclusive_run

LAYERS = {"sshd": _sshd_layer, "ssh": _ssh_layer, "sysctl": _sysctl_layer}

#: Every folder and file that a layer may write to.
MANAGED = (
    "/etc/ssh",
    "/etc/sysctl.d",
    "/etc/sysctl.conf",
    "/run/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d",
    "/home",
)


def harden(layer: str, **options: Any) -> Plan:
    """Bring one layer to the options' values, as its module does."""
    with exclusive_run():
        plan = planned(layer, **options)
        if plan.changed:
            carry_out([plan])
    return plan


def planned(layer: str, **options: Any) -> Plan:
    """What harden() is about to do."""
    unknown = set(options) - set(OPTIONS[layer])
    assert not unknown, f"no such option: {unknown}"
    filled = {name: spec.get("default") for name, spec in OPTIONS[layer].items()}
    # Ansible hands these on as text.
    filled.update({name: str(value) if type(value) is int else value for name, value in options.items()})
    plan: Plan = LAYERS[layer].plan(filled, run_command)
    return plan


def run_command(command: list[str]) -> Result:
    """What AnsibleModule.run_command() is to the layers."""
    done = run(*command, env={**os.environ, "LC_ALL": "C"})
    return Result(done.returncode, done.stdout, done.stderr)


class Entry(NamedTuple):
    """All that has to come back: of a file its bytes, of a link its target, and who may do what."""

    content: str | bytes | None
    mode: int
    owner: tuple[int, int]
    extended: tuple[tuple[str, bytes], ...]


def snapshot(*roots: str) -> dict[str, Entry]:
    """Path to entry of everything below the roots (default: all that is managed)."""
    entries = {}
    for root in roots or MANAGED:
        paths = [root] if os.path.lexists(root) else []
        for directory, directories, files in os.walk(root):
            paths += [os.path.join(directory, name) for name in directories + files]
        entries.update({path: entry(path) for path in paths})
    return entries


def entry(path: str) -> Entry:
    status = os.lstat(path)
    content: str | bytes | None = None
    if stat.S_ISLNK(status.st_mode):
        content = os.readlink(path)
    elif stat.S_ISREG(status.st_mode):
        content = Path(path).read_bytes()
    names = os.listxattr(path, follow_symlinks=False)
    extended = tuple(sorted((name, os.getxattr(path, name, follow_symlinks=False)) for name in names))
    return Entry(content, status.st_mode, (status.st_uid, status.st_gid), extended)


def write(path: str, text: str, mode: int = 0o644, owner: str = "root") -> str:
    """A file with that text, which keeps its line endings; its folder is made, and is the owner's too."""
    user = pwd.getpwnam(owner)
    parent = Path(path).parent
    if not parent.exists():
        parent.mkdir(parents=True)
        os.chown(parent, user.pw_uid, user.pw_gid)
    Path(path).write_bytes(text.encode())
    os.chmod(path, mode)
    os.chown(path, user.pw_uid, user.pw_gid)
    return path


def run(*command: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60, **more
    )


def run_ok(*command: str, **more: Any) -> str:
    done = run(*command, **more)
    assert done.returncode == 0, f"{command}: {done.stderr}{done.stdout}"
    return done.stdout


def sshd_says(
    option: str,
    user: str = "someone",
    host: str = "client.example",
    addr: str = "192.0.2.7",
    laddr: str = "192.0.2.1",
    lport: str = "22",
    path: str = "/etc/ssh/sshd_config",
) -> str:
    """The value of a keyword that sshd gives a connection, in one spelling for all versions; "" for an unknown one."""
    connection = f"user={user},host={host},addr={addr},laddr={laddr},lport={lport},rdomain="
    return values_in(run_ok("/usr/sbin/sshd", "-T", "-f", path, "-C", connection)).get(option.lower(), "")


def ssh_says(option: str, host: str = "host.example", user: str = "nobody") -> str:
    """The value of a keyword that ssh uses when ``user`` connects to ``host``."""
    return ssh_dump(host, user).get(option.lower(), "")


def ssh_dump(host: str, user: str, path: str = "") -> dict[str, str]:
    """Every keyword, in lower case, with the value that ssh uses."""
    only = ["-F", path] if path else []
    account = pwd.getpwnam(user)
    identity = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups"]
    environment = {"PATH": os.environ["PATH"], "HOME": account.pw_dir}
    return values_in(run_ok("setpriv", *identity, "ssh", "-G", *only, host, cwd="/", env=environment))


def values_in(dump: str) -> dict[str, str]:
    """The keywords of what sshd -T or ssh -G prints, the flags of all versions spelled alike."""
    pairs = (line.partition(" ") for line in dump.splitlines())
    alike = {"true": "yes", "false": "no"}
    return {keyword.lower(): alike.get(value.strip(), value.strip()) for keyword, _blank, value in pairs}


@contextmanager
def read_only(path: str) -> Iterator[None]:
    """The file or folder on a read-only mount."""
    run_ok("mount", "--bind", path, path)
    run_ok("mount", "-o", "remount,bind,ro", path)
    try:
        yield
    finally:
        run_ok("umount", path)


def competing(plan: Plan) -> list[tuple[str, int, str, bool]]:
    """Path, line, value and whether it wins, of the plan's competing lines."""
    return [(line["path"], line["line"], line["value"], line["wins"]) for line in plan.competing]
