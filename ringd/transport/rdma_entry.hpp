// What ringd and its RDMA module agree on: a name that changes with the layout of what passes.
#pragma once

#include "ringd/transport/rdma_module.hpp"

namespace transport {

inline constexpr const char* kRdmaModule = "halo_rdma.so";
inline constexpr const char* kRdmaEntry = "halo_open_rdma_link_1";

using OpenRdmaLink = os::Result<std::unique_ptr<NetworkLink>> (*)(const RdmaLinkConfig& config);

}  // namespace transport
