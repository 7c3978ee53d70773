#!/usr/bin/python3
"""Under load a node is added and starts, a link is added, the key changes, a node is taken out: no ring is lost."""
import os
import pathlib

import lab


def nodelist(cluster, numbers, links):
    text = "nodelist {\n"
    for number in numbers:
        text += f"node {{\n nodeid: {number}\n name: {cluster.hosts[number].name}\n"
        text += "".join(f" ring{link}_addr: {cluster.network.address(number, link)}\n" for link in range(links))
        text += "}\n"
    return text + "}\n"


def story(cluster):
    folder = pathlib.Path(cluster.network.folder)
    keys = [folder / "key", folder / "key2"]
    keys[1].write_bytes(os.urandom(256))
    keys[1].chmod(0o400)
    if cluster.engine.runs_as_users():  # Who runs reads its new key itself.
        os.chown(keys[1], cluster.engine.USERS["halo-ringd"], -1)

    def write(numbers, links=1, key=keys[0]):
        cluster.engine.file.write_text(
            f"totem {{\n version: 2\n cluster_name: bench\n keyfile: {key}\n}}\n"
            + nodelist(cluster, numbers, links) + "logging {\n to_stderr: yes\n to_syslog: no\n}\n")

    def reload(number):
        result = cluster.haloctl(number, "reload", seconds=60)
        assert result.returncode == 0, result.stdout + result.stderr

    def everywhere(number, what, condition):
        def holds():
            status = cluster.status(number)
            return status and condition(status["ringd"])
        lab.wait_for(holds, lab.SOON, f"node {number}: {what}")

    def wait_ready(number, nodes):
        everywhere(number, f"cmapd on {nodes}", lambda ringd: any(
            c["name"] == "cmap" and [m["node"] for m in c["members"]] == nodes for c in ringd["channels"]))

    write([1, 2])
    cluster.start(1, 2)
    loads = cluster.load(1, 2, rate=50)
    cluster.wait_members(loads, [1, 2])
    wait_ready(1, [1, 2])
    ring = cluster.status(1)["ringd"]["ring"]

    write([1, 2, 3])
    reload(1)
    assert cluster.status(1)["ringd"]["ring"] == ring, "adding a node to the list broke the ring"
    cluster.start(3)
    third = cluster.load(3, rate=50)
    cluster.wait_members(loads + third, [1, 2, 3])
    for number in (1, 2, 3):
        wait_ready(number, [1, 2, 3])
    ring = cluster.status(1)["ringd"]["ring"]

    write([1, 2, 3], links=2)
    reload(2)
    for number in (1, 2, 3):
        everywhere(number, "the second link works", lambda ringd: len(ringd["links"]) == 2 and all(
            len(peer["links"]) == 2 and all(link["up"] for link in peer["links"]) for peer in ringd["peers"]))
    write([1, 2, 3], links=2, key=keys[1])
    reload(3)
    cluster.wait_progress(loads + third, 100)
    assert cluster.status(1)["ringd"]["ring"] == ring, "a link or a key broke the ring"

    # A node that is still there cannot be taken out of the list.
    write([1, 2], links=2, key=keys[1])
    result = cluster.haloctl(1, "reload", seconds=60)
    assert result.returncode != 0 and "node 3" in result.stderr, result.stdout + result.stderr
    cluster.drain()
    cluster.judge()
    cluster.stop(3)
    wait_ready(1, [1, 2])
    reload(1)
    everywhere(1, "node 3 is gone", lambda ringd: [peer["node"] for peer in ringd["peers"]] == [2])


if __name__ == "__main__":
    lab.main(story, nodes=3, links=2)
