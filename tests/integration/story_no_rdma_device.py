#!/usr/bin/python3
"""Without RDMA devices: a ringd that has none but RDMA links ends with one line that says what to do; beside a UDP link
it says so once and the ring forms over UDP; and one that is not asked for RDMA does not speak of it."""
import os

import lab

CANNOT_OPEN = 71  # EX_OSERR
# No kernel module, or no device at that address: what the host lacks differs, what the line must name does not.
LACKS = ("RDMA does not work on this host: load the kernel modules", "no RDMA device has the address")


def written(cluster, name, totem):
    """The cluster's configuration with more in its totem section."""
    file = cluster.network.folder / f"{name}.conf"
    file.write_text(cluster.engine.file.read_text().replace("totem {\n", "totem {\n" + totem, 1))
    return file


def about_rdma(host):
    return [line for line in (host.folder / "daemon.log").read_text().splitlines() if "rdma" in line.lower()]


def usable(cluster, number):
    status = (cluster.status(number) or {}).get("ringd", {})
    return [link["usable"] for link in status.get("links", [])]


def story(cluster):
    host = cluster.hosts[1]
    only = written(cluster, "only", "    transport: rdma\n")
    result = host.run([cluster.build / "bin/ringd", "-c", only, "--run", "/run", "--state", host.folder], seconds=lab.SOON)
    assert result.returncode == CANNOT_OPEN, result
    errors = [line for line in result.stderr.splitlines() if " ringd error: " in line]
    assert len(errors) == 1 and any(text in errors[0] for text in LACKS), result.stderr
    assert "or take the link back to UDP" in errors[0], errors

    beside = written(cluster, "beside", "    interface {\n        linknumber: 0\n        knet_transport: rdma\n    }\n")
    cluster.engine.files = {host.name: beside for host in cluster.hosts.values()}
    cluster.start()
    loads = cluster.load()
    cluster.wait_members(loads, cluster.hosts)
    cluster.wait_progress(loads, 200)
    for number, host in cluster.hosts.items():
        lines = [line for line in about_rdma(host) if "RDMA link does not work" in line]
        assert len(lines) == 1, lines
        lab.wait_for(lambda: usable(cluster, number) == [False, True], lab.SOON, f"link 1 alone on node {number}")
        cluster.stop(number)
        os.rename(host.folder / "daemon.log", host.folder / "before.log")

    cluster.engine.files = {}
    cluster.start()
    cluster.wait_members(loads, cluster.hosts)
    cluster.drain()
    cluster.judge(least_messages=3 * 200)
    for host in cluster.hosts.values():
        assert not about_rdma(host), about_rdma(host)


if __name__ == "__main__":
    lab.main(story, nodes=3, links=2)
