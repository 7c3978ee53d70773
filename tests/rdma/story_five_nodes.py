#!/usr/bin/python3
"""The story `ring` with five nodes."""
import story_ring
import lab

if __name__ == "__main__":
    lab.main(story_ring.story, nodes=5, engine="halo-rdma")
