#!/usr/bin/env python3
# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
The lab: the hosts of inventory/hosts.yml as podman containers with a real sshd.

    lab.py up [--limit GROUP_OR_HOST ...]   boot them (default: group lab)
    lab.py up --fresh [--limit ...]         the same, on newly installed systems
    lab.py status                           what runs
    lab.py down [--images]                  remove containers, network and keys

`up` changes nothing that is already as it should be.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import fcntl
import functools
import hashlib
import io
import ipaddress
import json
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
STATE = CHECKOUT / ".cache" / "lab"
SSH_CONFIG = STATE / "ssh_config"
# Ansible's own folder for this: a socket's path has to be short, a checkout's may not be.
SOCKETS = Path.home() / ".ansible" / "cp"
COLLECTION = "/collections/ansible_collections/keepalive/hardening"

NETWORK = "keepalive-lab"
IMAGE = "localhost/keepalive-lab"
LABEL = "keepalive.lab=1"
DEFAULT_MIRROR = "http://deb.debian.org/debian"

PACKAGES = (
    "systemd systemd-sysv dbus libpam-systemd openssh-server openssh-client "
    "sudo acl iproute2 nftables procps python3 python3-hypothesis python3-pytest"
).split()
BOOTSTRAP = (
    "--variant=minbase",
    f"--include={','.join(PACKAGES)}",
    "--dpkgopt=force-unsafe-io",
    # An old release's index, or a mirror that lags, is good enough for a test.
    '--aptopt=Acquire::Check-Valid-Until "false"',
)

# Reaps what sshd leaves behind, as a service manager would.
SSHD_ONLY = """
trap exit TERM
mkdir -p /run/sshd && /usr/sbin/sshd
while :; do sleep 3600 & wait; done
"""


class LabError(Exception):
    """Something the person at the keyboard has to know, in one line."""


@dataclass(frozen=True)
class Host:
    """One host of the inventory."""

    name: str
    address: str
    release: str
    init: str
    groups: frozenset[str]

    @property
    def container(self) -> str:
        """A name that no container of somebody else has."""
        return f"keepalive-{self.name}"


# --- the inventory ---------------------------------------------------------


@functools.cache
def inventory() -> dict[str, Any]:
    """The group `all` of both inventories."""
    hosts, bench = (
        yaml.safe_load((HERE / "inventory" / name).read_text())["all"] for name in ("hosts.yml", "bench.yml")
    )
    return {**hosts, "children": {**hosts["children"], **bench["children"]}}


def hosts_of(group: dict[str, Any], groups: frozenset[str] = frozenset({"all"})) -> Iterator[Host]:
    """Every host of a group and its children."""
    for name, hostvars in group.get("hosts", {}).items():
        yield Host(
            name,
            hostvars["ansible_host"],
            hostvars["lab_release"],
            hostvars["lab_init"],
            groups,
        )
    for name, child in group.get("children", {}).items():
        yield from hosts_of(child, groups | {name})


def select(hosts: list[Host], limit: list[str]) -> list[Host]:
    """The hosts that a list of group and host names stands for."""
    for name in limit:
        if not any(name in host.groups | {host.name} for host in hosts):
            raise LabError(f"no host or group {name!r} in inventory/")
    return [host for host in hosts if (host.groups | {host.name}) & set(limit)]


# --- the machine -----------------------------------------------------------


def run(*command: str, data: bytes | None = None, check: bool = True) -> str:
    """Run a command as root, return what it prints; LabError if it fails."""
    done = subprocess.run(as_root(*command), input=data, capture_output=True, check=False)
    if check and done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise LabError(f"{shlex.join(command[:3])} failed: {reason[-1]}")
    return done.stdout.decode(errors="replace")


def as_root(*command: str) -> list[str]:
    """A command line that runs as root with the lab's podman settings."""
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    settings = (f"CONTAINERS_CONF={HERE / 'containers.conf'}", "DEBIAN_FRONTEND=noninteractive")
    return [*sudo, "env", *settings, *command]


def in_parallel(work: Callable[[Any], None], items: list[Any], workers: int) -> None:
    """Do the work on every item; the first error is raised once all have ended."""
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, items))


def say(text: str) -> None:
    print(text, flush=True)


def ensure_tools() -> None:
    """Install what is missing where apt-get can; otherwise say what to install."""
    search = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/lib/podman:/usr/libexec/podman"
    tools = ("podman", "runc", "netavark", "iptables", "mmdebstrap", "ssh")
    missing = [tool for tool in tools if not shutil.which(tool, path=search)]
    missing = ["openssh-client" if tool == "ssh" else tool for tool in missing]
    if not missing:
        return
    if not shutil.which("apt-get", path=search):
        raise LabError(f"please install {', '.join(missing)}: the lab runs on them")
    if "mmdebstrap" in missing:
        missing.append("debian-archive-keyring")
    say(f"installing {' '.join(missing)} with apt-get ...")
    run("apt-get", "update", "-qq")
    run("apt-get", "install", "-qq", "--no-install-recommends", *missing)


def raise_inotify_limit(wanted: int = 1024) -> None:
    """Each systemd takes several inotify instances; the default of 128 is used up by 14."""
    limit = Path("/proc/sys/fs/inotify/max_user_instances")
    if int(limit.read_text()) < wanted:
        run("tee", str(limit), data=str(wanted).encode())


# --- images ----------------------------------------------------------------


def image_of(release: str) -> str:
    """The image's name, which changes with its recipe."""
    recipe = " ".join(BOOTSTRAP) + (HERE / "image.sh").read_text()
    return f"{IMAGE}:{release}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def mirror() -> str:
    """The Debian mirror this machine itself uses, as apt reads its sources."""
    addresses = [DEFAULT_MIRROR]
    if shutil.which("apt-get"):
        # The origin is known once apt has fetched an index; without one any .../debian has to do.
        line = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Component: main"]
        listing = subprocess.run(line, capture_output=True, text=True, check=False).stdout
        targets = sorted(listing.splitlines(), key=lambda target: not target.startswith("Debian "))
        addresses = [target.split()[-1] for target in targets] + addresses
    return next(address for address in addresses if address.rstrip("/").endswith("/debian"))


def build_image(release: str) -> None:
    """Build one image; its log stays in the state folder."""
    say(f"building the Debian {release} image (about 30 s) ...")
    started = time.monotonic()
    customize = f'chroot "$1" sh -s < {shlex.quote(str(HERE / "image.sh"))}'
    bootstrap = as_root(
        "mmdebstrap",
        *BOOTSTRAP,
        f"--customize-hook={customize}",
        *(release, "-", mirror()),
    )
    log = STATE / f"build-{release}.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(bootstrap, stdout=subprocess.PIPE, stderr=output) as builder,
    ):
        importer = subprocess.run(
            as_root("podman", "import", "--quiet", "-"),
            stdin=builder.stdout,
            stdout=subprocess.PIPE,
            stderr=output,
            check=False,
        )
    if builder.returncode or importer.returncode:
        tail = log.read_text(errors="replace").strip().splitlines()[-5:]
        raise LabError(f"no Debian {release} image, see {log}:\n" + "\n".join(tail))
    # Named last, so that a build that was cut off is never taken for an image.
    run("podman", "tag", importer.stdout.decode().strip(), image_of(release))
    say(f"built the Debian {release} image in {time.monotonic() - started:.0f} s")


def ensure_images(releases: set[str]) -> None:
    """Build the images that are missing, as many at a time as there are cores."""
    present = images()
    missing = [release for release in sorted(releases) if image_of(release) not in present]
    in_parallel(build_image, missing, os.cpu_count() or 1)


def remove_outdated_images() -> None:
    """Remove the images of earlier recipes, except where a container still runs on one."""
    current = {image_of(host.release) for host in hosts_of(inventory())}
    for image in images() - current:
        run("podman", "rmi", image, check=False)


def images() -> set[str]:
    """The names of all images of the lab."""
    listing = run("podman", "images", "--format", "{{.Repository}}:{{.Tag}}", IMAGE)
    return set(listing.split())


# --- keys ------------------------------------------------------------------


def ensure_keys(hosts: list[Host]) -> None:
    """One key for the user, one for each host, and the ssh_config that uses them."""
    user = inventory()["vars"]["ansible_user"]
    known_hosts, blocks = "", ""
    SOCKETS.mkdir(mode=0o700, parents=True, exist_ok=True)
    for key in [user_key(), *(host_key(host) for host in hosts)]:
        if not key.exists():
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", key.name]
            subprocess.run([*command, "-f", str(key)], check=True)
    for host in hosts:
        public = host_key(host).with_suffix(".pub").read_text()
        known_hosts += f"{host.name},{host.address} {public}"
        blocks += f"Host {host.name} {host.address}\n  HostName {host.address}\n"
    (STATE / "known_hosts").write_text(known_hosts)
    SSH_CONFIG.write_text(
        f"# Written by tests/lab/lab.py. Try: ssh -F {SSH_CONFIG} {hosts[0].name}\n"
        f"{blocks}"
        "Host *\n"
        f"  User {user}\n"
        f'  IdentityFile "{user_key()}"\n'
        "  IdentitiesOnly yes\n"
        f'  UserKnownHostsFile "{STATE / "known_hosts"}"\n'
        "  GlobalKnownHostsFile none\n"
        "  StrictHostKeyChecking yes\n"
        "  BatchMode yes\n"
        "  ServerAliveInterval 5\n"
        # For testinfra, which asks for a shared connection and names no socket.
        f"  ControlPath {SOCKETS}/lab-%C\n"
    )


def user_key() -> Path:
    return STATE / "id_ed25519"


def host_key(host: Host) -> Path:
    return STATE / f"host-{host.name}"


def key_archive(host: Host) -> bytes:
    """The tar of a host's own key and of the key that may log in."""
    private, public = host_key(host), host_key(host).with_suffix(".pub")
    home = f"home/{inventory()['vars']['ansible_user']}/.ssh"
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, source, mode in (
            ("etc/ssh/ssh_host_ed25519_key", private, 0o600),
            ("etc/ssh/ssh_host_ed25519_key.pub", public, 0o644),
            (f"{home}/authorized_keys", user_key().with_suffix(".pub"), 0o644),
        ):
            member = tarfile.TarInfo(name)
            member.mode, member.size = mode, source.stat().st_size
            archive.addfile(member, io.BytesIO(source.read_bytes()))
    return content.getvalue()


# --- containers ------------------------------------------------------------


def create_command(host: Host, hosts: list[Host]) -> list[str]:
    """The podman command that creates a host's container."""
    # The same address keeps the same MAC: others have it in their ARP tables for a while.
    mac = "02:00:" + ipaddress.ip_address(host.address).packed.hex(":")
    command = [
        *("podman", "create", "--name", host.container, "--hostname", host.name),
        *("--network", NETWORK, "--ip", host.address, "--mac-address", mac),
        "--privileged",
        *("--volume", f"{CHECKOUT}:{COLLECTION}:ro"),
        # Those that are only measured are known to nobody, nor know anybody, by name.
        *(f"--add-host={other.name}:{other.address}" for other in hosts if "bench" not in host.groups | other.groups),
    ]
    if host.init == "none":
        return [*command, image_of(host.release), "sh", "-c", SSHD_ONLY]
    if not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        # Debian 13's systemd wants to be told that cgroup v1 is all there is.
        command += [
            "--env=SYSTEMD_PROC_CMDLINE=systemd.unified_cgroup_hierarchy=0",
            "--env=SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1",
        ]
    return [*command, "--systemd=always", image_of(host.release), "/lib/systemd/systemd"]


def containers() -> dict[str, dict[str, Any]]:
    """The lab's containers by name, running or not."""
    listing = run("podman", "ps", "--all", f"--filter=label={LABEL}", "--format=json")
    return {container["Names"][0]: container for container in json.loads(listing or "[]")}


def remove(names: list[str]) -> None:
    """Remove those of the named containers that are there."""
    if names:
        run("podman", "rm", "--force", "--ignore", "--time=0", *names)


def ensure_network(hosts: list[Host]) -> None:
    """One network that holds every address of the inventory."""
    subnet = ipaddress.ip_network(f"{hosts[0].address}/24", strict=False)
    names = run("podman", "network", "ls", "--format", "{{.Name}}").split()
    if NETWORK not in names:
        labelled = ["podman", "network", "create", "--label", LABEL, "--disable-dns"]
        run(*labelled, "--subnet", str(subnet), NETWORK)


def ensure_running(host: Host, hosts: list[Host], found: dict[str, Any] | None) -> None:
    """Leave a container alone that is as it should be; else start or (re)create it."""
    create = create_command(host, hosts)
    keys = key_archive(host)
    recipe = hashlib.sha256(repr(create).encode() + keys).hexdigest()[:16]
    if found and (found["Labels"].get("keepalive.recipe") != recipe or found["State"] == "created"):
        # Outdated, or an earlier run was cut off before the keys were in.
        remove([host.container])
        found = None
    if not found:
        labels = ["--label", LABEL, "--label", f"keepalive.recipe={recipe}"]
        run(*create[:2], *labels, *create[2:])
        run("podman", "cp", "-", f"{host.container}:/", data=keys)
    if not found or found["State"] != "running":
        run("podman", "start", host.container)


def wait_until_ready(host: Host, patience: float = 60) -> None:
    """Return once an ssh login works and, where there is systemd, it has finished booting."""
    probe = "true" if host.init == "none" else "timeout 20 systemctl is-system-running --wait"
    command = ["ssh", "-F", str(SSH_CONFIG), "-o", "ConnectTimeout=2", host.name, probe]
    deadline = time.monotonic() + patience
    while True:
        # Not our stdin: several ssh at once leave it non-blocking, which Ansible then refuses.
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        state = done.stdout.strip()
        if done.returncode == 0 or state == "degraded":
            break
        if time.monotonic() > deadline:
            raise LabError(f"{host.name} takes no ssh login: {done.stderr.strip() or state}")
        time.sleep(0.1)


def up(limit: list[str], fresh: bool) -> None:
    """Boot the hosts that the limit names; fresh ones are as if newly installed."""
    started = time.monotonic()
    hosts = list(hosts_of(inventory()))
    wanted = select(hosts, limit)
    ensure_tools()
    ensure_keys(hosts)
    if fresh:
        remove([host.container for host in wanted])
    found = containers()
    ensure_images({host.release for host in wanted})
    raise_inotify_limit()
    ensure_network(hosts)

    def boot(host: Host) -> None:
        ensure_running(host, hosts, found.get(host.container))
        wait_until_ready(host)

    in_parallel(boot, wanted, len(wanted))
    remove_outdated_images()
    names = ", ".join(host.name for host in wanted)
    say(f"lab is up in {time.monotonic() - started:.1f} s: {names}")


def status() -> None:
    """Print one line for each host of the inventory."""
    found = containers()
    for host in hosts_of(inventory()):
        state = found[host.container]["State"] if host.container in found else "-"
        say(f"{host.name:20} {host.address:15} {host.release:10} {host.init:8} {state}")


def down(with_images: bool) -> None:
    """Remove what carries the lab's label, and the keys."""
    names = list(containers())
    remove(names)
    networks = run("podman", "network", "ls", "--quiet", f"--filter=label={LABEL}").split()
    if networks:
        run("podman", "network", "rm", *networks)
    # It need not be there.
    shutil.rmtree(STATE, ignore_errors=True)
    if with_images and images():
        run("podman", "rmi", *images())
    say(f"lab is down: {len(names)} containers removed")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    parser_up = commands.add_parser("up")
    parser_up.add_argument("--limit", nargs="+", default=["lab"], metavar="GROUP_OR_HOST")
    parser_up.add_argument("--fresh", action="store_true", help="replace hosts that exist")
    commands.add_parser("status")
    parser_down = commands.add_parser("down")
    parser_down.add_argument("--images", action="store_true", help="remove the images as well")
    options = parser.parse_args()

    STATE.mkdir(parents=True, exist_ok=True)
    with (CHECKOUT / ".cache" / "lab.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Molecule's workers boot the lab side by side
        try:
            if options.command == "up":
                up(options.limit, options.fresh)
            elif options.command == "status":
                status()
            else:
                down(options.images)
        except LabError as error:
            print(f"lab: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
