// What ringd finds in this module.
#include "ringd/transport/rdma/rdma_link.hpp"
#include "ringd/transport/rdma_entry.hpp"

// The name is that of kRdmaEntry.
extern "C" __attribute__((visibility("default")))
os::Result<std::unique_ptr<transport::NetworkLink>>
halo_open_rdma_link_1(const transport::RdmaLinkConfig& config) {
    return transport::RdmaLink::open(config);
}
