#!/usr/bin/python3
"""Node 2 loses a fifth of what node 1 sends, one way, and later of what everybody sends: it is slower,
and nothing is lost or reordered."""
import lab


def story(cluster):
    cluster.start()
    loads = cluster.load()
    cluster.wait_members(loads, [1, 2, 3])
    cluster.network.lose(1, 2, 20)
    cluster.wait_progress(loads, 1000, seconds=90)
    cluster.network.lose(3, 2, 20)
    cluster.wait_progress(loads, 1000, seconds=90)
    cluster.network.heal()
    cluster.wait_members(loads, [1, 2, 3])
    cluster.wait_progress(loads, 500)
    cluster.drain()
    cluster.judge(least_messages=3 * 2500)


if __name__ == "__main__":
    lab.main(story, nodes=3)
