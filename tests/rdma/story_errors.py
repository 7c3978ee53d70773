#!/usr/bin/python3
"""What the person at the keyboard is told when the RDMA link of a running node fails, and what to do: a line of the log
for each cause, the same in the status, and another line when it works again. UDP carries the ring meanwhile, and no
member is lost."""
import mmap
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
import lab  # noqa: E402

SLOW = 60
VICTIM, SHORT_QUEUES = 1, 2  # Nodes: one whose link fails, and one whose device takes few requests.
QUEUE_MAX = 16


class Told:
    """The lines of a node's log about its RDMA links, each looked at once."""

    def __init__(self, cluster, number, loads):
        self._cluster, self._number, self._loads = cluster, number, loads
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
        line = lab.wait_for(lambda: self._new("RDMA link does not work", words), SLOW, f"a line with {words}")
        print(line, flush=True)

    def says_why(self, *words):
        lab.wait_for(lambda: all(word in (self.status() or {}).get("rdma", {}).get("problem", "") for word in words),
                     SLOW, f"a status with {words}")
        self._cluster.wait_progress(self._loads, 50, SLOW)

    def works(self):
        print(lab.wait_for(lambda: self._new("RDMA link works", ()), SLOW, "the link works again"), flush=True)
        lab.wait_for(lambda: (self.status() or {"usable": False})["usable"], SLOW, "a status that says so")


def story(cluster):
    network, host = cluster.network, cluster.hosts[VICTIM]
    order = network.folder / "order"
    order.write_bytes(bytes(1))
    order.chmod(0o666)
    library = {"LD_PRELOAD": str(cluster.build / "lib" / "rdma_faults.so")}
    cluster.engine.environment_of = {
        host.name: {**library, "HALO_RDMA_FAULTS": str(order)},
        cluster.hosts[SHORT_QUEUES].name: {**library, "HALO_RDMA_QUEUE_MAX": str(QUEUE_MAX)}}
    cluster.start()
    loads = cluster.load(rate=100, size=(64, 8000))
    cluster.wait_members(loads, [1, 2, 3], SLOW)
    told = Told(cluster, VICTIM, loads)
    told.works()
    changes = [len(load.refresh().member_times) for load in loads]

    # Receive queue exhausted: of a burst that is longer than its queue a node loses the rest, and asks for it again.
    log = (cluster.hosts[SHORT_QUEUES].folder / "daemon.log").read_text()
    assert f"only {QUEUE_MAX} receive buffers where 2048 are wanted" in log, log
    lab.wait_for(lambda: cluster.counters(SHORT_QUEUES, "ringd")["ring"]["messages_requested"] > 0, SLOW,
                 "losses on the node with short queues")
    assert Told(cluster, SHORT_QUEUES, loads).status()["usable"]

    with order.open("r+b") as file, mmap.mmap(file.fileno(), 1) as byte:
        byte[0] = 1
        told.fails("its queue pair failed")
        told.works()

    network.carrier(VICTIM, up=False, link=0)
    told.fails("port down")
    told.says_why("port down")
    network.carrier(VICTIM, up=True, link=0)
    told.works()

    network.set_mtu(VICTIM, 576, link=0)
    told.fails("carries datagrams of 256 bytes", "raise the MTU of its interface to 1500 or more")
    told.says_why("raise the MTU")
    network.set_mtu(VICTIM, 4200, link=0)
    told.works()

    network.remove_device(VICTIM, link=0)
    told.fails("it was removed")
    told.fails("no RDMA device has the address", "rdma link")
    told.says_why("no RDMA device has the address")
    network.add_device(VICTIM, link=0)
    told.works()

    assert changes == [len(load.refresh().member_times) for load in loads], "a member was lost with a link left"
    cluster.drain(seconds=SLOW)
    cluster.judge(least_messages=500)


if __name__ == "__main__":
    lab.main(story, nodes=3, links=2, engine="halo-mixed")
