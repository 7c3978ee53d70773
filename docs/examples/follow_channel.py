#!/usr/bin/python3
"""Prints the ordered stream of a channel, with nothing but ZeroMQ (Debian: python3-zmq).

    follow_channel.py [--run DIR | --socket PATH] [--count N] [--payload] CHANNEL

for instance: follow_channel.py cpg. It attaches to the running ringd of this node as an observer, which only
reads, and disturbs nobody. Who may: root, ringd's own user and its group. Each line is one event: its cursor,
what it is, and for a message who sent it. All nodes of a ring print the same messages in the same order.
The bytes are described in docs/wire-format-local.md. Ends on Ctrl-C, or after N events.
"""

import argparse
import os
import struct
import sys

import zmq
from zmq.utils.monitor import recv_monitor_message

VERSION = 1
ATTACH, ATTACHED, REFUSED, TRANSITIONAL, VIEW, BATCH = 0x01, 0x11, 0x12, 0x14, 0x15, 0x16
OBSERVER = 1
ANSWER_MS, REST_MS, NEVER_MS = 5000, 200, 2**31 - 1


class Frame:
    """Reads a frame's fields one after the other; a frame that is too short is a struct.error."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def read(self, layout):
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return values if len(values) > 1 else values[0]

    def text(self):
        return self.read(f"{self.read('H')}s").decode(errors="replace")

    def nodes(self):
        return [self.read("I") for _ in range(self.read("I"))]

    def ring(self):
        return "%d@%d" % self.read("QI")

    def rest(self):
        return self.data[self.at:]


def attach(channel):
    name = channel.encode()
    # No incarnation, nothing applied, nothing submitted: those are a service's.
    return struct.pack("<BBHQQQH", ATTACH, OBSERVER, VERSION, 0, 0, 0, len(name)) + name


def numbers(nodes):
    return ",".join(str(node) for node in nodes) or "-"


def describe(kind, frame, shows_payload):
    """One event as a line of text."""
    cursor = frame.read("Q")
    if kind == TRANSITIONAL:
        ring = frame.ring()
        return f"{cursor} transitional to {ring}: {numbers(frame.nodes())} stay together"
    if kind == VIEW:
        ring, version = frame.ring(), frame.read("Q")
        members = [frame.read("IQ")[0] for _ in range(frame.read("I"))]
        left, joined, all_nodes = frame.nodes(), frame.nodes(), frame.nodes()
        return (f"{cursor} view {ring} version {version}: members {numbers(members)} left {numbers(left)} "
                f"joined {numbers(joined)} ring {numbers(all_nodes)}")
    ring = frame.ring()
    seq, index, sender, number = frame.read("QIIQ")
    payload = frame.rest()
    line = f"{cursor} message {ring} {seq}.{index} from {sender} number {number}: {len(payload)} bytes"
    return line + (" " + payload.hex() if shows_payload else "")


def events(path, channel):
    """The events of one connection, as (type, frame), until it ends."""
    context = zmq.Context.instance()
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    # A new connection would need a new Attach, so libzmq is not to make one behind our back.
    socket.setsockopt(zmq.RECONNECT_IVL, NEVER_MS)
    monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED | zmq.EVENT_CLOSED)
    poller = zmq.Poller()
    poller.register(socket, zmq.POLLIN)
    poller.register(monitor, zmq.POLLIN)
    try:
        socket.connect(f"ipc://{path}")
        socket.send(attach(channel))
        is_attached, has_ended = False, False
        while True:
            ready = dict(poller.poll(REST_MS if has_ended else None if is_attached else ANSWER_MS))
            if socket in ready:
                frame = Frame(socket.recv())
                kind, flags, version = frame.read("BBH")
                if version != VERSION:
                    raise ConnectionError(f"ringd speaks version {version}, this program {VERSION}")
                if kind == REFUSED:
                    raise ConnectionError(f"refused: {frame.text()}")
                if kind == ATTACHED:
                    is_attached = True
                    print(f"attached to channel {channel} of node {frame.read('I')}", flush=True)
                elif kind in (TRANSITIONAL, VIEW, BATCH):
                    yield kind, frame
            elif monitor in ready:
                # What came before the end is still to be read, why it ended for instance.
                recv_monitor_message(monitor)
                has_ended = True
            elif is_attached:
                raise ConnectionError("ringd ended the connection")
            else:
                raise ConnectionError(f"nobody serves us at {path}: ringd does not run, or we may not")
    finally:
        socket.disable_monitor()
        socket.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("channel", metavar="CHANNEL")
    parser.add_argument("--run", default=os.environ.get("HALO_RUN_DIR", "/run/halo"), help="ringd's run folder")
    parser.add_argument("--socket", help="ringd's socket (default: the file 'ring' in the run folder)")
    parser.add_argument("--count", type=int, help="end after so many events")
    parser.add_argument("--payload", action="store_true", help="print what is in a message, as hexadecimal digits")
    options = parser.parse_args()
    if options.count is not None and options.count < 1:
        parser.error("--count: a number from 1 on")

    seen = 0
    try:
        for kind, frame in events(options.socket or f"{options.run}/ring", options.channel):
            print(describe(kind, frame, options.payload), flush=True)
            seen += 1
            if seen == options.count:
                return 0
    except KeyboardInterrupt:
        return 0
    except ConnectionError as error:
        print(f"follow_channel: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
