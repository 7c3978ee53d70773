#!/usr/bin/python3
"""The port of a node's device goes down, and comes back with too small an MTU for the ring: each is told with what to do,
UDP carries the ring meanwhile, and no member is lost."""
import failing_link
import lab
from failing_link import VICTIM


def story(cluster):
    network = cluster.network
    cluster.start()
    members = failing_link.Members(cluster)
    told = failing_link.Told(cluster, VICTIM)
    told.works()

    network.carrier(VICTIM, up=False, link=0)
    told.fails("port down")
    told.says_why("port down")
    members.progress()
    network.carrier(VICTIM, up=True, link=0)
    told.works()

    network.set_mtu(VICTIM, 576, link=0)
    told.fails("carries datagrams of 256 bytes", "raise the MTU of its interface to 1500 or more")
    told.says_why("raise the MTU")
    members.progress()
    network.set_mtu(VICTIM, 4200, link=0)
    told.works()
    members.progress()
    members.judge()


if __name__ == "__main__":
    lab.main(story, **failing_link.ENGINE)
