#!/usr/bin/python3
"""A node may lock less memory than its RDMA link needs: it says how much is needed and which limit to raise, UDP carries the
ring, and the link works as soon as the limit is raised, with no restart; no member is lost."""
import subprocess

import failing_link
import lab
from failing_link import VICTIM

LIMIT = 1 << 20
# As a service with this limit. Root would raise it again without these being taken from it.
LIMITED = ["setpriv", "--bounding-set", "-sys_resource,-ipc_lock", "--inh-caps", "-sys_resource,-ipc_lock", "--",
           "prlimit", f"--memlock={LIMIT}:{LIMIT}", "--"]


def story(cluster):
    cluster.engine.started_by = {cluster.hosts[VICTIM].name: LIMITED}
    cluster.start()
    members = failing_link.Members(cluster)
    told = failing_link.Told(cluster, VICTIM)
    told.fails("bytes of locked memory and the limit is", f"{LIMIT} bytes: raise LimitMEMLOCK")
    told.says_why("raise LimitMEMLOCK")
    members.progress()
    subprocess.run(["prlimit", "--pid", str(cluster.daemon_pid(VICTIM, "ringd")), f"--memlock={64 << 20}:{64 << 20}"],
                   check=True)
    told.works()
    members.progress()
    members.judge()


if __name__ == "__main__":
    lab.main(story, **failing_link.ENGINE)
