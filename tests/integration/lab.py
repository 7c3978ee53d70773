"""A cluster on this machine for one story: hosts, daemons, members under load, and the final judgement.

A story is a file story_NAME.py with a docstring and `def story(lab)`; its last lines are
`lab.main(story, nodes=3)`. Run it alone: tests/integration/story_NAME.py --build build/release
(with --engine corosync it runs on Debian's, which shows that story and checker are right).
HALO_LAB_KEEP=1 keeps the scratch folder with all logs.
"""

import argparse
import collections
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import engines  # noqa: E402
import history  # noqa: E402
import netns  # noqa: E402
from netns import pause, wait_for  # noqa: E402,F401

SKIP = 77  # ctest's SKIP_RETURN_CODE
# A generous bound for whatever must happen soon: these machines are slow, and both cores are busy.
SOON = 30
_began = time.monotonic()


class Load:
    """A member under load (cpg_load) and its log so far."""

    def __init__(self, cluster, host, group, rate, size, reconnect):
        name = f"member.{group}.{host.name}.{len(cluster.loads)}"
        self.host, self.group = host, group
        self.path = host.folder / f"{name}.log"
        self.name = name
        low, high = size if isinstance(size, tuple) else (size, size)
        self.process = host.start(
            [cluster.build / "bin" / "cpg_load", group, self.path, rate, low, high]
            + (["reconnect"] if reconnect else []),
            stdin=subprocess.PIPE, log=host.folder / f"{name}.err", env=cluster.engine.environment)
        self._offset, self._rest = 0, ""
        self.members, self.member_times = (), []
        self.delivered, self.accepted, self.is_drained, self.lost = 0, 0, False, None
        self.key, self.seen = None, {}

    def tell(self, line):
        if self.process.alive():
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()

    def refresh(self):
        """Reads what the log has grown by."""
        if not self.path.exists():
            return self
        with self.path.open() as file:
            file.seek(self._offset)
            text = self._rest + file.read()
            self._offset = file.tell()
        lines = text.split("\n")
        self._rest = lines.pop()
        for line in lines:
            words = line.split()
            if line[0] == "M":
                self.delivered += 1
                self.seen[(int(words[1]), int(words[2]), int(words[3]))] = int(words[4])
            elif line[0] == "S":
                self.accepted, self.is_drained = int(words[1]) + 1, False
            elif line[0] == "C":
                self.members = tuple(tuple(int(x) for x in a.split(":")) for a in words[2].split(",")) \
                    if words[2] != "-" else ()
                self.member_times.append((int(words[1]), self.members))
            elif line[0] == "D":
                self.is_drained = True
            elif line[0] == "X":
                self.lost = int(words[2])
            elif line[0] == "B":
                self.key, self.lost = (int(words[2]), int(words[3]), int(words[4])), None
                self.members, self.accepted = (), 0
        return self

    def member_nodes(self):
        return sorted({node for node, _ in self.refresh().members})

    def seconds_until_without(self, node, since_ns):
        """When this member's view first was without the node, in seconds after since_ns; or None."""
        for when, members in self.refresh().member_times:
            if when >= since_ns and node not in {n for n, _ in members}:
                return (when - since_ns) / 1e9
        return None

    def kill(self):
        self.process.signal(signal.SIGKILL)
        self.process.wait(10)


class Cluster:
    """Hosts with an engine's daemons and members under load."""

    def __init__(self, network, engine, build):
        self.network, self.engine, self.build = network, engine, build
        self.hosts = network.hosts
        self.loads = []
        self._supervisors = {}
        engine.prepare(network)

    # Daemons

    def start(self, *numbers):
        for number in numbers or self.hosts:
            self._supervisors[number] = self.engine.start(self.hosts[number])

    def stop(self, number, seconds=SOON):
        """In order, as at a shutdown; the exit code of what runs the node."""
        return self._supervisors.pop(number).stop(seconds)

    def kill(self, number):
        """All daemons of a node at once with -9, and what would restart them; when, in ns."""
        host = self.hosts[number]
        supervisor = self._supervisors.pop(number)
        when = time.monotonic_ns()
        supervisor.signal(signal.SIGKILL)
        host.signal_all(signal.SIGKILL, self.engine.daemons)
        supervisor.wait(10)
        return when

    def kill_daemon(self, number, program):
        """One daemon with -9; when, in ns. What runs the node restarts it."""
        pids = self.hosts[number].pids(program)
        assert pids, f"no {program} runs on node {number}"
        when = time.monotonic_ns()
        self.hosts[number].signal_all(signal.SIGKILL, [program])
        return when

    def daemon_pid(self, number, program, other_than=None):
        pids = [p for p in self.hosts[number].pids(program) if p != other_than]
        return pids[0] if pids else None

    def freeze(self, number):
        """SIGSTOP to everything on the host: as a suspended virtual machine."""
        when = time.monotonic_ns()
        self.hosts[number].signal_all(signal.SIGSTOP)
        return when

    def thaw(self, number):
        self.hosts[number].signal_all(signal.SIGCONT)

    def haloctl(self, number, *arguments, seconds=20):
        return self.hosts[number].run([self.build / "bin" / "haloctl", *arguments], seconds=seconds,
                                      env=self.engine.environment)

    def status(self, number):
        """What `haloctl status --json` says, or None while no daemon answers."""
        result = self.haloctl(number, "status", "--json")
        try:
            return json.loads(result.stdout)
        except json.JSONDecodeError:
            return None

    def counters(self, number, daemon):
        """All counters of a daemon. Waits until it answers."""
        def ask():
            result = self.hosts[number].run([HERE.parent.parent / "docs/examples/ask_status.py", daemon, "counters"])
            return json.loads(result.stdout)["value"] if result.returncode == 0 else None
        return wait_for(ask, SOON, f"counters of {daemon} on node {number}")

    # Members under load

    def load(self, *numbers, group="load", rate=200, size=(64, 2000), reconnect=True):
        """A member on each of these hosts (all without an argument)."""
        new = [Load(self, self.hosts[number], group, rate, size, reconnect)
               for number in numbers or self.hosts]
        self.loads += new
        return new

    @staticmethod
    def wait_members(loads, nodes, seconds=SOON):
        """Until each of these members sees exactly these nodes in its group."""
        nodes = sorted(nodes)
        def state():
            return all(load.member_nodes() == nodes for load in loads)
        try:
            wait_for(state, seconds, "")
        except netns.Timeout:
            seen = {load.name: load.member_nodes() for load in loads}
            raise netns.Timeout(f"not within {seconds} s: members on nodes {nodes} everywhere; "
                                f"seen: {seen}") from None

    @staticmethod
    def wait_progress(loads, messages, seconds=SOON):
        """Until each of these members got that many messages more."""
        goals = [(load, load.refresh().delivered + messages) for load in loads]
        try:
            wait_for(lambda: all(load.refresh().delivered >= goal for load, goal in goals), seconds, "")
        except netns.Timeout:
            got = {load.name: load.delivered - goal + messages for load, goal in goals}
            raise netns.Timeout(f"not within {seconds} s: {messages} messages more everywhere; got {got}") \
                from None

    def drain(self, loads=None, seconds=SOON):
        """Stops the senders and waits until everybody has everything."""
        loads = [l for l in (loads or self.loads) if l.process.alive()]
        for load in loads:
            load.tell("drain")
        def everything():
            if not all(load.refresh().is_drained and load.lost is None for load in loads):
                return False
            last = {load.key: load.accepted - 1 for load in loads if load.accepted}
            return all(load.seen.get(key, -1) == seq for load in loads for key, seq in last.items())
        try:
            wait_for(everything, seconds, "")
        except netns.Timeout:
            state = {l.name: dict(drained=l.is_drained, lost=l.lost, accepted=l.accepted, seen=l.seen)
                     for l in loads}
            raise netns.Timeout(f"not within {seconds} s: all messages everywhere; {state}") from None

    def judge(self, least_messages=100):
        """Ends all members in order and checks their histories."""
        for load in self.loads:
            load.tell("leave")
        for load in self.loads:
            if load.process.alive():
                load.process.wait(SOON)
        counts = collections.Counter()
        for group in sorted({load.group for load in self.loads}):
            lives = []
            for load in self.loads:
                if load.group == group:
                    with load.path.open() as file:
                        lives += history.parse(load.name, file)
            counts.update(history.check(lives))
        print("history:", ", ".join(f"{value} {name}" for name, value in counts.items()))
        assert counts["messages"] >= least_messages, f"too little happened to judge: {counts}"
        return counts

    def print_logs(self):
        for host in self.hosts.values():
            for log in sorted(host.folder.glob("*.log")) + sorted(host.folder.glob("*.err")):
                lines = log.read_text(errors="replace").splitlines()
                if log.name.startswith("member."):
                    lines = [line for line in lines if line[:1] not in "MS"]
                if lines:
                    print(f"--- {host.name} {log.name} (last lines)", *lines[-40:], sep="\n")


def step(what):
    """Says how far the story is, and when: where it stood when its time was up."""
    print(f"{time.monotonic() - _began:6.1f} s  {what}", flush=True)


def burn_all_cores(network):
    """Two busy processes a core in a host of their own, until the network is closed."""
    host = next(iter(network.hosts.values()))
    return [host.start(["sh", "-c", "while :; do :; done"]) for _ in range(4)]


def _options(description, engine):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent.parent / "build" / "release")
    parser.add_argument("--engine", default=engine)
    return parser.parse_args()


def main(story, nodes=3, links=1, loads=True, missing=lambda engine: None, engine="halo"):
    """Runs the story; the exit code is ctest's."""
    description = (sys.modules["__main__"].__doc__ or story.__name__).strip()
    options = _options(description, engine)
    build = options.build.resolve()
    engine = engines.known(build)[options.engine]
    reason = netns.missing_rights() or engine.missing() or missing(engine)
    if not reason and loads and not (build / "bin" / "cpg_load").exists():
        reason = f"{build}/bin/cpg_load is not built"
    if reason:
        print(f"SKIPPED: {reason}")
        sys.exit(SKIP)
    print(description)
    cluster = None
    began = time.monotonic()
    network = engine.network(nodes, links)
    try:
        cluster = Cluster(network, engine, build)
        story(cluster)
        print(f"passed in {time.monotonic() - began:.1f} s")
        code = 0
    except (Exception, KeyboardInterrupt):
        if os.environ.get("HALO_VM"):
            pathlib.Path("/run/job/failed").touch()  # What comes now may take longer than the machine has (tests/rdma/vm.py).
        traceback.print_exc()
        if cluster:
            cluster.print_logs()
        code = 1
    finally:
        network.close()
    sys.exit(code)
