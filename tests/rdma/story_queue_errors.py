#!/usr/bin/python3
"""A node's receive queue runs empty under load and another one's queue pair goes into its error state: what is lost is
asked for again, the queue pair is made anew and found by the others, and no member is lost."""
import mmap

import failing_link
import lab
from failing_link import SLOW, VICTIM

SHORT_QUEUES = 2  # The node whose device takes few requests.
QUEUE_MAX = 16


def story(cluster):
    network, hosts = cluster.network, cluster.hosts
    order = network.folder / "order"
    order.write_bytes(bytes(1))
    order.chmod(0o666)
    library = {"LD_PRELOAD": str(cluster.build / "lib" / "rdma_faults.so")}
    cluster.engine.environment_of = {
        hosts[VICTIM].name: {**library, "HALO_RDMA_FAULTS": str(order)},
        hosts[SHORT_QUEUES].name: {**library, "HALO_RDMA_QUEUE_MAX": str(QUEUE_MAX)}}
    cluster.start()
    members = failing_link.Members(cluster, size=(64, 60000))
    told = failing_link.Told(cluster, VICTIM)
    told.works()

    log = (hosts[SHORT_QUEUES].folder / "daemon.log").read_text()
    assert f"only {QUEUE_MAX} receive buffers where 2048 are wanted" in log, log
    lab.wait_for(lambda: cluster.counters(SHORT_QUEUES, "ringd")["ring"]["messages_requested"] > 0, SLOW,
                 "losses on the node with short queues")
    assert failing_link.Told(cluster, SHORT_QUEUES).status()["usable"]
    members.progress()
    lab.step("what did not fit into the receive queue was asked for again")

    before = cluster.counters(VICTIM, "ringd")["links"]["0"]["rdma"]["queue_pairs"]
    with order.open("r+b") as file, mmap.mmap(file.fileno(), 1) as byte:
        byte[0] = 1
        told.fails("its queue pair failed")
        told.works()
    assert cluster.counters(VICTIM, "ringd")["links"]["0"]["rdma"]["queue_pairs"] == before + 1
    members.progress()
    members.judge()


if __name__ == "__main__":
    lab.main(story, **failing_link.ENGINE)
