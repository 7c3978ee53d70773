"""A client of quorumd and cmapd on each node, which nothing may disturb."""

import json
import pathlib
import subprocess

import lab

HERE = pathlib.Path(__file__).resolve().parent


class ServiceLoad:
    """A client of quorumd and cmapd on each node (service_load.py)."""

    def __init__(self, cluster):
        self.paths = {number: host.folder / "service_load.log" for number, host in cluster.hosts.items()}
        self.processes = [host.start(["/usr/bin/python3", "-B", HERE / "service_load.py", self.paths[number]],
                                     stdin=subprocess.PIPE, log=host.folder / "service_load.err",
                                     env=cluster.engine.environment) for number, host in cluster.hosts.items()]
        lab.wait_for(lambda: all(self.told(number, "ready") for number in self.paths), lab.SOON, "clients of the services")

    def told(self, number, key):
        path = self.paths[number]
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in map(json.loads, lines) if key in line]

    def longest(self, number, service, since):
        return max((line["ended"] - line["began"] for line in self.told(number, "ended")
                    if line["service"] == service and line["ended"] >= since), default=0.0)

    def judge(self):
        for process in self.processes:
            process.stdin.write(b"end\n")
            process.stdin.flush()
        for process in self.processes:
            assert process.wait(lab.SOON) == 0, "a client of the services failed"
        for number in self.paths:
            assert not self.told(number, "error"), f"node {number}: {self.told(number, 'error')}"
            quorum = self.told(number, "quorate")
            assert all(line == quorum[0] for line in quorum) and quorum[0]["quorate"] == 1, f"node {number}: {quorum}"
            done = self.told(number, "done")[0]["done"]
            assert done["cmap"]["answered"] == done["cmap"]["value"], f"node {number}: {done}"
            print(f"node {number}: {done}")
