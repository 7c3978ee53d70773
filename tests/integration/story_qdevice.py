#!/usr/bin/python3
"""Debian's unmodified corosync-qdevice and corosync-qnetd: two nodes and the arbiter. Each link is cut in turn, each part killed; the table says
who is quorate, how long that took, and for how long both halves of a cut cluster said so at once.

--engine corosync passes, too. HALO_QDEVICE_ALL=1: all steps; else those that one run of CI has time for. HALO_QDEVICE=lms: with the arbiter's
other algorithm, and the same ends. docs/quorum.md has both tables.
"""
import os
import re
import shutil
import signal
import time

import lab

ARBITER = 3
OVERLAP = 0.5  # s. Both are asked one after the other, and each is asked by a program that takes its time.
ALGORITHM = os.environ.get("HALO_QDEVICE", "ffsplit")
TIMES = {"timeout": 4000, "sync_timeout": 8000}  # ms; the shorter they are, the shorter the story.


def device(more=""):
    """The configuration's section."""
    return (f"quorum {{\n    provider: corosync_votequorum\n    device {{\n        model: net\n        votes: 1\n        timeout: {TIMES['timeout']}\n"
            f"        sync_timeout: {TIMES['sync_timeout']}\n        net {{\n            host: 10.99.0.{ARBITER}\n"
            f"            algorithm: {ALGORITHM}\n            tls: off\n        }}\n{more}    }}\n}}\n")


class Arbitrated:
    """The nodes 1 and 2 with their device's programs, and the arbiter on a third host."""

    def __init__(self, cluster, more=""):
        self.cluster, self.programs, self.up = cluster, {}, set()
        file = next(path for path in cluster.network.folder.glob("*.conf"))
        text = re.sub(r"    node \{[^}]*nodeid: 3\n    \}\n", "", file.read_text())
        file.write_text(re.sub(r"quorum \{[^}]*\}\n", device(more), text))

    def start_node(self, number):
        self.cluster.start(number)
        self.up.add(number)
        self.start_device(number)

    def kill_node(self, number):
        self.kill_device(number)
        self.cluster.kill(number)
        self.up.discard(number)

    def start_device(self, number):
        # It needs its node's daemon, and ends when that is not there yet.
        lab.wait_for(lambda: self.tool(number)[0] != 1, lab.SOON, f"node {number} answers")
        self._start(number, ["corosync-qdevice", "-f"], "/run/corosync-qdevice")

    def kill_device(self, number):
        self._kill(number)

    def start_arbiter(self):
        self._start(ARBITER, ["corosync-qnetd", "-f", "-s", "off"], "/run/corosync-qnetd")

    def kill_arbiter(self):
        self._kill(ARBITER)

    def _start(self, number, command, folder):
        host = self.cluster.hosts[number]
        host.run(["mkdir", "-p", folder], check=True)
        self.programs[number] = host.start(command, log=host.folder / f"{command[0]}.log", env=self.cluster.engine.environment)

    def _kill(self, number):
        program = self.programs.pop(number)
        program.signal(signal.SIGKILL)
        program.wait(10)

    def tool(self, number):
        result = self.cluster.hosts[number].run(["corosync-quorumtool", "-s"], env=self.cluster.engine.environment, seconds=60)
        return result.returncode, result.stdout

    def quorate(self, number):
        """yes or no; - while nobody answers."""
        return {0: "yes", 2: "no"}.get(self.tool(number)[0], "-") if number in self.up else "-"

    def become(self, wanted, seconds):
        """Until that is so; how long it took, and for how long both were quorate without each other."""
        began, both, last = time.monotonic(), 0.0, None
        while True:
            told = {number: self.tool(number) if number in self.up else (1, "") for number in (1, 2)}
            now = time.monotonic()
            alone = all(code == 0 and "Nodes:            1\n" in text for code, text in told.values())
            both += now - last if alone and last is not None else 0
            last = now
            states = tuple({0: "yes", 2: "no"}.get(told[number][0], "-") for number in (1, 2))
            nodes = {text.split("Nodes: ")[1].split()[0] for code, text in told.values() if code != 1}
            if states == wanted[0] and nodes == wanted[1]:
                return now - began, both
            if now - began > seconds:
                raise lab.netns.Timeout(f"not within {seconds} s: {wanted}, but {states} with {nodes} nodes\n{told[1][1]}{told[2][1]}")
            lab.pause(0.1)


TOGETHER, APART = {"2"}, {"1"}
STEPS = [  # What happens, and who is quorate then, in how large a partition.
    ("all start", lambda a: [a.start_arbiter(), a.start_node(1), a.start_node(2)], ("yes", "yes"), TOGETHER),
    ("1-2 cut", lambda a: a.cluster.network.cut(1, 2), ("yes", "no"), APART),
    ("healed", lambda a: heal(a), ("yes", "yes"), TOGETHER),
    ("1-arbiter cut", lambda a: a.cluster.network.cut(1, ARBITER), ("yes", "yes"), TOGETHER),
    ("1-2 cut, too", lambda a: a.cluster.network.cut(1, 2), ("no", "yes"), APART),
    ("healed", lambda a: heal(a), ("yes", "yes"), TOGETHER),
    ("2-arbiter cut", lambda a: a.cluster.network.cut(2, ARBITER), ("yes", "yes"), TOGETHER),
    ("1-2 cut, too", lambda a: a.cluster.network.cut(1, 2), ("yes", "no"), APART),
    ("healed", lambda a: heal(a), ("yes", "yes"), TOGETHER),
    ("arbiter killed", lambda a: a.kill_arbiter(), ("yes", "yes"), TOGETHER),
    ("1-2 cut, too", lambda a: a.cluster.network.cut(1, 2), ("no", "no"), APART),
    ("healed, arbiter back", lambda a: [heal(a), a.start_arbiter()], ("yes", "yes"), TOGETHER),
    ("device of 1 killed", lambda a: a.kill_device(1), ("yes", "yes"), TOGETHER),
    ("1-2 cut, too", lambda a: a.cluster.network.cut(1, 2), ("no", "yes"), APART),
    ("healed, device back", lambda a: [heal(a), a.start_device(1)], ("yes", "yes"), TOGETHER),
    ("node 1 killed", lambda a: a.kill_node(1), ("-", "yes"), APART),
    ("node 1 back", lambda a: a.start_node(1), ("yes", "yes"), TOGETHER),
    ("node 2 killed", lambda a: a.kill_node(2), ("yes", "-"), APART),
]
SHORT = [0, 1, 2, 9, 10, 11, 15]  # In CI; all with HALO_QDEVICE_ALL=1.


def heal(arbitrated):
    network = arbitrated.cluster.network
    for a, b in ((1, 2), (1, ARBITER), (2, ARBITER)):
        network.lose(a, b, 0)
        network.lose(b, a, 0)


def all_voting(arbitrated):
    """Whether the arbiter's vote counts on both nodes, as it must before the next thing happens."""
    return all("Total votes:      3" in arbitrated.tool(n)[1] for n in (1, 2))


def missing(_engine):
    for program in ("corosync-qdevice", "corosync-qnetd", "corosync-quorumtool"):
        if shutil.which(program) is None:
            return f"{program} is not installed (Debian packages corosync, corosync-qdevice, corosync-qnetd)"
    return None


def pass_through(arbitrated, steps):
    """Each of them, until all are told what it says; prints the table."""
    bound = (TIMES["timeout"] + TIMES["sync_timeout"]) / 1000 + lab.SOON
    print(f"{'':22} node 1  node 2  after s  both apart s")
    for what, act, states, size in steps:
        act(arbitrated)
        took, both = arbitrated.become((states, size), bound)
        print(f"{what:22} {states[0]:7} {states[1]:7} {took:7.1f}  {both:.1f}", flush=True)
        if arbitrated.cluster.engine.name == "halo" and states != ("yes", "yes"):
            assert both <= OVERLAP, "a half that does not go on said that it is quorate"
        if states == ("yes", "yes") and "cut" not in what and "killed" not in what:
            lab.wait_for(lambda: all_voting(arbitrated), bound, "the arbiter's vote counts on both nodes")


def story(cluster):
    pass_through(Arbitrated(cluster), STEPS if os.environ.get("HALO_QDEVICE_ALL") else [STEPS[index] for index in SHORT])


if __name__ == "__main__":
    lab.main(story, nodes=3, loads=False, missing=missing)
