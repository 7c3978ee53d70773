#!/usr/bin/python3
"""Messages from some bytes to three megabytes, while a node is killed and comes back."""
import lab


def story(cluster):
    cluster.start()
    loads = cluster.load(rate=10, size=(64, 3_000_000)) + cluster.load(group="small", rate=100)
    cluster.wait_members(loads, [1, 2, 3])
    cluster.wait_progress(loads, 60, seconds=90)
    survivors = [load for load in loads if load.host.number != 3]
    cluster.kill(3)
    cluster.wait_members(survivors, [1, 2])
    cluster.wait_progress(survivors, 30, seconds=90)
    cluster.start(3)
    cluster.wait_members(loads, [1, 2, 3])
    cluster.wait_progress(loads, 30, seconds=90)
    cluster.drain([load for load in loads if "small" not in load.name], seconds=90)
    cluster.drain([load for load in loads if "small" in load.name])
    cluster.judge(least_messages=500)


if __name__ == "__main__":
    lab.main(story, nodes=3)
