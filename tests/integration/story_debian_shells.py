#!/usr/bin/python3
"""What Debian's unmodified pcs and crmsh say of a cluster of three with Pacemaker, and how they end, as far as they do without
pcsd, ssh and systemd. The words and exit codes are Corosync's: --engine corosync passes, too."""
import re
import shutil

import lab
import pacemaker

NODES = ("node1", "node2", "node3")
CONFIGURED = ("node1", "node2", "node3", "10.99.0.1", "10.99.0.2", "10.99.0.3")
RESOURCE = (r"service\s+\(ocf:pacemaker:Dummy\):\s+Started",)
PACEMAKER = ("partition with quorum", "3 nodes configured", r"Online: \[ node1 node2 node3 \]")
QUORUM = ("Quorum provider:  corosync_votequorum\nNodes:            3\nNode ID:          1\n",
          "Quorate:          Yes\n", "Expected votes:   3\nHighest expected: 3\nTotal votes:      3\nQuorum:           2  \n",
          "         1          1         NR node1 \\(local\\)\n         2          1         NR node2\n"
          "         3          1         NR node3\n")

# What each is to say, as regular expressions, and the exit code.
COMMANDS = {
    "pcs": {
        "status": (0, ("Cluster name: bench",) + PACEMAKER + RESOURCE),
        "status nodes both": (0, ("Corosync Nodes:\n Online: node1 node2 node3\n Offline:",)),
        "status resources": (0, RESOURCE),
        "status corosync": (0, (r"Nodeid\s+Votes\s+Name\n\s+1\s+1 node1 \(local\)\n\s+2\s+1 node2\n\s+3\s+1 node3\n",)),
        "status quorum": (0, QUORUM),
        "cluster status": (0, ("Cluster Status:",) + PACEMAKER),
        "cluster corosync": (0, CONFIGURED),
        "cluster config show": (0, ("Cluster Name: bench\nTransport: knet\n",) + CONFIGURED),
        "quorum config": (0, ("Options:",)),
        "quorum status": (0, QUORUM),
        "quorum expected-votes 3": (0, ()),
        "quorum unblock": (1, ("cluster is not waiting for nodes to establish quorum",)),
        "status qdevice net": (1, ("Quorum device 'net' is not running",)),
    },
    "crm": {
        "status": (0, PACEMAKER + RESOURCE),
        "corosync show": (0, CONFIGURED),
        "corosync get totem.cluster_name": (0, ("^bench\n",)),
        "node show": (0, tuple(rf"{name}\(\d\): member" for name in NODES)),
        "resource status": (0, RESOURCE),
        "configure show": (0, NODES + ("primitive service ocf:pacemaker:Dummy", "cluster-infrastructure=corosync")),
        "corosync reload": (0, ()),
    },
}


def missing(engine):
    for shell in COMMANDS:
        if not shutil.which(shell):
            return f"needs {shell} (Debian packages pcs, crmsh)"
    return pacemaker.missing(engine)


def check(stack, shell, command, code, words):
    told = stack.run(1, [shell, *command.split()], seconds=200, check=False)  # A second each, on a quiet machine.
    text = told.stdout if code == 0 else told.stdout + told.stderr
    assert told.returncode == code, f"{shell} {command}: {told.returncode}, not {code}: {told.stdout}{told.stderr}"
    for word in words:
        assert re.search(word, text), f"{shell} {command}: no '{word}' in: {text}"


def tell(stack):
    stack.start()
    stack.wait_online([1, 2, 3])
    stack.wait_where(1, "service", NODES)
    for shell, commands in COMMANDS.items():
        for command, (code, words) in commands.items():
            check(stack, shell, command, code, words)
        print(f"{shell}: {len(commands)} commands")


def story(cluster):
    for host in cluster.hosts.values():
        # Both read Corosync's file, and pcs hands no environment on.
        host.run(["sh", "-ec", f"mkdir -p /etc/corosync; mount -t tmpfs tmpfs /etc/corosync; "
                  f"cp {cluster.engine.file} /etc/corosync/corosync.conf"], check=True)
        cluster.engine.prefer_libraries(host)
    cluster.start()
    with pacemaker.running(cluster) as stack:
        for number in cluster.hosts:
            stack.preset(number, {"stonith-enabled": "false", "dc-deadtime": "3s"}, pacemaker.DUMMY.format(name="service"))
        tell(stack)


if __name__ == "__main__":
    lab.main(story, nodes=3, loads=False, missing=missing)
