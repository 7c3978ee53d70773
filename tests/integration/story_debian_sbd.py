#!/usr/bin/python3
"""Debian's unmodified sbd watches the cluster through libcmap and libvotequorum, without a disk and without a watchdog,
which this kernel may lack: its watchers live on, also over a restart of what they are connected to."""
import pathlib
import shutil

import lab


def missing(_engine):
    return None if shutil.which("sbd") else "needs Debian's package sbd"


def watchers(host):
    """{what is watched: pid}, by the titles that sbd gives its processes."""
    found = {}
    for pid in host.pids("sbd"):
        try:
            title = pathlib.Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
        except FileNotFoundError:
            continue
        if title.startswith("sbd: "):
            found[title.removeprefix("sbd: ").removeprefix("watcher: ")] = pid
    return found


def story(cluster):
    cluster.start()
    loads = cluster.load()
    cluster.wait_members(loads, [1, 2, 3])
    for host in cluster.hosts.values():
        # What it does to a machine that is not well must not come to this one.
        if pathlib.Path("/proc/sysrq-trigger").exists():
            host.run(["mount", "--bind", "/dev/null", "/proc/sysrq-trigger"], check=True)
        host.start(["sbd", "-W", "-W", "-n", host.name, "-p", "/run/sbd.pid", "watch"], log=host.folder / "sbd.log",
                   env=cluster.engine.environment)
    begun = {}
    for number, host in cluster.hosts.items():
        lab.wait_for(lambda: "Cluster" in watchers(host), lab.SOON, f"sbd of node {number} watches the cluster")
        begun[number] = watchers(host)
    print(begun[1])
    if cluster.engine.name.startswith("halo"):
        for daemon in ("quorumd", "cmapd"):
            old = cluster.daemon_pid(1, daemon)
            cluster.kill_daemon(1, daemon)
            lab.wait_for(lambda: cluster.daemon_pid(1, daemon, other_than=old), lab.SOON, f"{daemon} runs again")
    cluster.wait_progress(loads, 4000)  # Some seconds; sbd asks each second.
    for number, host in cluster.hosts.items():
        assert watchers(host) == begun[number], f"node {number}: {begun[number]} have become {watchers(host)}"
    cluster.drain()
    cluster.judge()


if __name__ == "__main__":
    lab.main(story, nodes=3, missing=missing)
