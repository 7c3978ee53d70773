#include "common/ipc/zmq_library.hpp"

#include <dlfcn.h>

#include <string>

namespace ipc {
namespace {

constexpr const char* kLibrary = "libzmq.so.5";  // Debian's libzmq5.

template <class Function>
bool find(void* library, const char* name, Function& function) {
    function = reinterpret_cast<Function>(::dlsym(library, name));
    return function != nullptr;
}

os::Result<ZmqLibrary> load() {
    void* library = ::dlopen(kLibrary, RTLD_LAZY | RTLD_LOCAL);
    if (library == nullptr) {
        return base::fail(os::Error{.what = std::string("cannot load ") + kLibrary +
                                            ", install libzmq5: " + ::dlerror()});
    }
    ZmqLibrary zmq{};
    const bool is_whole =
        find(library, "zmq_ctx_new", zmq.ctx_new) && find(library, "zmq_ctx_term", zmq.ctx_term) &&
        find(library, "zmq_socket", zmq.socket) && find(library, "zmq_close", zmq.close) &&
        find(library, "zmq_setsockopt", zmq.setsockopt) &&
        find(library, "zmq_getsockopt", zmq.getsockopt) && find(library, "zmq_bind", zmq.bind) &&
        find(library, "zmq_connect", zmq.connect) && find(library, "zmq_send", zmq.send) &&
        find(library, "zmq_msg_init", zmq.msg_init) &&
        find(library, "zmq_msg_recv", zmq.msg_recv) &&
        find(library, "zmq_msg_data", zmq.msg_data) &&
        find(library, "zmq_msg_size", zmq.msg_size) &&
        find(library, "zmq_msg_more", zmq.msg_more) &&
        find(library, "zmq_msg_gets", zmq.msg_gets) &&
        find(library, "zmq_msg_close", zmq.msg_close);
    if (is_whole) return zmq;
    return base::fail(os::Error{.what = std::string("not a libzmq: ") + ::dlerror()});
}

}  // namespace

os::Result<const ZmqLibrary*> zmq_library() {
    static const os::Result<ZmqLibrary> library = load();
    if (!library) return base::fail(library.error());
    return &*library;
}

}  // namespace ipc
