# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real sshd and ssh: what they make of a configuration. The only file that runs OpenSSH."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ._command import Result, Run, run_as
from ._errors import HardeningError
from ._files import Account
from ._settings import Setting, Value
from ._ssh_match import Connection

# Not on every user's PATH.
_SERVER_DIRECTORIES = ("/usr/sbin", "/usr/local/sbin", "/sbin")
#: What sshd may be called. Alpine builds some besides the plain one, and starts the first of these that is installed.
SSHD_PROGRAMS = ("sshd.krb5", "sshd.pam", "sshd")
_NO_DIRECTORY = re.compile(r"Missing privilege separation directory: (\S+)")


class Refused(HardeningError):
    """OpenSSH does not accept a configuration; the text is what it said."""


def find(program: str) -> str | None:
    """The path of sshd or ssh, or None if it is not installed."""
    path = os.pathsep.join((os.environ.get("PATH", ""), *_SERVER_DIRECTORIES))
    names = SSHD_PROGRAMS if program == "sshd" else (program,)
    return next(filter(None, (shutil.which(name, path=path) for name in names)), None)


def version(run: Run, program: str) -> tuple[int, int]:
    """Version of the OpenSSH that ``program`` belongs to; (0, 0) where it does not say."""
    # sshd before 9.2 has no -V, and answers an unknown option with its version too.
    text = run([program, "-V"]).err
    match = re.search(r"OpenSSH_(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def sshd_dump(run: Run, program: str, path: str, connection: Connection) -> dict[str, str]:
    """
    What sshd would apply to the connection: keyword in lower case to value.

    Raises Refused. A missing host key or run directory, normal while the service is stopped, is
    made up for.
    """
    test = [
        f"user={connection.user}",
        f"host={connection.host}",
        f"addr={connection.address}",
        f"laddr={connection.local_address}",
        f"lport={connection.local_port}",
        "rdomain=",
    ]
    command = [program, "-T", "-f", path, "-C", ",".join(test)]
    result = _with_run_directory(run, command)
    if result.code and "no hostkeys available" in result.err:
        with _host_key(run) as key:
            result = _with_run_directory(run, [*command, "-h", key])
    return _dump(result)


def ssh_dump(run: Run, program: str, host: str, account: Account, path: str | None = None) -> dict[str, str]:
    """
    What ssh would use for ``host``, run with the account's own rights since its file may hold Match exec.

    With ``path`` that file alone is read. Raises Refused.
    """
    only = ["-F", path] if path else []
    # Resolving names would tell nothing about keepalive and may take long.
    return _dump(run_as(account, run, [program, "-G", *only, "-o", "CanonicalizeHostname=no", host]))


def interpret(dump: dict[str, str], setting: Setting) -> Value | None:
    """The value of a setting in a dump; None if this OpenSSH does not know it."""
    text = next((dump[keyword] for keyword in setting.keywords if keyword in dump), None)
    if text is None and setting.kind == "channel_timeouts" and "unusedconnectiontimeout" in dump:
        # It came with that directive, and sshd before 10 says nothing of it while it is not set.
        return {}
    return None if text is None else setting.interpret(text)


def values(dump: dict[str, str], settings: Iterable[Setting]) -> dict[str, Value]:
    """Option to value, of those settings that this OpenSSH knows."""
    read = ((setting.option, interpret(dump, setting)) for setting in settings)
    return {option: value for option, value in read if value is not None}


def require_support(run: Run, program: str, dump: dict[str, str], settings: Iterable[Setting]) -> None:
    """Raises HardeningError for settings that this OpenSSH does not know."""
    unseen = [setting for setting in settings if interpret(dump, setting) is None]
    if not unseen:
        return
    has = version(run, program)
    # The dump of sshd 9.2 leaves ChannelTimeout out while it is not set.
    unknown = [setting for setting in unseen if not setting.since or has < setting.since]
    if unknown:
        wants = ", ".join(
            f"{setting.option} ({setting.directive}) needs OpenSSH "
            + (".".join(map(str, setting.since)) if setting.since else "with that directive")
            for setting in unknown
        )
        raise HardeningError(f"{program} is OpenSSH {has[0]}.{has[1]}: {wants} or later; leave it out for this host")


def _with_run_directory(run: Run, command: list[str]) -> Result:
    result = run(command)
    missing = _NO_DIRECTORY.search(result.err)
    if missing:
        # Stopping the service deletes it. It stays: a service that starts right now would need it.
        os.makedirs(missing[1], 0o755, exist_ok=True)
        result = run(command)
    return result


def _dump(result: Result) -> dict[str, str]:
    if result.code:
        raise Refused(result.err.strip() or f"exit code {result.code}")
    dump: dict[str, str] = {}
    for line in result.out.splitlines():
        keyword, _blank, value = line.partition(" ")
        keyword = keyword.lower()
        # A keyword that stands several times, such as ListenAddress, gets a line each.
        dump[keyword] = f"{dump[keyword]}\n{value.strip()}" if keyword in dump else value.strip()
    return dump


@contextmanager
def _host_key(run: Run) -> Iterator[str]:
    """A throwaway host key: sshd -T insists on one."""
    with tempfile.TemporaryDirectory() as directory:
        key = os.path.join(directory, "key")
        keygen = shutil.which("ssh-keygen") or "ssh-keygen"
        run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", key])
        yield key
