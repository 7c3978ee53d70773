#!/usr/bin/python3
"""Debian's unmodified booth between two sites and an arbitrator. Each site is a cluster of its own, of one node, with Debian's
Pacemaker: the site that has the ticket runs the resource, restarts of the engine's daemons change nothing, and when the
site is gone the ticket, and with it the resource, comes up at the other one."""
import re
import shutil

import lab
import pacemaker

SITES, ARBITRATOR = (1, 2), 3
TICKET = "shop"
CONSTRAINT = f'<rsc_ticket id="only-with-{TICKET}" rsc="service" ticket="{TICKET}" loss-policy="stop"/>'
# The lease in seconds: longer than any pause of a busy machine, since a site that cannot renew it loses it.
EXPIRE = 15


def missing(engine):
    return pacemaker.missing(engine) or (None if shutil.which("boothd") else "needs Debian's package booth")


def without_ipv6(cluster):
    """Since Linux 6.9 the end of a list of IPv6 addresses may come in the same packet as the last of them; the booth of
    Debian 12 (1.0-283) waits for it for ever, whatever runs beside it. github.com/ClusterLabs/booth/pull/139"""
    for host in cluster.hosts.values():
        host.run(["sh", "-ec", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"], check=True)


def make_sites(cluster):
    """Each site's file has its own node alone."""
    text = cluster.engine.file.read_text()
    nodes = re.findall(r"    node \{.*?\n    \}\n", text, re.DOTALL)
    for number in SITES:
        path = cluster.network.folder / f"site{number}.conf"
        path.write_text(re.sub(r"nodelist \{\n.*?\n\}\n", "nodelist {\n" + nodes[number - 1] + "}\n", text, flags=re.DOTALL))
        cluster.engine.files[cluster.hosts[number].name] = path


def start_pacemaker(stack):
    for number in SITES:
        stack.preset(number, {"stonith-enabled": "false", "no-quorum-policy": "ignore", "dc-deadtime": "2s"},
                     pacemaker.DUMMY.format(name="service"), CONSTRAINT)
    stack.start(*SITES)
    for number in SITES:
        stack.wait_online([number])


def start_booth(cluster, environment):
    path = cluster.network.folder / "booth.conf"
    address = cluster.network.address
    path.write_text('transport="UDP"\nport="9929"\n' + f'arbitrator="{address(ARBITRATOR)}"\n'
                    + "".join(f'site="{address(number)}"\n' for number in SITES)
                    + f'ticket="{TICKET}"\n    expire = {EXPIRE}\n    timeout = 1\n    retries = 3\n    renewal-freq = {EXPIRE // 3}\n')
    for host in cluster.hosts.values():
        host.run(["mkdir", "-p", "/run/booth"], check=True)
        host.start(["boothd", "daemon", "-D", "-S", "-c", path], log=host.folder / "booth.log", env=environment)
    return path


def granted(stack, number):
    told = stack.run(number, ["crm_ticket", "--ticket", TICKET, "--get-attr", "granted", "--quiet"], check=False)
    return told.stdout.strip() == "true"


def restart_daemons(cluster, number):
    for daemon in ("cpgd", "cmapd", "quorumd", "ringd"):
        old = cluster.daemon_pid(number, daemon)
        cluster.kill_daemon(number, daemon)
        lab.wait_for(lambda: cluster.daemon_pid(number, daemon, other_than=old), lab.SOON, f"{daemon} runs again")


def tell(cluster, stack):
    start_pacemaker(stack)
    path = start_booth(cluster, stack.environment)
    first, second = SITES
    grant = ["boothd", "grant", "-c", path, "-s", cluster.network.address(first), TICKET]
    lab.wait_for(lambda: stack.run(first, grant, check=False).returncode == 0, 60, "the ticket is granted")
    lab.wait_for(lambda: granted(stack, first), 60, "site 1 knows that it has the ticket")
    stack.wait_where(first, "service", ("node1",))
    assert not granted(stack, second) and stack.where(second, "service") is None, "both sites have it"
    if cluster.engine.name.startswith("halo"):
        with pacemaker.same_start(cluster, first, "service"):
            restart_daemons(cluster, first)
            stack.wait_where(first, "service", ("node1",))
        assert granted(stack, first), "a restart took the ticket"
    stack.power_off(first)
    lab.wait_for(lambda: granted(stack, second), 120, "site 2 has the ticket")
    stack.wait_where(second, "service", ("node2",))


def story(cluster):
    without_ipv6(cluster)
    make_sites(cluster)
    cluster.start(*SITES)
    with pacemaker.running(cluster) as stack:
        tell(cluster, stack)


if __name__ == "__main__":
    lab.main(story, nodes=3, loads=False, missing=missing)
