#!/usr/bin/python3
"""Nodes are stopped in order and started again, one after the other, as at an upgrade."""
import lab


def story(cluster):
    cluster.start()
    loads = cluster.load()
    cluster.wait_members(loads, [1, 2, 3])
    for number in (1, 2, 3):
        cluster.wait_progress(loads, 300)
        others = [load for load in loads if load.host.number != number]
        code = cluster.stop(number)
        assert code == 0, f"node {number} ended with {code}"
        cluster.wait_members(others, {1, 2, 3} - {number})
        cluster.wait_progress(others, 300)
        cluster.start(number)
        cluster.wait_members(loads, [1, 2, 3])
    cluster.wait_progress(loads, 300)
    cluster.drain()
    cluster.judge(least_messages=3 * 1000)


if __name__ == "__main__":
    lab.main(story, nodes=3)
