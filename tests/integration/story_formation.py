#!/usr/bin/python3
"""Three hosts start together: their members find each other and agree on one order."""
import lab


def story(cluster):
    cluster.start()
    loads = cluster.load()
    cluster.wait_members(loads, cluster.hosts)
    cluster.wait_progress(loads, 2000)
    cluster.drain()
    cluster.judge(least_messages=3 * 2000)


if __name__ == "__main__":
    lab.main(story, nodes=3)
