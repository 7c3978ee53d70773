#!/usr/bin/python3
"""A node is killed with a reason and says so; a shutdown stops the whole node in order."""
import lab


def story(cluster):
    cluster.start()
    loads = cluster.load(1, 2, reconnect=False)
    cluster.wait_members(loads, [1, 2])

    def ready(number, nodes):
        def holds():
            status = cluster.status(number)
            return status and any(c["name"] == "cmap" and [m["node"] for m in c["members"]] == nodes
                                  for c in status["ringd"]["channels"])
        lab.wait_for(holds, lab.SOON, f"cmapd on {nodes}")

    ready(1, [1, 2, 3])
    addresses = cluster.haloctl(1, "node", "addresses", "3")
    assert addresses.stdout.split() == [cluster.network.address(3)], addresses
    assert cluster.haloctl(1, "node", "kill", "7").returncode == 1
    assert cluster.haloctl(1, "node", "kill", "3", "--reason", "does not answer").returncode == 0
    supervisor = cluster._supervisors.pop(3)
    assert supervisor.wait(lab.SOON) == 81, "the exit status says that the node was killed"
    log = (cluster.hosts[3].folder / "daemon.log").read_text()
    line = next(l for l in log.splitlines() if "killed by a node of the cluster" in l)
    assert "by=1" in line and 'reason="does not answer"' in line, line
    ready(1, [1, 2])
    cluster.wait_progress(loads, 100)

    assert cluster.haloctl(2, "shutdown").returncode == 0
    assert cluster._supervisors.pop(2).wait(lab.SOON) == 0, "a shutdown is no failure"
    for program in cluster.engine.daemons:
        assert not cluster.hosts[2].pids(program), f"{program} outlived the shutdown"
    cluster.wait_members(loads[:1], [1])
    cluster.drain(loads[:1])


if __name__ == "__main__":
    lab.main(story, nodes=3)
