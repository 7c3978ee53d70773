#!/usr/bin/python3
"""Debian's unmodified corosync-notifyd tells of nodes that leave and come, of links, of quorum that is lost and found, and
of programs that connect and end."""
import re
import shutil

import lab


def missing(_engine):
    return None if shutil.which("corosync-notifyd") else "needs Debian's package corosync-notifyd"


class Notifyd:
    def __init__(self, cluster, number):
        host = cluster.hosts[number]
        self._log, self._name = host.folder / "notifyd.log", host.name
        # -n: no names by DNS, which a host of the lab has not.
        self._process = host.start(["corosync-notifyd", "-f", "-o", "-n"], log=self._log, env=cluster.engine.environment)
        self._read = 0
        self.wait_for("is now quorate")

    def notices(self):
        return [line for line in self._log.read_text(errors="replace").splitlines() if line.startswith("[notice]")]

    def wait_for(self, *patterns):
        """Each of these is told, in any order, after what was told before."""
        def all_told():
            told = self.notices()[self._read:]
            return all(any(re.search(pattern, line) for line in told) for pattern in patterns)
        try:
            lab.wait_for(all_told, lab.SOON, "")
        except lab.netns.Timeout:
            raise lab.netns.Timeout(f"not told within {lab.SOON} s: {patterns}; told: {self.notices()}") from None
        self._read = len(self.notices())
        assert self._process.alive(), "corosync-notifyd has ended"


def story(cluster):
    cluster.start()
    loads = cluster.load()
    cluster.wait_members(loads, [1, 2, 3])
    notifyd = Notifyd(cluster, 1)
    cluster.stop(3)
    notifyd.wait_for(r"\[3\] ip:10\.99\.0\.3 left", "link 0 to node 3 is now disconnected")
    cluster.stop(2)
    notifyd.wait_for(r"\[2\] ip:10\.99\.0\.2 left", "link 0 to node 2 is now disconnected", r"node1\[1\] has lost quorum")
    cluster.start(2, 3)
    notifyd.wait_for(r"\[2\] ip:10\.99\.0\.2 joined", r"\[3\] ip:10\.99\.0\.3 joined", r"node1\[1\] is now quorate",
                     "link 0 to node 2 is now operational", "link 0 to node 3 is now operational")
    cluster.wait_members(loads, [1, 2, 3])
    loads[0].kill()
    notifyd.wait_for(r"\.cpg_load is now disconnected from corosync")
    cluster.load(1, group="other")
    notifyd.wait_for(r"\.cpg_load is now connected to corosync")
    print(*notifyd.notices(), sep="\n")


if __name__ == "__main__":
    lab.main(story, nodes=3, missing=missing)
