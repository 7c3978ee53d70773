// What the configuration needs to know of this host: its name and addresses, and what names mean.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/config/ip_address.hpp"
#include "common/os/error.hpp"

namespace config {

struct Host {
    std::string name;                  // As uname -n gives it, with domain if it has one.
    std::vector<IpAddress> addresses;  // Of all interfaces that are up.

    [[nodiscard]] bool has(const IpAddress& address) const;
};

os::Result<Host> this_host();

enum class IpVersion : std::uint8_t { V4, V6, V4First, V6First };

// The addresses that a name has, in the order of preference; an address stands for itself. Asks the
// resolver and blocks as long as it does: never in a daemon's loop.
os::Result<std::vector<IpAddress>> resolve(const std::string& name, IpVersion version);

// How names become addresses: resolve(), or what somebody else found out before.
using Resolver =
    std::function<os::Result<std::vector<IpAddress>>(const std::string& name, IpVersion version)>;

}  // namespace config
