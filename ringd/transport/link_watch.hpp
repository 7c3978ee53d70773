// Whether an address of ours is usable: present on an interface that is up and has a carrier.
// rtnetlink only says that something changed; what is looked at is the state then.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "common/os/error.hpp"
#include "common/os/unique_fd.hpp"
#include "ringd/transport/socket_address.hpp"

namespace transport {

class LinkWatch {
  public:
    [[nodiscard]] static os::Result<LinkWatch> create();

    // Readable when interfaces or addresses changed.
    [[nodiscard]] int fd() const { return netlink_.get(); }

    // Takes in what was announced; true if there was anything, and are_usable() may have changed.
    bool drain();

    // For each address, in order. Nothing if the kernel can't tell at the moment.
    [[nodiscard]] static std::optional<std::vector<bool>> are_usable(
        std::span<const SocketAddress> addresses);

  private:
    explicit LinkWatch(os::UniqueFd netlink) : netlink_(std::move(netlink)) {}

    os::UniqueFd netlink_;
};

}  // namespace transport
