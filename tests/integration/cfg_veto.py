#!/usr/bin/python3
"""A tracker of the shutdown by Corosync's interface that says no to each request, and prints what it is told: `tracking`, then the flags."""
import ctypes

OK, DISPATCH_BLOCKING, NO, REQUEST = 1, 3, 0, 0
cfg = ctypes.CDLL("libcfg.so.7")
CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_uint64, ctypes.c_int)


class Callbacks(ctypes.Structure):
    _fields_ = [("shutdown", CALLBACK)]


@CALLBACK
def told(handle, flags):
    print("told", flags, flush=True)
    if flags == REQUEST:
        cfg.corosync_cfg_replyto_shutdown(ctypes.c_uint64(handle), NO)


def main():
    handle, callbacks = ctypes.c_uint64(), Callbacks(told)
    error = cfg.corosync_cfg_initialize(ctypes.byref(handle), ctypes.byref(callbacks))
    assert error == OK, error
    error = cfg.corosync_cfg_trackstart(handle, ctypes.c_uint8(0))
    assert error == OK, error
    print("tracking", flush=True)
    cfg.corosync_cfg_dispatch(handle, DISPATCH_BLOCKING)  # Until the node is down.


if __name__ == "__main__":
    main()
