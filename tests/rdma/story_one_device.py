#!/usr/bin/python3
"""Two links are two addresses of one RDMA device: the ring goes on over either, both are lost with the device, and both
work again when it is back."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
import lab  # noqa: E402

SLOW = 60  # An emulated processor, and perhaps a busy one.


def usable(cluster, number):
    """Its links that are."""
    status = (cluster.status(number) or {}).get("ringd")
    return [] if status is None else [link["usable"] for link in status["links"]]


def story(cluster):
    network = cluster.network
    cluster.start()
    loads = cluster.load(rate=40)
    cluster.wait_members(loads, [1, 2, 3], SLOW)
    for number in cluster.hosts:
        lab.wait_for(lambda number=number: usable(cluster, number) == [True, True], SLOW, "two links that work")
        log = (cluster.hosts[number].folder / "daemon.log").read_text()
        for link in (0, 1):
            assert f'RDMA link works link={link} device="{network.device(number)} ' in log, log
    lab.step("three members, two links on each device")
    changes = [len(load.refresh().member_times) for load in loads]
    for link in (0, 1):
        for number in cluster.hosts:
            network.isolate(number, link=link)
        cluster.wait_progress(loads, 100, SLOW)
        lab.step(f"link {link} is cut: on over the other one")
        network.heal()
        cluster.wait_progress(loads, 100, SLOW)
    assert changes == [len(load.refresh().member_times) for load in loads], "a member was lost with a link left"

    network.remove_device(1)
    cluster.wait_members(loads[1:], [2, 3], SLOW)
    lab.wait_for(lambda: usable(cluster, 1) == [False, False], SLOW, "both links of node 1 are lost")
    lab.step("the device is removed")
    network.add_device(1)
    cluster.wait_members(loads, [1, 2, 3], SLOW)
    lab.wait_for(lambda: usable(cluster, 1) == [True, True], SLOW, "both links of node 1 are back")
    lab.step("and back")
    cluster.wait_progress(loads, 100, SLOW)
    cluster.drain(seconds=SLOW)
    cluster.judge(least_messages=300)


if __name__ == "__main__":
    lab.main(story, nodes=3, links=2, engine="halo-rdma-one-device")
