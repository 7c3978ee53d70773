// The door to links over RDMA devices. What is behind it is an object of its own (halo_rdma.so),
// which is loaded when the configuration has such a link: libibverbs, librdmacm and what they load
// cost each ringd a megabyte and its start some milliseconds.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include "common/os/error.hpp"
#include "ringd/transport/network_link.hpp"
#include "ringd/transport/send_memory.hpp"
#include "ringd/transport/socket_address.hpp"

namespace transport {

// What all others may send in a rotation, and again, before we look: a window of 512 KiB in packets
// of 1 KiB is 512.
inline constexpr std::size_t kRdmaReceivesDefault = 2048;

struct RdmaLinkConfig {
    totem::LinkId link{};
    SocketAddress address;               // Own, of the device's interface, with the port.
    std::optional<SocketAddress> group;  // Multicast, where the fabric has it.
    std::size_t receives = kRdmaReceivesDefault;
    const SendMemory* memory = nullptr;  // Outlives the link.
};

// A link that works as soon as a device with the address does. The error says what is missing on
// this host and what to do: no such module, no device, too small a port, too little memory.
[[nodiscard]] os::Result<std::unique_ptr<NetworkLink>> open_rdma_link(const RdmaLinkConfig& config);

}  // namespace transport
