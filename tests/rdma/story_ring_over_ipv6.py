#!/usr/bin/python3
"""The story `ring` over IPv6. Linux has no multicast of RoCE v2 over IPv6 (ENOTSUPP, drivers/infiniband/core/cma.c), so
that bursts go to each node."""
import story_ring
import lab

if __name__ == "__main__":
    lab.main(story_ring.story, nodes=3, engine="halo-rdma-ipv6")
