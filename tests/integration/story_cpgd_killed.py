#!/usr/bin/python3
"""cpgd of one node is killed with -9 again and again (KILLS times, default 30) under load: the ring does not notice, the other nodes
go on, the stream resumes where it was, and nothing is lost or comes twice."""
import os

import lab

KILLS = int(os.environ.get("KILLS", "30"))


def rings_of(load):
    with load.path.open() as file:
        return [line.split()[2:4] for line in file if line.startswith("R ")]


def story(cluster):
    cluster.start()
    loads = cluster.load(rate=500)
    cluster.wait_members(loads, [1, 2, 3])
    cluster.wait_progress(loads, 500)
    others = [load for load in loads if load.host.number != 2]
    rings = [rings_of(load)[-1] for load in others]
    ringd = [cluster.daemon_pid(n, "ringd") for n in cluster.hosts]

    for _ in range(KILLS):
        old = cluster.daemon_pid(2, "cpgd")
        cluster.kill_daemon(2, "cpgd")
        lab.wait_for(lambda: cluster.daemon_pid(2, "cpgd", other_than=old), lab.SOON, "cpgd runs again")
        cluster.wait_progress(loads, 20)
    cluster.wait_members(loads, [1, 2, 3])

    assert ringd == [cluster.daemon_pid(n, "ringd") for n in cluster.hosts], "a ringd was restarted"
    assert rings == [rings_of(load)[-1] for load in others], "the ring changed"
    survived = loads[1].refresh().key[2]
    print(f"{KILLS} kills, the ring stayed {rings[0]}; the member on node 2 connected {survived} time(s)")
    cluster.drain()
    cluster.judge(least_messages=5000)


if __name__ == "__main__":
    lab.main(story, nodes=3)
