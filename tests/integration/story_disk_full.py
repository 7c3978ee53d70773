#!/usr/bin/python3
"""The disk with the ring id of one node is full: that node takes no part rather than break a promise, says why, and
the others neither wait nor suffer. With room again it joins."""
import lab


def story(cluster):
    host = cluster.hosts[3]
    state = host.folder / "state"
    state.mkdir()
    host.run(["sh", "-ec", f"mount -t tmpfs -o size=16k tmpfs {state}; chmod 777 {state}; "
              f"head -c 16384 /dev/zero > {state}/filler"], check=True)
    cluster.start()
    loads = cluster.load(1, 2)
    cluster.wait_members(loads, [1, 2])
    newcomer = cluster.load(3)
    cluster.wait_progress(loads, 1000)
    log = host.folder / "daemon.log"
    lab.wait_for(lambda: "No space left" in log.read_text(errors="replace"), lab.SOON, "the log of node 3 says why")
    assert newcomer[0].member_nodes() == [], "a member on a node that could not store its ring id"

    host.run(["rm", state / "filler"], check=True)
    if not host.pids("ringd"):
        cluster.kill(3)
        cluster.start(3)
    loads += newcomer
    cluster.wait_members(loads, [1, 2, 3])
    cluster.wait_progress(loads, 300)
    cluster.drain()
    cluster.judge(least_messages=2000)


if __name__ == "__main__":
    lab.main(story, nodes=3)
