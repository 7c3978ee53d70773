#!/usr/bin/python3
"""Five hosts fall apart into three and two, work on each side, and become one again."""
import lab


def story(cluster):
    cluster.start()
    loads = cluster.load()
    cluster.wait_members(loads, [1, 2, 3, 4, 5])
    for left, right in (([1, 2, 3], [4, 5]), ([1, 5], [2, 3, 4])):
        cluster.wait_progress(loads, 500)
        cluster.network.partition(left, right)
        for side in (left, right):
            cluster.wait_members([load for load in loads if load.host.number in side], side)
        cluster.wait_progress(loads, 500)
        cluster.network.heal()
        cluster.wait_members(loads, [1, 2, 3, 4, 5])
    cluster.wait_progress(loads, 500)
    cluster.drain()
    cluster.judge(least_messages=5 * 1500)


if __name__ == "__main__":
    lab.main(story, nodes=5)
