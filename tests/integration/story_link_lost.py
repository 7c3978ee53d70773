#!/usr/bin/python3
"""Two links: the cable of one is pulled, then the other one loses all packets of a node. As long as one link of a
pair works, no member is lost; with both gone it is, and it comes back."""
import lab


def story(cluster):
    cluster.start()
    loads = cluster.load()
    cluster.wait_members(loads, [1, 2, 3])
    cluster.wait_progress(loads, 500)
    changes = [len(load.refresh().member_times) for load in loads]

    cluster.network.carrier(2, up=False, link=0)
    cluster.wait_progress(loads, 1000)
    cluster.network.carrier(2, up=True, link=0)
    cluster.wait_progress(loads, 500)
    cluster.network.isolate(3, link=1)
    cluster.wait_progress(loads, 1000)
    assert changes == [len(load.refresh().member_times) for load in loads], "a member was lost with a link left"

    cluster.network.isolate(3)
    cluster.wait_members([load for load in loads if load.host.number != 3], [1, 2])
    cluster.network.heal()
    cluster.wait_members(loads, [1, 2, 3])
    cluster.wait_progress(loads, 300)
    cluster.drain()
    cluster.judge(least_messages=3000)


if __name__ == "__main__":
    lab.main(story, nodes=3, links=2)
