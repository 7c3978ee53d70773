#!/usr/bin/python3
"""Debian's unmodified corosync-qdevice with heuristics: of two halves the one goes on whose node finds itself well, not the one with the lowest
number. --engine corosync passes, too."""
import lab
from story_qdevice import APART, TOGETHER, Arbitrated, heal, missing, pass_through

HEALTHY = "/run/healthy"  # Each node has its own /run.
HEURISTICS = ("        heuristics {\n            mode: sync\n            timeout: 3000\n            sync_timeout: 6000\n"
              f"            exec_healthy: /usr/bin/test -e {HEALTHY}\n        }}\n")


def start(arbitrated):
    for number in (1, 2):
        well(arbitrated, number)
    arbitrated.start_arbiter()
    arbitrated.start_node(1)
    arbitrated.start_node(2)


def well(arbitrated, number):
    arbitrated.cluster.hosts[number].run(["touch", HEALTHY], check=True)


def ill(arbitrated, number):
    arbitrated.cluster.hosts[number].run(["rm", HEALTHY], check=True)


STEPS = [
    ("all start", start, ("yes", "yes"), TOGETHER),
    ("1 is ill, 1-2 cut", lambda a: [ill(a, 1), a.cluster.network.cut(1, 2)], ("no", "yes"), APART),
    ("1 is well, healed", lambda a: [well(a, 1), heal(a)], ("yes", "yes"), TOGETHER),
    ("2 is ill, 1-2 cut", lambda a: [ill(a, 2), a.cluster.network.cut(1, 2)], ("yes", "no"), APART),
]


def story(cluster):
    pass_through(Arbitrated(cluster, HEURISTICS), STEPS)


if __name__ == "__main__":
    lab.main(story, nodes=3, loads=False, missing=missing)
