#!/usr/bin/python3
"""Three hosts form a ring over RDMA devices, a node is killed and comes back, and all deliver the same in the same order:
the shortest story, which each run of the tests has."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
import lab  # noqa: E402

SLOW = 60  # An emulated processor, and perhaps a busy one.


def link_counters(cluster, number):
    """Of link 0."""
    answer = cluster.haloctl(number, "status", "--json", "--daemon", "ringd", "--get", "counters", "--timeout", "100",
                             seconds=100)
    assert answer.returncode == 0, answer
    return json.loads(answer.stdout)["ringd"]["links"]["0"]


def story(cluster):
    nodes = list(cluster.hosts)
    cluster.start()
    loads = cluster.load(rate=40, size=(64, 4000))
    cluster.wait_members(loads, nodes, SLOW)
    lab.step("all are members")
    cluster.wait_progress(loads, 50, SLOW)
    for number, host in cluster.hosts.items():
        link = link_counters(cluster, number)
        assert link["rdma"]["sends"] > 0 and link["system_calls_sent"] == 0, link
        assert f'device="{cluster.network.device(number)} ' in (host.folder / "daemon.log").read_text()
    lab.step(f"what they send goes through their devices; of node {nodes[-1]}: {link['rdma']['sends']} datagrams, of them "
             f"{link['rdma']['sends_to_group']} to the group")
    cluster.kill(nodes[-1])
    cluster.wait_members(loads[:-1], nodes[:-1], SLOW)
    lab.step("one is killed")
    cluster.wait_progress(loads[:-1], 50, SLOW)
    cluster.start(nodes[-1])
    cluster.wait_members(loads, nodes, SLOW)
    lab.step("and back")
    cluster.wait_progress(loads, 50, SLOW)
    cluster.drain(seconds=SLOW)
    lab.step("all have everything")
    cluster.judge(least_messages=150)


if __name__ == "__main__":
    lab.main(story, nodes=3, engine="halo-rdma")
