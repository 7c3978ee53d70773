#!/usr/bin/python3
"""A whole host stops (SIGSTOP, as a suspended machine), shortly and then for long, and goes on: the
others work without it, and it finds its way back without harm to them."""
import lab


def story(cluster):
    cluster.start()
    loads = cluster.load()
    cluster.wait_members(loads, [1, 2, 3])
    cluster.wait_progress(loads, 500)

    # Shorter than any time-out: whether it is removed is not said here, that nothing is lost is.
    cluster.freeze(2)
    lab.pause(0.2)
    cluster.thaw(2)
    cluster.wait_members(loads, [1, 2, 3])
    cluster.wait_progress(loads, 500)

    others = [load for load in loads if load.host.number != 2]
    cluster.freeze(2)
    cluster.wait_members(others, [1, 3])
    cluster.wait_progress(others, 500)
    cluster.thaw(2)
    cluster.wait_members(loads, [1, 2, 3])
    cluster.wait_progress(loads, 500)
    cluster.drain()
    cluster.judge(least_messages=3 * 1000)


if __name__ == "__main__":
    lab.main(story, nodes=3)
