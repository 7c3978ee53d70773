#!/usr/bin/python3
"""haloctl status tells people and programs of the ring, its members and the groups, on every node; and says plainly
when no daemon runs."""
import json

import lab


def story(cluster):
    before = cluster.haloctl(1, "status")
    assert before.returncode != 0, "status of a node without daemons is a failure"
    assert "ringd" in before.stdout + before.stderr, before.stdout + before.stderr

    cluster.start()
    loads = cluster.load(group="shown")
    cluster.wait_members(loads, [1, 2, 3])
    for number in cluster.hosts:
        status = lab.wait_for(lambda: cluster.status(number), lab.SOON, f"JSON of node {number}")
        text = json.dumps(status)
        for word in ("ring", "members", "links", "groups", "shown"):
            assert word in text, f"node {number}: nothing about {word} in {text[:3000]}"
        shown = cluster.haloctl(number, "status")
        assert shown.returncode == 0, shown.stderr
        for word in ("node1", "node2", "node3") if "node1" in shown.stdout else ("1", "2", "3"):
            assert word in shown.stdout, f"node {number}: no {word} in\n{shown.stdout}"
    print(shown.stdout)
    cluster.wait_progress(loads, 100)
    cluster.drain()
    cluster.judge()


if __name__ == "__main__":
    lab.main(story, nodes=3)
