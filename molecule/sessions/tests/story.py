# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens sessions of every kind on all servers, cuts some off, ends some, and tells what was seen at each step."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from testinfra.utils.ansible_runner import AnsibleRunner

CHECKOUT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
VALUES = yaml.safe_load(Path(__file__).parents[1].joinpath("vars", "main.yml").read_text())

#: The kernel tells to 8 s when a terminal was used.
IDLE_AFTER = 10
#: What reap.yml is told.
REAP_HUNG_FOR = 5

LINE = "echo ready; exec cat"
TERMINAL_LINE = f"stty raw -echo; {LINE}"
TERMINAL_OUTPUT = "stty raw -echo; echo ready; while :; do date; sleep 0.5; done"
# Neither the end of its terminal nor a polite signal ends it.
STUBBORN = "stty raw -echo; trap '' HUP TERM; echo ready; while read -r line; do echo \"$line\"; done; sleep 20"

#: sshds besides the one on port 22, which are started by root, and what is different there.
NO_PROBES, OTHER_PORT, INTERNAL_SFTP, OWN_SSHD = 2201, 2202, 2203, 2204
MORE_SSHDS = {
    NO_PROBES: "-o ClientAliveInterval=0",
    OTHER_PORT: "",
    INTERNAL_SFTP: "-o ForceCommand=internal-sftp",
}


class Held(NamedTuple):
    """A session to open on every server."""

    remote: str
    user: str = "alice"
    #: How it shows that it is alive: see files/hold_sessions.py.
    answers: str = "line"
    port: int = 22
    ssh: tuple[str, ...] = ()
    ipv6: bool = False
    #: Whether its connection is cut off in silence.
    cut: bool = False

    @property
    def terminal(self) -> bool:
        return "-tt" in self.ssh


PTY = ("-tt",)
HELD = {
    "idle": Held(TERMINAL_LINE, ssh=PTY),
    "typing": Held(TERMINAL_LINE, ssh=PTY),
    "output": Held(TERMINAL_OUTPUT, ssh=PTY, answers="output"),
    "command": Held(LINE),
    "sftp": Held("sftp", ssh=("-s",), answers="sftp"),
    "internal-sftp": Held("sftp", ssh=("-s",), answers="sftp", port=INTERNAL_SFTP),
    "tunnel": Held("", answers="tunnel"),
    "used-tunnel": Held("", answers="tunnel"),
    "shared": Held(TERMINAL_LINE, ssh=(*PTY, "-M", "-S", "{folder}/{server}-shared")),
    "working": Held(TERMINAL_LINE, ssh=(*PTY, "-M", "-S", "{folder}/{server}-working")),
    "other-port": Held(TERMINAL_LINE, ssh=PTY, port=OTHER_PORT),
    "ipv6": Held(TERMINAL_LINE, ssh=PTY, ipv6=True),
    "silent": Held(TERMINAL_LINE, ssh=PTY, port=NO_PROBES),
    "silent-command": Held(LINE, port=NO_PROBES),
    "silent-cut": Held(TERMINAL_LINE, ssh=PTY, port=NO_PROBES, cut=True),
    "cut-idle": Held(TERMINAL_LINE, ssh=PTY, cut=True),
    "cut-output": Held(TERMINAL_OUTPUT, ssh=PTY, answers="output", cut=True),
    "cut-command": Held(LINE, cut=True),
    "cut-sftp": Held("sftp", ssh=("-s",), answers="sftp", cut=True),
    "cut-tunnel": Held("", answers="tunnel", cut=True),
    "masquerade": Held("/usr/local/bin/masquerade"),
    "own-sshd": Held(LINE, port=OWN_SSHD),
    "root": Held(TERMINAL_LINE, "root", ssh=PTY),
    "root-tunnel": Held("", "root", answers="tunnel"),
    "visitor": Held(TERMINAL_LINE, "admin", ssh=PTY),
    "bob-idle": Held(TERMINAL_LINE, "bob", ssh=PTY),
    "bob-typing": Held(TERMINAL_LINE, "bob", ssh=PTY),
    "carol-cut": Held(TERMINAL_OUTPUT, "carol", ssh=PTY, answers="output", cut=True),
    "carol-idle": Held(TERMINAL_LINE, "carol", ssh=PTY),
    "dave-stubborn": Held(STUBBORN, "dave", ssh=PTY),
    "dave-stopped": Held(LINE, "dave"),
    "dave-left": Held(LINE, "dave"),
}
# Those that share the connection of another.
SHARING = {
    "shared-too": Held(TERMINAL_LINE, ssh=(*PTY, "-S", "{folder}/{server}-shared")),
    "working-too": Held(LINE, ssh=("-S", "{folder}/{server}-working")),
}
TYPING = ["typing", "bob-typing"]

#: Conditions for ssh_session, in check mode.
CONDITIONS: dict[str, dict[str, Any]] = {
    "hung": {"verdict": ["hung"], "hung_for": "1"},
    "hung for long": {"hung_for": "1h"},
    "hung and another's": {"verdict": "hung", "hung_for": "1", "user": "bob"},
    "unknown": {"verdict": "unknown", "older_than": "1"},
    "idle": {"idle_for": str(IDLE_AFTER), "user": ["bob", "carol"]},
    "old": {"user": "bob", "older_than": "1h"},
    "elsewhere": {"user": "bob", "peer": ["192.0.2.0/24", "2001:db8::/32"], "older_than": "1"},
    "from there": {"user": "bob", "peer": ["192.0.2.0/24", "10.213.77.0/24"], "older_than": "1"},
    "a stranger's": {"user": "mallory", "older_than": "1"},
    "idle where work goes on": {"user": "alice", "idle_for": str(IDLE_AFTER)},
}
#: Conditions that are none.
WRONG: dict[str, dict[str, Any]] = {
    "nothing": {},
    "no user": {"user": []},
    "an empty user": {"user": ["alice", ""]},
    "an empty network": {"peer": ""},
    "no verdict": {"verdict": []},
    "an empty time": {"hung_for": ""},
    "a network that is none": {"peer": "10.0.0.0/33"},
    "a time that is none": {"older_than": "soon"},
    "no time at all": {"older_than": "0"},
    "hung for a moment": {"verdict": "hung"},
    "silent for a moment": {"verdict": "unknown"},
}

# What hold_sessions.py finds at the end of its tunnels.
GREET = """
import socket
greeter, guests = socket.create_server(("127.0.0.1", 2299)), []
while True:
    guests.append(greeter.accept()[0])
    guests[-1].sendall(b"welcome\\n")
"""

#: What a module returned, by host.
Answers = dict[str, dict[str, Any]]


class Connection(NamedTuple):
    """What tells a client's connections to one server apart; its port may lead to several of the server's."""

    client_port: int
    server_port: int
    ipv6: bool

    @classmethod
    def of(cls, session: dict[str, Any]) -> Connection:
        return cls(session["peer_port"], session["local_port"], ":" in session["peer"])


class Step(NamedTuple):
    """What was seen once, by server."""

    #: What ssh_session returned.
    answers: Answers
    #: Which of the sessions that nobody has cut answered afterwards.
    alive: dict[str, set[str]]


class Story(NamedTuple):
    """Everything that was seen."""

    #: By server and session, those that have one of their own.
    connections: dict[str, dict[str, Connection]]
    versions: dict[str, tuple[int, ...]]
    #: By server, the seconds of silence after which its sshd probes.
    periods: dict[str, int]
    before: Answers
    #: By server and session: how long after the cut it was first seen hung.
    hung_after: dict[str, dict[str, float]]
    #: When the hung were ended is between these two.
    after: Answers
    ended: Answers
    #: After the client of a stopped session has gone.
    left: Answers
    steps: dict[str, Step]
    #: What conditions select, by what they are.
    selected: dict[str, Answers]
    #: What is answered to conditions that are none.
    refused: dict[str, Answers]
    #: What reap.yml printed, and printed when run again.
    reaped: list[subprocess.CompletedProcess[str]]

    def session(self, answers: Answers, server: str, name: str, key: str = "sessions") -> dict[str, Any]:
        """The one that an answer says is of that name."""
        (found,) = self.sessions(answers, server, name, key)
        return found

    def sessions(self, answers: Answers, server: str, name: str, key: str = "sessions") -> list[dict[str, Any]]:
        wanted = self.connections[server][name]
        return [session for session in answers[server][key] if Connection.of(session) == wanted]

    def names(self, answers: Answers, server: str, key: str = "sessions") -> set[str]:
        """The names of those in an answer; what the tests did not open is named by user and port."""
        names = {connection: name for name, connection in self.connections[server].items()}
        return {
            names.get(Connection.of(session), "{user}:{peer_port}".format(**session))
            for session in answers[server][key]
        }


class Lab:
    """Runs modules and commands on the servers, and talks with files/hold_sessions.py on the client."""

    def __init__(self, inventory: str, ssh_config: str, stack: ExitStack):
        self._inventory, self._ssh_config = inventory, ssh_config
        runner = AnsibleRunner.get_runner(inventory)
        self.addresses = {
            name: runner.get_variables(name)["ansible_host"] for name in runner.get_hosts("session_servers")
        }
        (client,) = runner.get_hosts("session_clients")
        self._client_address = runner.get_variables(client)["ansible_host"]
        self._holder = stack.enter_context(
            subprocess.Popen(
                ["ssh", "-F", ssh_config, client, "sudo /usr/local/sbin/hold-sessions"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )

    def hold(self, function: str, **arguments: Any) -> Any:
        """Ask a function of files/hold_sessions.py."""
        assert self._holder.stdin
        assert self._holder.stdout
        print(json.dumps([function, arguments]), file=self._holder.stdin, flush=True)
        line = self._holder.stdout.readline()
        assert line, "the client broke off; what it printed to stderr tells why"
        return json.loads(line)

    def on_servers(self, scripts: dict[str, str], interpreter: str = "sh -es") -> dict[str, str]:
        """Run a script as root on each server; returns what each printed."""

        def run(server: str) -> str:
            command = ["ssh", "-F", self._ssh_config, server, f"sudo {interpreter}"]
            return subprocess.run(command, input=scripts[server], stdout=subprocess.PIPE, text=True, check=True).stdout

        with ThreadPoolExecutor(len(scripts)) as pool:
            return dict(zip(scripts, pool.map(run, scripts)))

    def ask(self, module: str, *arguments: str, **options: Any) -> Answers:
        """What a module of the collection returns on each server, whether it fails or not."""
        command = ["ansible", "session_servers", "-i", self._inventory, "-m", f"keepalive.hardening.{module}"]
        done = _ansible(*command, "-a", json.dumps(options), *arguments)
        answers = {}
        for found in re.finditer(r"^(\S+) \| \S+ => ", done.stdout, re.MULTILINE):
            answers[found[1]], _end = json.JSONDecoder().raw_decode(done.stdout, found.end())
        assert answers.keys() == self.addresses.keys(), done.stdout + done.stderr
        return answers

    def end(self, *arguments: str, **conditions: Any) -> Answers:
        return self.ask("ssh_session", *arguments, state="absent", idle_after=str(IDLE_AFTER), **conditions)

    def select(self, conditions: dict[str, dict[str, Any]]) -> dict[str, Answers]:
        """What ssh_session answers in check mode, by the names of the conditions."""
        variables = {"conditions": conditions, "idle_after": str(IDLE_AFTER)}
        playbook = str(CHECKOUT / "molecule/sessions/files/conditions.yml")
        done = _ansible("ansible-playbook", playbook, "-v", "-i", self._inventory, "-e", json.dumps(variables))
        answers: dict[str, Answers] = {name: {} for name in conditions}
        line = r"^\w+: \[(\S+)\] (?:=> )?\(item=(.*?)\) => (\{.*\})$"
        for server, name, answer in re.findall(line, done.stdout, re.MULTILINE):
            answers[name][server] = json.loads(answer)
        assert all(found.keys() == self.addresses.keys() for found in answers.values()), done.stdout + done.stderr
        return answers

    def list(self) -> Answers:
        return self.ask("ssh_session_info", idle_after=str(IDLE_AFTER))

    def reap(self) -> subprocess.CompletedProcess[str]:
        command = ["ansible-playbook", "keepalive.hardening.reap", "-i", self._inventory, "--limit", "session_servers"]
        return _ansible(*command, "-e", f"reap_hung_for={REAP_HUNG_FOR}s")

    def open(self, sessions: dict[str, Held]) -> dict[str, dict[str, Connection]]:
        """Open sessions on every server; returns by server and name the connections that they do not share."""
        wanted = {
            f"{server}.{name}": {
                "server": server,
                "ssh": [*self._arguments(server, held), *filter(None, [held.remote])],
                "answers": held.answers,
            }
            for name, held in sessions.items()
            for server in self.addresses
        }
        opened = self.hold("open", user=VALUES["sessions_client"], sessions=wanted)
        return {
            server: {
                name: Connection(port, held.port, held.ipv6)
                for name, held in sessions.items()
                if (port := opened[f"{server}.{name}"])
            }
            for server in self.addresses
        }

    def _arguments(self, server: str, held: Held) -> Iterator[str]:
        yield from ("-oBatchMode=yes", f"-oHostKeyAlias={server}", "-l", held.user, "-p", str(held.port))
        if held.port == OWN_SSHD:
            yield from ("-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null")
        yield from (argument.replace("{server}", server) for argument in held.ssh)
        address = self.addresses[server]
        yield VALUES["sessions_network"] + address.rpartition(".")[2] if held.ipv6 else address

    def cut(
        self, names: list[str], connections: dict[str, dict[str, Connection]], seconds: float
    ) -> dict[str, dict[str, float]]:
        """
        Have neither end hear of the other any more in the sessions of these names, and look on for some seconds.

        Returns by server and name what was seen hung, and when.
        """
        watch = CHECKOUT.joinpath("molecule/sessions/files/cut_and_watch.py").read_text()

        def run(server: str) -> dict[str, float]:
            arguments = " ".join("{0.client_port}:{0.server_port}".format(connections[server][name]) for name in names)
            interpreter = f"python3 - {seconds} {self._client_address} {arguments}"
            hung = {
                Connection(*ports): after
                for *ports, after in json.loads(self.on_servers({server: watch}, interpreter)[server])
            }
            return {name: hung[connection] for name, connection in connections[server].items() if connection in hung}

        with ThreadPoolExecutor(len(connections)) as pool:
            seen = pool.map(run, connections)
            # The servers may be somewhat earlier: what counts is what they hear.
            time.sleep(1)
            ports = [
                (self.addresses[server], connection.server_port, connection.client_port)
                for server in connections
                for connection in map(connections[server].__getitem__, names)
            ]
            self.hold("cut", ports=ports)
            return dict(zip(connections, seen))

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Nothing is cut any more afterwards."""
        try:
            yield
        finally:
            self.on_servers(
                dict.fromkeys(self.addresses, "nft add table inet sessions; nft delete table inet sessions")
            )

    @contextmanager
    def more_sshds(self) -> Iterator[None]:
        """MORE_SSHDS, and one that is a user's own."""
        root = [
            f"/usr/sbin/sshd -p {port} -o PidFile=/run/sessions-{port}.pid {options}"
            for port, options in MORE_SSHDS.items()
        ]
        own = f"/tmp/sessions-{OWN_SSHD}.pid"
        greeter = f"setsid python3 -c '{GREET}' </dev/null >/dev/null 2>&1 & echo $! > /run/sessions-greeter.pid"
        start = "\n".join([*root, greeter, f"cd /; runuser -u alice -- /usr/local/bin/own-sshd {OWN_SSHD} {own}"])
        # An earlier run may have been cut off.
        stop = (
            f"for file in /run/sessions-*.pid {own}; do if [ -e $file ]; then kill $(cat $file) || rm $file; fi; done"
        )
        self.on_servers(dict.fromkeys(self.addresses, stop))
        try:
            self.on_servers(dict.fromkeys(self.addresses, start))
            yield
        finally:
            self.on_servers(dict.fromkeys(self.addresses, stop))


def _ansible(*command: str) -> subprocess.CompletedProcess[str]:
    # Not our own stdin and stderr: ssh leaves them non-blocking, which Ansible then refuses.
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def tell(inventory: str, ssh_config: str) -> Story:
    with ExitStack() as stack:
        lab = Lab(inventory, ssh_config, stack)
        stack.enter_context(lab.more_sshds())
        stack.enter_context(lab.restored())
        connections = lab.open(HELD)
        lab.open(SHARING)
        lab.hold("keep_typing", names=[f"{server}.{name}" for name in TYPING for server in lab.addresses])
        lab.hold("keep_passing", names=[f"{server}.used-tunnel" for server in lab.addresses])
        time.sleep(IDLE_AFTER + 1)
        versions = _versions(lab)
        story = Story(connections, versions, _periods(lab, versions), lab.list(), {}, {}, {}, {}, {}, {}, {}, [])

        names = [name for name, held in HELD.items() if held.cut and held.user == "alice"]
        story.hung_after.update(lab.cut(names, connections, 2 * max(story.periods.values())))
        story.after.update(lab.list())
        _end_some(lab, story)
        return story


def _versions(lab: Lab) -> dict[str, tuple[int, ...]]:
    printed = lab.on_servers(dict.fromkeys(lab.addresses, "ssh -V 2>&1"))
    return {server: tuple(map(int, re.findall(r"\d+", text)[:2])) for server, text in printed.items()}


def _periods(lab: Lab, versions: dict[str, tuple[int, ...]]) -> dict[str, int]:
    """Silence after which each sshd probes; 9.2 to 9.4 do so at every second interval."""
    printed = lab.on_servers(dict.fromkeys(lab.addresses, "sshd -T -C user=alice,host=h,addr=::1"))
    periods = {}
    for server, text in printed.items():
        (interval,) = re.findall(r"^clientaliveinterval (\d+)$", text, re.MULTILINE | re.IGNORECASE)
        periods[server] = int(interval) * (2 if (9, 2) <= versions[server] <= (9, 4) else 1)
    return periods


def _end_some(lab: Lab, story: Story) -> None:
    """End sessions by one condition after the other."""
    lasting = [name for name, held in {**HELD, **SHARING}.items() if not held.cut]

    def step(name: str, answers: Answers) -> None:
        answered = lab.hold("alive", names=[f"{server}.{name}" for server in lab.addresses for name in lasting])
        alive = {server: {name for name in lasting if answered[f"{server}.{name}"]} for server in lab.addresses}
        story.steps[name] = Step(answers, alive)

    story.selected.update(lab.select(CONDITIONS))
    # Before others are asked whether they are alive: that is typing.
    step("idle", lab.end(user="bob", idle_for=str(IDLE_AFTER)))
    step("hung", lab.end(verdict=["hung"], hung_for="1"))
    story.ended.update(lab.list())

    # What reap.yml is to find, after a while.
    lab.cut(["carol-cut"], story.connections, 2)
    stop = dict.fromkeys(lab.addresses, "kill -STOP")
    for server, name in product(lab.addresses, ("dave-stopped", "dave-left")):
        stop[server] += " {pid}".format(**story.session(story.before, server, name))
    lab.on_servers(stop)
    lab.hold("leave", names=[f"{server}.dave-left" for server in lab.addresses])
    story.left.update(lab.list())
    step("stubborn", lab.end(user="dave", older_than="1"))
    step("root", lab.end(user="root", older_than="1"))
    step("own", lab.end(user="admin", older_than="1"))
    step("network", lab.end(user="alice", peer=f"{VALUES['sessions_network']}/64", older_than="1"))
    story.refused.update(lab.select(WRONG))
    story.refused["not root"] = lab.end("-e", "ansible_become=false", hung_for="1")
    story.reaped.extend([lab.reap(), lab.reap()])
    step("reaped", lab.list())
