#!/usr/bin/python3
"""A member stops taking its messages: another group does not notice, cpgd's memory stays bounded, and the
group goes on once the member has lost its session."""
import pathlib
import signal

import lab

# Far above what a daemon needs, far below what a flood would fill.
MEMORY_MIB_MAX = 256


def resident_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0


def story(cluster):
    cluster.start()
    group = cluster.load(group="crowded", rate=2000, size=16000)
    bystanders = cluster.load(group="quiet", rate=100)
    cluster.wait_members(group, [1, 2, 3])
    cluster.wait_members(bystanders, [1, 2, 3])
    cluster.wait_progress(group, 500)

    stuck = group.pop()
    stuck.process.signal(signal.SIGSTOP)
    for _ in range(5):
        cluster.wait_progress(bystanders, 100)
    lab.wait_for(lambda: all(3 not in load.member_nodes() for load in group), 60, "the stuck member is put out")
    cluster.wait_progress(group, 500)
    for number in cluster.hosts:
        memory = resident_mib(cluster.daemon_pid(number, "cpgd"))
        print(f"cpgd of node {number}: {memory:.0f} MiB resident")
        assert memory < MEMORY_MIB_MAX
    stuck.process.signal(signal.SIGKILL)
    stuck.process.wait(10)
    cluster.wait_members(bystanders, [1, 2, 3])
    cluster.drain(group, seconds=60)
    cluster.drain(bystanders)
    cluster.judge(least_messages=3000)


if __name__ == "__main__":
    lab.main(story, nodes=3)
