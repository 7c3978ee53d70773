#!/usr/bin/python3
"""Debian's unmodified corosync-cfgtool, with all its options, prints what it prints on Corosync.

The texts are Corosync's: --engine corosync passes, too. Only sizes of packets differ.
"""
import pathlib
import re
import shutil
import sys

import lab

VETO = pathlib.Path(__file__).resolve().parent / "cfg_veto.py"
LOCAL = "Local node ID 1, transport knet\n"


def link_text(cluster, link, states):
    lines = "".join(f"\t\tnodeid: {node:10}:\t{state}\n" for node, state in enumerate(states, 1))
    return f"LINK ID {link} udp\n\taddr\t= {cluster.network.address(1, link)}\n\tstatus:\n{lines}"


def brief_text(cluster, link, states):
    return f"LINK ID {link} udp\n\taddr\t= {cluster.network.address(1, link)}\n\tstatus\t= {states}\n"


def node_text(cluster, node):
    links = "".join(f"   LINK: {link} udp ({cluster.network.address(1, link)}->{cluster.network.address(node, link)}) "
                    "enabled connected mtu: N\n" for link in range(2))
    return f"nodeid: {node} reachable\n{links}\n"


def vetoed(cluster):
    """Node 2 with a tracker that says no: -H ends with that, and with --force the node goes all the same."""
    host, environment = cluster.hosts[2], cluster.engine.environment
    log = host.folder / "veto.log"
    veto = host.start([sys.executable, VETO], log=log, env=environment)
    lab.wait_for(lambda: log.exists() and "tracking" in log.read_text(), lab.SOON, "the tracker is there")
    refused = host.run(["corosync-cfgtool", "-H"], env=environment, seconds=60)
    assert (refused.returncode, refused.stdout + refused.stderr) == (
        0, "Shutting down corosync\nCould not shutdown (error = 10)\n"), refused
    forced = host.run(["corosync-cfgtool", "-H", "--force"], env=environment, seconds=60)
    assert (forced.returncode, forced.stdout + forced.stderr) == (0, "Shutting down corosync\n"), forced
    lab.wait_for(lambda: not any(host.pids(name) for name in cluster.engine.daemons), lab.SOON, "no daemon is left on node 2")
    lab.wait_for(lambda: not veto.alive(), lab.SOON, "the tracker has ended with its node")
    assert "told 0" in log.read_text(), log.read_text()


def story(cluster):
    def tool(*options):
        result = cluster.hosts[1].run(["corosync-cfgtool", *options], env=cluster.engine.environment, seconds=60)
        return result.returncode, re.sub(r"mtu: \d+", "mtu: N", result.stdout + result.stderr)

    cluster.start()
    states = ["localhost", "connected", "connected"]
    all_up = LOCAL + link_text(cluster, 0, states) + link_text(cluster, 1, states)
    lab.wait_for(lambda: tool("-s") == (0, all_up), lab.SOON, f"-s says that all are connected; it says {tool('-s')}")
    assert tool("-s", "-b") == (0, LOCAL + brief_text(cluster, 0, "n33") + brief_text(cluster, 1, "n33")), tool("-s", "-b")
    assert tool("-n") == (0, LOCAL + node_text(cluster, 2) + node_text(cluster, 3)), tool("-n")
    assert tool("-i", "0", "-s") == (0, all_up)
    assert tool("-a", "2") == (0, f"{cluster.network.address(2)} {cluster.network.address(2, 1)}\n"), tool("-a", "2")
    assert tool("-a", "9") == (1, "Could not get node address for nodeid 9\n"), tool("-a", "9")
    assert tool("-a", "0")[0] == 1
    assert tool("-L") == (0, ""), tool("-L")
    # Refused while the nodes' cmapds are still finding together, which -s does not show.
    lab.wait_for(lambda: tool("-R") == (0, "Reloading corosync.conf...\nDone\n"), lab.SOON, f"-R reloads; it says {tool('-R')}")
    assert tool("-k", "9") == (1, "Killing node 9\nCould not kill node (error = CS_ERR_NOT_EXIST)\n"), tool("-k", "9")
    assert tool("-q")[0] == 1 and "invalid option" in tool("-q")[1]
    assert tool("-h")[0] == 0

    # A file that nobody can use: the call says so, and nothing changes.
    file = pathlib.Path(cluster.engine.file)
    text = file.read_text()
    file.write_text(text.replace("totem {\n", "totem {\n    token: x\n", 1))
    assert tool("-R") == (7, "Reloading corosync.conf...\nCould not reload configuration. "
                             "Error CS_ERR_INVALID_PARAM\n"), tool("-R")
    file.write_text(text)
    assert tool("-R")[0] == 0

    assert tool("-k", "3") == (0, "Killing node 3\n")
    states[2] = "disconnected"
    down = LOCAL + link_text(cluster, 0, states) + link_text(cluster, 1, states)
    lab.wait_for(lambda: tool("-s") == (0, down), lab.SOON, f"-s says that node 3 is away; it says {tool('-s')}")
    assert tool("-s", "-b") == (0, LOCAL + brief_text(cluster, 0, "n31") + brief_text(cluster, 1, "n31"))
    assert tool("-n") == (0, LOCAL + node_text(cluster, 2)), tool("-n")

    vetoed(cluster)
    assert tool("-H") == (0, "Shutting down corosync\n")
    lab.wait_for(lambda: tool("-s")[0] == 1, lab.SOON, "the node is down")
    lab.wait_for(lambda: not any(cluster.hosts[1].pids(name) for name in cluster.engine.daemons), lab.SOON,
                 "no daemon is left")


if __name__ == "__main__":
    if shutil.which("corosync-cfgtool") is None:
        print("SKIPPED: corosync-cfgtool is not installed (Debian package corosync)")
        sys.exit(lab.SKIP)
    lab.main(story, nodes=3, links=2, loads=False)
