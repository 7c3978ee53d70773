#!/usr/bin/python3
"""The lab does what stories rely on: cuts are one way and for one link, loss is partial, a pulled cable shows, and
a run that is killed with -9 leaves nothing behind."""
import os
import pathlib
import signal
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import netns  # noqa: E402

PORT = 4711
RECEIVE = """import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", %d)); s.settimeout(float(sys.argv[1]))
print("ready", flush=True)
got = 0
try:
    while s.recv(100) != b"end": got += 1
except TimeoutError: pass
print(got, flush=True)""" % PORT
SEND = """import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(int(sys.argv[2])): s.sendto(b"x", (sys.argv[1], %d))
for _ in range(20): s.sendto(b"end", (sys.argv[1], %d))""" % (PORT, PORT)


def arrived(network, sender, receiver, link=0, count=5, patience=0.3):
    """Of so many datagrams, how many came."""
    listener = network.hosts[receiver].start([sys.executable, "-c", RECEIVE, patience], stdout=subprocess.PIPE)
    listener.stdout.readline()
    network.hosts[sender].run([sys.executable, "-c", SEND, network.address(receiver, link), count], check=True)
    got = int(listener.stdout.readline())
    listener.wait(5)
    return got


class LabTest(unittest.TestCase):
    def test_a_cut_is_one_way_and_for_one_link(self):
        with netns.Network(3, links=2) as network:
            self.assertEqual(arrived(network, 1, 2), 5)
            network.lose(1, 2, 100, link=0)
            self.assertEqual(arrived(network, 1, 2), 0)
            self.assertEqual(arrived(network, 2, 1), 5)
            self.assertEqual(arrived(network, 1, 2, link=1), 5)
            self.assertEqual(arrived(network, 3, 2), 5)
            network.partition([1], [2, 3])
            self.assertEqual(arrived(network, 3, 1, link=1), 0)
            self.assertEqual(arrived(network, 3, 2), 5)
            network.heal()
            self.assertEqual(arrived(network, 1, 2), 5)

    def test_loss_is_partial(self):
        with netns.Network(2) as network:
            network.lose(1, 2, 20)
            # No more than a socket's default buffer holds, so that nothing else is lost.
            got = arrived(network, 1, 2, count=200, patience=2)
            self.assertGreater(got, 120)
            self.assertLess(got, 195)

    def test_a_pulled_cable_shows(self):
        with netns.Network(2) as network:
            host = network.hosts[1]
            show = ["ip", "-o", "link", "show", "dev", "eth0"]
            self.assertNotIn("NO-CARRIER", host.run(show).stdout)
            network.carrier(1, up=False)
            netns.wait_for(lambda: "NO-CARRIER" in host.run(show).stdout, 5, "carrier lost")
            network.carrier(1, up=True)
            netns.wait_for(lambda: "NO-CARRIER" not in host.run(show).stdout, 5, "carrier back")

    def test_a_stopped_host_goes_on(self):
        with netns.Network(1) as network:
            host = network.hosts[1]
            process = host.start(["sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do read x < /proc/uptime; done"],
                                 stdout=subprocess.PIPE)
            process.stdout.readline()
            host.signal_all(signal.SIGSTOP)
            state = pathlib.Path(f"/proc/{process.pid}/stat")
            netns.wait_for(lambda: state.read_text().split()[2] == "T", 5, "stopped")
            host.signal_all(signal.SIGCONT)
            netns.wait_for(lambda: state.read_text().split()[2] != "T", 5, "goes on")
            self.assertEqual(process.stop(), 7)

    def test_nothing_is_left_of_a_run_that_was_killed(self):
        program = (f"import sys; sys.path.insert(0, {str(HERE.parent / 'support')!r}); import netns; "
                   "n = netns.Network(2); p = n.hosts[1].start(['cat', '/dev/zero']); "
                   "print(p.pid, n.hosts[1].init, n.folder, flush=True); netns.pause(100)")
        run = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        inside, init, folder = run.stdout.readline().split()
        run.kill()
        run.wait()
        run.stdout.close()
        for pid in (inside, init):
            netns.wait_for(lambda pid=pid: not os.path.exists(f"/proc/{pid}"), 10, f"end of process {pid}")
        self.assertTrue(os.path.exists(folder))
        with netns.Network(1):
            self.assertFalse(os.path.exists(folder), "the next run removes the scratch folder")


if __name__ == "__main__":
    reason = netns.missing_rights()
    if reason:
        print(f"SKIPPED: {reason}")
        sys.exit(77)
    unittest.main(verbosity=2)
