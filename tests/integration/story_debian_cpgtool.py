#!/usr/bin/python3
"""Debian's unmodified corosync-cpgtool, on our libraries, lists the groups and members of the cluster."""
import shutil
import sys

import lab


def story(cluster):
    cluster.start()
    loads = cluster.load(group="one") + cluster.load(1, 2, group="two")
    cluster.wait_members(loads[:3], [1, 2, 3])
    cluster.wait_members(loads[3:], [1, 2])

    def lists():
        result = cluster.hosts[3].run(["corosync-cpgtool", "-n"], env=cluster.engine.environment)
        return sorted(result.stdout.split()) if result.returncode == 0 else None

    names = lab.wait_for(lists, lab.SOON, "corosync-cpgtool answers")
    assert names == ["one", "two"], names
    result = cluster.hosts[3].run(["corosync-cpgtool"], env=cluster.engine.environment)
    assert result.returncode == 0, result.stderr
    print(result.stdout)
    rows = [line.split() for line in result.stdout.splitlines() if len(line.split()) >= 2]
    for load in loads:
        node, pid, _ = load.key
        assert any(str(pid) in row and str(node) in row for row in rows), f"member {node}:{pid} is missing"
    cluster.wait_progress(loads, 100)
    cluster.drain(loads[:3])
    cluster.drain(loads[3:])
    cluster.judge()


if __name__ == "__main__":
    if shutil.which("corosync-cpgtool") is None:
        print("SKIPPED: corosync-cpgtool is not installed (Debian package corosync)")
        sys.exit(lab.SKIP)
    lab.main(story, nodes=3)
