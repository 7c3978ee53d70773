#!/usr/bin/python3
"""Link 0 over RDMA devices, link 1 over UDP: whichever fails, the other one carries on and no member is lost."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
import lab  # noqa: E402

SLOW = 60


def usable(cluster, number, link):
    status = (cluster.status(number) or {}).get("ringd")
    return status is not None and status["links"][link]["usable"]


def story(cluster):
    network = cluster.network
    cluster.start()
    loads = cluster.load(rate=60)
    cluster.wait_members(loads, [1, 2, 3], SLOW)
    cluster.wait_progress(loads, 200, SLOW)
    lab.step("three members")
    changes = [len(load.refresh().member_times) for load in loads]

    network.remove_device(1, link=0)                    # RDMA to UDP: the device goes ...
    lab.wait_for(lambda: not usable(cluster, 1, 0), SLOW, "link 0 of node 1 is lost")
    cluster.wait_progress(loads, 200, SLOW)
    lab.step("a device removed: on over UDP")
    network.add_device(1, link=0)
    lab.wait_for(lambda: usable(cluster, 1, 0), SLOW, "link 0 of node 1 is back")
    lab.step("and back")
    for number in cluster.hosts:                        # UDP to RDMA
        network.isolate(number, link=1)
    cluster.wait_progress(loads, 200, SLOW)
    lab.step("UDP cut: on over RDMA")
    network.heal()
    cluster.wait_progress(loads, 200, SLOW)
    for number in cluster.hosts:                        # ... and packets vanish, with no other sign.
        network.isolate(number, link=0)
    cluster.wait_progress(loads, 200, SLOW)
    lab.step("packets of the RDMA link vanish: on over UDP")
    network.heal()
    assert changes == [len(load.refresh().member_times) for load in loads], "a member was lost with a link left"
    cluster.drain(seconds=SLOW)
    cluster.judge(least_messages=1000)


if __name__ == "__main__":
    lab.main(story, nodes=3, links=2, engine="halo-mixed")
