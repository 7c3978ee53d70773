#!/usr/bin/python3
"""Each service daemon of a node is stopped, killed, and upgraded to another build (RESTARTS times each, default 15) under
load on three nodes: the ring does not notice, clients keep their sessions, nothing is lost or doubled. Prints the
pauses."""
import os
import shutil
import signal
import subprocess
import time

import lab

RESTARTS = int(os.environ.get("RESTARTS", "15"))
NODE = 2


class OwnPrograms:
    """The node runs a copy of the programs, in which one can be replaced."""

    def __init__(self, cluster):
        self.folder = cluster.network.folder / "programs"
        self.folder.mkdir()
        for program in ("haloctl", *cluster.engine.daemons):
            if (cluster.build / "bin" / program).exists():
                shutil.copy(cluster.build / "bin" / program, self.folder)
        self._count = 0

    def replace(self, daemon):
        """Another build of the daemon, as a package's upgrade puts it there: a new file under the old name."""
        self._count += 1
        new = self.folder / f"{daemon}.new"
        shutil.copy(self.folder / daemon, new)
        mark = self.folder / "mark"
        mark.write_text(f"build {self._count}")
        subprocess.run(["objcopy", "--update-section" if self._count > 1 else "--add-section",
                        f".halo.build={mark}", new], check=True)
        new.rename(self.folder / daemon)


def longest_gap(load, until):
    """Seconds between two deliveries to this member at most, until `until()` is true and messages come again."""
    longest, last, count = 0.0, time.monotonic(), load.refresh().delivered
    deadline = last + lab.SOON
    while True:
        now = time.monotonic()
        assert now < deadline, f"no end of the pause within {lab.SOON} s"
        delivered = load.refresh().delivered
        if delivered != count:
            longest, last = max(longest, now - last), now
            if until() and delivered > count:
                return longest
            count = delivered
        lab.netns.pause(0.001)


def restart(cluster, load, daemon, how, programs):
    old = cluster.daemon_pid(NODE, daemon)
    if how == "upgrade":
        programs.replace(daemon)
    os.kill(old, signal.SIGKILL if how == "kill" else signal.SIGTERM)
    def is_back():
        log = (cluster.hosts[NODE].folder / "daemon.log").read_text(errors="replace")
        pid = cluster.daemon_pid(NODE, daemon, other_than=old)
        return pid and f"daemon ready DAEMON={daemon} PID={pid}" in log
    return longest_gap(load, is_back)


def percentiles(values):
    values = sorted(1000 * value for value in values)
    return " ".join(f"p{p} {values[min(len(values) - 1, len(values) * p // 100)]:.0f} ms" for p in (50, 90, 99, 100))


def rings_of(load):
    with load.path.open() as file:
        return [line.split()[2:4] for line in file if line.startswith("R ")]


def story(cluster):
    programs = OwnPrograms(cluster)
    cluster.engine.programs_of[cluster.hosts[NODE].name] = programs.folder
    cluster.start()
    loads = cluster.load(rate=300)
    cluster.wait_members(loads, [1, 2, 3])
    cluster.wait_progress(loads, 300)
    rings = rings_of(loads[0])[-1]
    ringd = [cluster.daemon_pid(n, "ringd") for n in cluster.hosts]

    for daemon in cluster.engine.daemons[1:]:
        if not cluster.daemon_pid(NODE, daemon):
            continue
        for how in ("stop", "kill", "upgrade"):
            gaps = [restart(cluster, loads[NODE - 1], daemon, how, programs) for _ in range(RESTARTS)]
            print(f"{daemon} {how}, {RESTARTS} times: pause of its member {percentiles(gaps)}", flush=True)

    assert ringd == [cluster.daemon_pid(n, "ringd") for n in cluster.hosts], "a ringd was restarted"
    assert rings == rings_of(loads[0])[-1], "the ring changed"
    cluster.drain()
    assert [load.key[2] for load in loads] == [1, 1, 1], f"sessions were lost: {[load.key for load in loads]}"
    cluster.judge(least_messages=1000)


if __name__ == "__main__":
    lab.main(story, nodes=3)
