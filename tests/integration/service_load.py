#!/usr/bin/python3
"""A client of libquorum and of libcmap under load, for the stories: one handle each for its whole life, and one call after
the other on each.

    service_load.py LOG

LOG has a JSON object a line: what took longer than SLOW seconds (service, from and to as time.monotonic() says), each answer
that was not OK, and each event of quorum. When a line comes on standard input it ends, and the last object has the sums."""
import ctypes
import json
import select
import sys
import threading
import time

OK, TRY_AGAIN = 1, 6
DISPATCH_ALL = 2
TRACK_CHANGES = 2
KEY = b"restarts.count"
SLOW = 0.005

quorum = ctypes.CDLL("libquorum.so.5")
cmap = ctypes.CDLL("libcmap.so.4")
NOTIFY = ctypes.CFUNCTYPE(None, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_uint32,
                          ctypes.POINTER(ctypes.c_uint32))


class Log:
    def __init__(self, path):
        self._file, self._lock = open(path, "w"), threading.Lock()

    def tell(self, **what):
        with self._lock:
            self._file.write(json.dumps(what) + "\n")
            self._file.flush()


def until_taken(call, *arguments):
    while (error := call(*arguments)) == TRY_AGAIN:
        select.select([], [], [], 0.05)
    assert error == OK, error


class Quorum:
    name = "quorum"

    def __init__(self, log):
        self.handle, kind = ctypes.c_uint64(), ctypes.c_uint32()

        @NOTIFY
        def hear(_handle, quorate, ring, count, nodes):
            log.tell(service=self.name, quorate=quorate, ring=ring, nodes=nodes[:count])

        self._callbacks = hear, (NOTIFY * 1)(hear)
        until_taken(quorum.quorum_initialize, ctypes.byref(self.handle), self._callbacks[1], ctypes.byref(kind))
        until_taken(quorum.quorum_trackstart, self.handle, TRACK_CHANGES)
        self._quorate = ctypes.c_int()
        self.done = 0

    def call(self):
        error = quorum.quorum_getquorate(self.handle, ctypes.byref(self._quorate))
        if error == OK and not self._quorate.value:
            return "not quorate"
        return error if error != OK else quorum.quorum_dispatch(self.handle, DISPATCH_ALL)

    def sums(self):
        return {}


class Cmap:
    name = "cmap"

    def __init__(self, _log):
        self.handle = ctypes.c_uint64()
        until_taken(cmap.cmap_initialize, ctypes.byref(self.handle))
        until_taken(cmap.cmap_set_uint64, self.handle, KEY, ctypes.c_uint64(0))
        self.done = 0

    def call(self):
        return cmap.cmap_inc(self.handle, KEY)

    def sums(self):
        value = ctypes.c_uint64()
        until_taken(cmap.cmap_get_uint64, self.handle, KEY, ctypes.byref(value))
        return {"value": value.value}


def work(service, log, ends):
    while not ends.is_set():
        began = time.monotonic()
        error = service.call()
        took = time.monotonic() - began
        if error != OK:
            log.tell(service=service.name, error=error, at=time.monotonic())
        else:
            service.done += 1
        if took > SLOW:
            log.tell(service=service.name, began=began, ended=began + took)
        select.select([], [], [], 0.002)


def main():
    log, ends = Log(sys.argv[1]), threading.Event()
    services = [Quorum(log), Cmap(log)]
    threads = [threading.Thread(target=work, args=(service, log, ends)) for service in services]
    for thread in threads:
        thread.start()
    log.tell(ready=True)
    sys.stdin.readline()
    ends.set()
    for thread in threads:
        thread.join()
    log.tell(done={service.name: {"answered": service.done, **service.sums()} for service in services})


main()
