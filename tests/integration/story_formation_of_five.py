#!/usr/bin/python3
"""Five hosts start one after the other, while the first ones already work."""
import lab


def story(cluster):
    cluster.start(1, 2)
    loads = cluster.load(1, 2)
    cluster.wait_members(loads, [1, 2])
    for number in (3, 4, 5):
        cluster.wait_progress(loads, 200)
        cluster.start(number)
        loads += cluster.load(number)
        cluster.wait_members(loads, range(1, number + 1))
    cluster.wait_progress(loads, 1000)
    cluster.drain()
    cluster.judge(least_messages=5 * 1000)


if __name__ == "__main__":
    lab.main(story, nodes=5)
