#!/usr/bin/python3
"""A node's device is removed under load and comes back: ringd lets go of it, says that it is gone and what to look at, and
takes it again; UDP carries the ring meanwhile, and no member is lost."""
import failing_link
import lab
from failing_link import VICTIM


def story(cluster):
    cluster.start()
    members = failing_link.Members(cluster)
    told = failing_link.Told(cluster, VICTIM)
    told.works()

    cluster.network.remove_device(VICTIM, link=0)
    told.fails("it was removed")
    told.fails("no RDMA device has the address", "rdma link")
    told.says_why("no RDMA device has the address")
    members.progress()
    cluster.network.add_device(VICTIM, link=0)
    told.works()
    members.progress()
    members.judge()


if __name__ == "__main__":
    lab.main(story, **failing_link.ENGINE)
