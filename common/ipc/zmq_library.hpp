// libzmq, loaded when it is first used. With what it links against it is fifteen libraries, half of
// the time that a daemon takes to start; a daemon that is started again has its clients waiting,
// and nobody who asks for its status.
#pragma once

#include <zmq.h>

#include "common/os/error.hpp"

namespace ipc {

// Functions of libzmq (zmq.h) that we use, named as there without the prefix.
struct ZmqLibrary {
    decltype(&::zmq_ctx_new) ctx_new;
    decltype(&::zmq_ctx_term) ctx_term;
    decltype(&::zmq_socket) socket;
    decltype(&::zmq_close) close;
    decltype(&::zmq_setsockopt) setsockopt;
    decltype(&::zmq_getsockopt) getsockopt;
    decltype(&::zmq_bind) bind;
    decltype(&::zmq_connect) connect;
    decltype(&::zmq_send) send;
    decltype(&::zmq_msg_init) msg_init;
    decltype(&::zmq_msg_recv) msg_recv;
    decltype(&::zmq_msg_data) msg_data;
    decltype(&::zmq_msg_size) msg_size;
    decltype(&::zmq_msg_more) msg_more;
    decltype(&::zmq_msg_gets) msg_gets;
    decltype(&::zmq_msg_close) msg_close;
};

// Loaded by the first call and never unloaded. Any thread. Fails always or never in a process:
// without libzmq, with the name of the package that has it.
[[nodiscard]] os::Result<const ZmqLibrary*> zmq_library();

}  // namespace ipc
