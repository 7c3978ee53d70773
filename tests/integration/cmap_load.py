#!/usr/bin/python3
"""A client of libcmap under load, for the stories: counts keys up and listens to one of them.

    cmap_load.py LOG KEY...

For each KEY (a u64 that it creates with 0) it calls cmap_inc in turn, as fast as it goes, until a line comes on standard
input; then it writes to LOG, as JSON, how many were answered OK for each key, what other answers there were, the values that a tracker of the
first key heard, and the keys as they are read at the end. It ends when its input ends.
"""
import collections
import ctypes
import json
import select
import sys
import threading

OK, TRY_AGAIN, TIMEOUT = 1, 6, 5
DISPATCH_ONE = 1
TRACK_MODIFY = 2

cmap = ctypes.CDLL("libcmap.so.4")


class Value(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("len", ctypes.c_size_t), ("data", ctypes.POINTER(ctypes.c_uint64))]


NOTIFY = ctypes.CFUNCTYPE(None, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_int32, ctypes.c_char_p, Value, Value,
                          ctypes.c_void_p)


def connect():
    handle = ctypes.c_uint64()
    while (error := cmap.cmap_initialize(ctypes.byref(handle))) == TRY_AGAIN:
        select.select([], [], [], 0.05)
    assert error == OK, error
    return handle


def get(handle, key):
    value = ctypes.c_uint64()
    while (error := cmap.cmap_get_uint64(handle, key.encode(), ctypes.byref(value))) == TRY_AGAIN:
        select.select([], [], [], 0.05)
    return value.value if error == OK else f"error {error}"


def main():
    log, keys = sys.argv[1], sys.argv[2:]
    writer, reader = connect(), connect()
    for key in keys:
        while (error := cmap.cmap_set_uint64(writer, key.encode(), ctypes.c_uint64(0))) == TRY_AGAIN:
            select.select([], [], [], 0.05)
        assert error == OK, (key, error)
    heard, answers, done = [], {key: collections.Counter() for key in keys}, threading.Event()

    @NOTIFY
    def hear(_handle, _track, _event, _key, now, _before, _data):
        heard.append(now.data[0])

    track = ctypes.c_uint64()
    error = cmap.cmap_track_add(reader, keys[0].encode(), TRACK_MODIFY, hear, None, ctypes.byref(track))
    assert error == OK, error

    def listen():
        while not (done.is_set() and len(heard) >= answers[keys[0]][OK]):
            assert cmap.cmap_dispatch(reader, DISPATCH_ONE) == OK

    listening = threading.Thread(target=listen)
    listening.start()
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        for key in keys:
            answers[key][cmap.cmap_inc(writer, key.encode())] += 1
    done.set()
    # One more, so that a listener that has heard all wakes up.
    answers[keys[0]][cmap.cmap_inc(writer, keys[0].encode())] += 1
    listening.join()
    result = {"answers": answers, "heard": heard, "keys": {key: get(writer, key) for key in keys}}
    with open(log, "w", encoding="ascii") as file:
        json.dump(result, file)
    print("done", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
