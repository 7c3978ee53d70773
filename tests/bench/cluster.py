"""One engine on hosts of its own: its daemons, the members that load it, and what both cost."""

import json
import os
import pathlib
import select
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import netns  # noqa: E402

GROUP = "bench"


def cpu_seconds(pids):
    """Processor time of all threads; finer than the clock ticks of /proc/PID/stat."""
    total = 0
    for pid in pids:
        for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
            total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e9


def wake_ups(pids):
    """How often the threads went to sleep of themselves, hence were woken."""
    total = 0
    for pid in pids:
        for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
            for line in (thread / "status").read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches:"):
                    total += int(line.split()[1])
    return total


def memory_mib(pids):
    """What the processes occupy at this moment, shared pages counted in proportion."""
    total = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


def packets_sent(host):
    """By all links of a host."""
    total = 0
    for line in pathlib.Path(f"/proc/{host.init}/net/dev").read_text().splitlines():
        name, _, counts = line.partition(":")
        if name.strip().startswith("eth"):
            total += int(counts.split()[9])
    return total


class Member:
    """cpg_bench in one host."""

    def __init__(self, host, binary, environment, group=GROUP):
        self.host, self.group = host, group
        self._rest = b""
        self.process = host.start([binary, group], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  log=host.folder / "members.err", env=environment)

    def answer(self, seconds):
        out = self.process.stdout.fileno()
        while b"\n" not in self._rest:
            if not select.select([out], [], [], seconds * netns.SLOWNESS)[0]:
                raise netns.Timeout(f"{self.host.name}: no answer of cpg_bench within {seconds} s")
            more = os.read(out, 65536)
            if not more:
                raise netns.LabError(f"{self.host.name}: cpg_bench ended with {self.process.wait(5)}")
            self._rest += more
        line, self._rest = self._rest.split(b"\n", 1)
        return json.loads(line)

    def tell(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, line, seconds=60):
        self.tell(line)
        return self.answer(seconds)


class Cluster:
    """Daemons on `nodes` hosts; use it in a `with`."""

    def __init__(self, engine, nodes, client):
        self.engine, self.nodes, self._client = engine, nodes, client
        self.members = []
        self._phase = 0
        self.network = engine.network(nodes, 1)
        self.hosts = self.network.hosts
        self.supervisors = {}
        engine.prepare(self.network)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None and issubclass(kind, (netns.LabError, netns.Timeout)):
            self._print_logs()
        self.network.close()

    def _print_logs(self):
        for host in list(self.hosts.values())[:3]:
            for log in (host.folder / "daemon.log", host.folder / "members.err"):
                if not log.exists():
                    continue
                print(f"--- {host.name}", *log.read_text(errors="replace").splitlines()[-15:], sep="\n",
                      file=sys.stderr)

    def start(self, *numbers):
        for number in numbers or self.hosts:
            self.supervisors[number] = self.engine.start(self.hosts[number])

    def daemons(self, *numbers):
        return [pid for number in numbers or self.hosts for pid in self.engine.pids(self.hosts[number])]

    def add_members(self, group=GROUP, numbers=(), wait=True):
        """One member on each of these hosts (all without an argument), the group whole."""
        new = [Member(self.hosts[number], self._client, self.engine.environment, group)
               for number in numbers or self.hosts]
        for member in new:
            member.answer(90)
        self.members += new
        if wait:
            whole = [m for m in self.members if m.group == group]
            for member in whole:
                member.tell(f"members {len(whole)}")
            for member in whole:
                member.answer(60)
        return new

    def quit_members(self, members):
        for member in members:
            member.tell("quit")
        for member in members:
            member.process.wait(20)
        self.members = [m for m in self.members if m not in members]

    def phase(self, kind, senders, size, rest, safe=False, members=None, seconds=120):
        """One phase of all members; `senders` of each group send. What it gave, and cost."""
        members = self.members if members is None else members
        self._phase += 1
        seen = {}
        for member in members:
            place = seen[member.group] = seen.get(member.group, 0) + 1
            member.tell(f"{kind} {self._phase} {senders} {int(place <= senders)} {int(safe)} {size} {rest}")
        for member in members:
            member.answer(60)
        daemons = self.daemons()
        before = cpu_seconds(daemons)
        for member in members:
            member.tell("go")
        # An engine that stalls (Corosync with large messages does) is waited for, within reason.
        answers = [member.answer(seconds) for member in members]
        return self._result(kind, size, answers, cpu_seconds(daemons) - before, members)

    def _result(self, kind, size, answers, used, members):
        delivered = sum(a["delivered"] for a in answers)
        sent = sum(a["sent"] for a in answers)
        groups = {}
        for member, a in zip(members, answers):
            counts = groups.setdefault(member.group, [0, set()])
            counts[0] += a["sent"]
            counts[1].add(a["delivered"])
        result = {
            "sent": sent, "delivered": delivered,
            "complete": all(got == {count} for count, got in groups.values()),
            "out_of_order": sum(a["out_of_order"] for a in answers),
            "refused": sum(a["refused"] for a in answers),
            "longest_gap_ms": max(a["longest_gap_ms"] for a in answers),
            "daemon_cpu_us": 1e6 * used / max(1, delivered),
            "daemon_cpu_s": used,
            "client_cpu_us": 1e6 * sum(a["client_cpu_s"] for a in answers) / max(1, delivered),
        }
        slowest = max(a["seconds"] for a in answers)
        if kind == "flood" and slowest > 0:
            result["msg_s"] = sent / slowest
            result["mb_s"] = sent * size / slowest / 1e6
        if kind != "flood":
            for name in ("own", "other"):
                values = [a[f"{name}_us"] for a in answers if a[f"{name}_us"]]
                for point in ("p50", "p90", "p99", "p999", "max") if values else ():
                    result[f"{name}_{point}_us"] = max(v[point] for v in values)
        return result

    def logs_with(self, pattern):
        """How many hosts' logs have a line that matches."""
        return sum(1 for host in self.hosts.values() if pattern.search(self._log(host)))

    @staticmethod
    def _log(host):
        log = host.folder / "daemon.log"
        return log.read_text(errors="replace") if log.exists() else ""
