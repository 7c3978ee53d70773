#!/usr/bin/python3
"""Three hosts form a ring over RDMA devices: bursts go to the group, a node is killed, cut off and comes back, packets
are lost, a device is pulled out under load and a cable with it. All deliver the same in the same order."""
import story_ring
import lab

SLOW = 60  # An emulated processor, and perhaps a busy one.


def rdma_counters(cluster, number):
    return story_ring.link_counters(cluster, number)["rdma"]


def story(cluster):
    network = cluster.network
    cluster.start()
    loads = cluster.load(rate=60)
    cluster.wait_members(loads, [1, 2, 3], SLOW)
    cluster.wait_progress(loads, 300, SLOW)
    for number in cluster.hosts:
        link = lab.wait_for(lambda: (cluster.status(number) or {}).get("ringd"), SLOW, "status of ringd")["links"][0]
        assert link["usable"] and link["rdma"]["device"].startswith(network.device(number)), link
        assert link["rdma"]["datagram_bytes"] == 4096, link
    lab.wait_for(lambda: rdma_counters(cluster, 1)["sends_to_group"] > 100, SLOW, "bursts to the group")
    lab.step("three members, bursts to the group")

    cluster.kill(3)
    cluster.wait_members(loads[:2], [1, 2], SLOW)
    lab.step("one killed")
    cluster.start(3)
    cluster.wait_members(loads, [1, 2, 3], SLOW)
    lab.step("and back")

    network.isolate(2)
    cluster.wait_members([loads[0], loads[2]], [1, 3], SLOW)
    lab.step("one cut off")
    network.heal()
    cluster.wait_members(loads, [1, 2, 3], SLOW)
    lab.step("and back")

    network.lose(1, 2, 20)
    cluster.wait_progress(loads, 200, SLOW)
    network.heal()
    lab.step("a fifth of the packets lost")

    network.remove_device(1)
    cluster.wait_members(loads[1:], [2, 3], SLOW)
    lab.step("a device removed")
    network.add_device(1)
    cluster.wait_members(loads, [1, 2, 3], SLOW)
    lab.step("and back")
    network.carrier(2, up=False)
    cluster.wait_members([loads[0], loads[2]], [1, 3], SLOW)
    lab.step("a cable pulled")
    network.carrier(2, up=True)
    cluster.wait_members(loads, [1, 2, 3], SLOW)
    lab.step("and back")
    assert rdma_counters(cluster, 1)["queue_pairs"] >= 2

    cluster.wait_progress(loads, 100, SLOW)
    cluster.drain(seconds=SLOW)
    cluster.judge(least_messages=1000)


if __name__ == "__main__":
    lab.main(story, nodes=3, engine="halo-rdma")
