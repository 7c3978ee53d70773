#!/usr/bin/python3
"""Members whose addresses are IPv6 keep a silent TCP connection with each other, too; who is killed is missed, and has them again when
it is back."""
import lab
from story_lifelines import wait_lifelines


def story(cluster):
    file = cluster.engine.file
    file.write_text(file.read_text().replace("10.99.0.", "fd99:0::"))
    everywhere = {1: [2, 3], 2: [1, 3], 3: [1, 2]}
    cluster.start()
    loads = cluster.load()
    cluster.wait_members(loads, [1, 2, 3])
    wait_lifelines(cluster, everywhere)
    cluster.kill(3)
    cluster.wait_members(loads[:2], [1, 2])
    wait_lifelines(cluster, {1: [2], 2: [1]})
    assert cluster.counters(1, "ringd")["lifelines"]["hung_up"] == 1, "a death that was not heard of"
    cluster.start(3)
    cluster.wait_members(loads, [1, 2, 3])
    wait_lifelines(cluster, everywhere)
    cluster.drain()
    cluster.judge()


if __name__ == "__main__":
    lab.main(story, nodes=3)
