#include "ringd/transport/rdma_module.hpp"

#include <dlfcn.h>

#include "ringd/transport/rdma_entry.hpp"

namespace transport {
namespace {

// Found by the run path of ringd: beside our libraries in the build folder, and where it is
// installed. Never unloaded, as its code owns the links.
os::Result<OpenRdmaLink> entry() {
    void* module = ::dlopen(kRdmaModule, RTLD_NOW | RTLD_LOCAL);
    if (module == nullptr) {
        return base::fail(os::Error{
            .what =
                std::string("cannot load the RDMA module, install libibverbs1 and librdmacm1: ") +
                ::dlerror()});
    }
    void* symbol = ::dlsym(module, kRdmaEntry);
    if (symbol == nullptr) {
        return base::fail(os::Error{.what = std::string(kRdmaModule) +
                                            " is of another version of Halo, install its own"});
    }
    return reinterpret_cast<OpenRdmaLink>(symbol);
}

}  // namespace

os::Result<std::unique_ptr<NetworkLink>> open_rdma_link(const RdmaLinkConfig& config) {
    static const os::Result<OpenRdmaLink> open = entry();
    if (!open) return base::fail(open.error());
    return (*open)(config);
}

}  // namespace transport
