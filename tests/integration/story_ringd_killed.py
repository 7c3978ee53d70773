#!/usr/bin/python3
"""ringd is killed with -9 again and again, on one node after the other, under load: it is started again, the cluster
becomes whole each time, and the histories stay right. It is told not to go on where it was killed (story_ringd_resumed.py
shows that): each death is a crash."""
import lab

ROUNDS = 3


def story(cluster):
    cluster.engine.configure("halo {\n    resume: no\n}\n")
    cluster.start()
    loads = cluster.load()
    cluster.wait_members(loads, [1, 2, 3])
    for _ in range(ROUNDS):
        for number in cluster.hosts:
            cluster.wait_progress(loads, 100)
            old = cluster.daemon_pid(number, "ringd")
            cluster.kill_daemon(number, "ringd")
            lab.wait_for(lambda: cluster.daemon_pid(number, "ringd", other_than=old), lab.SOON, "ringd runs again")
            cluster.wait_progress(loads, 100)
            cluster.wait_members(loads, [1, 2, 3])
    cluster.drain()
    cluster.judge(least_messages=3000)


if __name__ == "__main__":
    lab.main(story, nodes=3)
