#!/usr/bin/python3
"""Debian's unmodified Pacemaker forms a cluster of three: its daemons are not root, resources run, move, leave a
standby node; a node that is killed is fenced and its resource runs elsewhere; the node comes back."""
import pathlib
import pwd
import re
import shutil

import lab
import pacemaker


def check_users(host):
    uid = pwd.getpwnam(pacemaker.USER).pw_uid
    for name in ("pacemaker-based", "pacemaker-attrd", "pacemaker-schedulerd", "pacemaker-controld"):
        pids = host.pids(name[:15])
        assert pids, f"{name} does not run on {host.name}"
        seen = re.search(r"^Uid:\s*(\d+)", pathlib.Path(f"/proc/{pids[0]}/status").read_text(), re.MULTILINE).group(1)
        assert int(seen) == uid, f"{name} runs as {seen}"


def check_status_tools(stack):
    """What people look at names all nodes, on each of them; those tools that are installed."""
    tools = [command for command in (["crm_mon", "-1"], ["crm", "status"], ["pcs", "status", "nodes"], ["pcs", "status", "resources"])
             if shutil.which(command[0])]
    for command in tools:
        told = stack.run(1, command, check=False)
        assert told.returncode == 0, f"{command}: {told.returncode} {told.stdout}{told.stderr}"
        wanted = ["service"] if command[-1] == "resources" else ["node1", "node2", "node3"]
        assert all(word in told.stdout for word in wanted), f"{command}: {told.stdout}"
    print("status by", ", ".join(" ".join(command) for command in tools))


def story(cluster):
    cluster.start()
    with pacemaker.running(cluster) as stack:
        tell(cluster, stack)


def tell(cluster, stack):
    stack.start()
    stack.wait_online([1, 2, 3])
    for host in cluster.hosts.values():
        check_users(host)
    stack.configure(1, "stonith-enabled=true", "stonith-timeout=60s", "dc-deadtime=5s",
                    resources="<resources>" + pacemaker.FENCING + pacemaker.DUMMY.format(name="service") + "</resources>")
    stack.run(1, ["crm_attribute", "--type", "rsc_defaults", "--name", "resource-stickiness", "--update", "100"])
    everywhere = ("node1", "node2", "node3")
    home = stack.wait_where(1, "service", everywhere)
    check_status_tools(stack)

    target = next(name for name in everywhere if name != home)
    stack.run(1, ["crm_resource", "--move", "--resource", "service", "--node", target])
    stack.wait_where(1, "service", (target,))
    stack.run(1, ["crm_resource", "--clear", "--resource", "service"])
    stack.run(1, ["crm_attribute", "--node", target, "--name", "standby", "--update", "on", "--type", "nodes"])
    others = tuple(name for name in everywhere if name != target)
    home = stack.wait_where(1, "service", others)
    stack.run(1, ["crm_attribute", "--node", target, "--name", "standby", "--delete", "--type", "nodes"])

    victim = next(n for n, host in cluster.hosts.items() if host.name == home)
    watcher = next(n for n in cluster.hosts if n != victim)
    stack.power_off(victim)
    survivors = tuple(name for name in everywhere if name != home)
    lab.wait_for(lambda: stack.fenced, 120, f"{home} is fenced")
    stack.wait_where(watcher, "service", survivors)
    assert stack.fenced == [home], f"fenced: {stack.fenced}"

    cluster.start(victim)
    stack.start(victim)
    stack.wait_online([1, 2, 3])
    print(f"{home} was killed, fenced and is back; the service runs on {stack.where(watcher, 'service')}")


if __name__ == "__main__":
    lab.main(story, nodes=3, loads=False, missing=pacemaker.missing)
