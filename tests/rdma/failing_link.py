"""What the stories of failing RDMA links share: what the person at the keyboard is told (a line of the log for each cause,
the same in the status, and another line when it works again), while UDP carries the ring and no member is lost."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
import lab  # noqa: E402

SLOW = 60  # An emulated processor, and perhaps a busy one.
VICTIM = 1  # The node whose link fails.
ENGINE = {"nodes": 3, "links": 2, "engine": "halo-mixed"}


class Told:
    """The lines of a node's log about its RDMA links, each looked at once."""

    def __init__(self, cluster, number):
        self._cluster, self._number = cluster, number
        self._seen = 0

    def _new(self, event, words):
        text = (self._cluster.hosts[self._number].folder / "daemon.log").read_text()
        found = [line for line in text[self._seen:].splitlines(keepends=True)
                 if event in line and all(word in line for word in words)]
        if not found or not found[0].endswith("\n"):
            return None
        self._seen += text[self._seen:].index(found[0]) + len(found[0])
        return found[0].strip()

    def status(self):
        answer = self._cluster.status(self._number) or {}
        return answer["ringd"]["links"][0] if "ringd" in answer else None

    def fails(self, *words):
        lab.step(lab.wait_for(lambda: self._new("RDMA link does not work", words), SLOW, f"a line with {words}"))

    def says_why(self, *words):
        lab.wait_for(lambda: all(word in (self.status() or {}).get("rdma", {}).get("problem", "") for word in words),
                     SLOW, f"a status with {words}")

    def works(self):
        lab.step(lab.wait_for(lambda: self._new("RDMA link works", ()), SLOW, "the link works again"))
        lab.wait_for(lambda: (self.status() or {"usable": False})["usable"], SLOW, "a status that says so")


class Members:
    """One on each node, under load; none may be lost."""

    def __init__(self, cluster, size=(64, 2000)):
        self._cluster = cluster
        self._loads = cluster.load(rate=40, size=size)
        cluster.wait_members(self._loads, list(cluster.hosts), SLOW)
        self._changes = self._count_changes()
        lab.step("all are members")

    def _count_changes(self):
        return [len(load.refresh().member_times) for load in self._loads]

    def progress(self):
        self._cluster.wait_progress(self._loads, 30, SLOW)

    def judge(self):
        assert self._changes == self._count_changes(), "a member was lost with a link left"
        self._cluster.drain(seconds=SLOW)
        self._cluster.judge(least_messages=100)
