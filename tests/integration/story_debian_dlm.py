#!/usr/bin/python3
"""Debian's unmodified dlm_controld finds its cluster, its node and the others by the libraries. Where the kernel has no
DLM it says so and ends, on either engine."""
import pathlib
import shutil

import lab


def missing(_engine):
    return None if shutil.which("dlm_controld") else "needs Debian's package dlm-controld"


def story(cluster):
    cluster.start()
    loads = cluster.load()
    cluster.wait_members(loads, [1, 2, 3])
    for number, host in cluster.hosts.items():
        log = host.folder / "dlm.log"
        dlm = host.start(["dlm_controld", "-D"], log=log, env=cluster.engine.environment)

        def said(what):
            return what in (log.read_text(errors="replace") if log.exists() else "")
        for what in [f"our_nodeid {number}"] + [f"node_config {node}" for node in cluster.hosts]:
            lab.wait_for(lambda: said(what), lab.SOON, f"dlm_controld of node {number} says '{what}'")
        if pathlib.Path("/sys/kernel/config/dlm").exists():
            assert dlm.alive(), log.read_text()
        else:
            dlm.wait(lab.SOON)
            assert said("Is dlm missing from kernel?"), log.read_text()
            print(f"node {number}: the kernel has no DLM, and dlm_controld says so")
    cluster.wait_progress(loads, 100)
    cluster.drain()
    cluster.judge()


if __name__ == "__main__":
    lab.main(story, nodes=3, missing=missing)
