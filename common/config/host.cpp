#include "common/config/host.hpp"

#include <ifaddrs.h>
#include <netdb.h>
#include <sys/utsname.h>

#include <algorithm>
#include <memory>

namespace config {
namespace {

bool comes_first(IpAddress::Family family, IpVersion version) {
    const bool prefers_v4 = version == IpVersion::V4 || version == IpVersion::V4First;
    return (family == IpAddress::Family::V4) == prefers_v4;
}

bool is_allowed(IpAddress::Family family, IpVersion version) {
    if (version == IpVersion::V4) return family == IpAddress::Family::V4;
    if (version == IpVersion::V6) return family == IpAddress::Family::V6;
    return true;
}

}  // namespace

bool Host::has(const IpAddress& address) const {
    return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
}

os::Result<Host> this_host() {
    Host host;
    utsname system{};
    if (::uname(&system) != 0) return os::last_error("uname");
    host.name = static_cast<const char*>(system.nodename);

    ifaddrs* first = nullptr;
    if (::getifaddrs(&first) != 0) return os::last_error("getifaddrs");
    const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(first, ::freeifaddrs);
    for (const ifaddrs* at = first; at != nullptr; at = at->ifa_next) {
        if (at->ifa_addr == nullptr) continue;
        if (const auto address = IpAddress::from(*at->ifa_addr)) host.addresses.push_back(*address);
    }
    return host;
}

os::Result<std::vector<IpAddress>> resolve(const std::string& name, IpVersion version) {
    if (const auto literal = IpAddress::parse(name)) return std::vector{*literal};
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_DGRAM;
    addrinfo* first = nullptr;
    const int failure = ::getaddrinfo(name.c_str(), nullptr, &hints, &first);
    if (failure != 0)
        return base::fail(os::Error{
            .what = "cannot resolve '" + name + "': " + ::gai_strerror(failure), .code = 0});
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(first, ::freeaddrinfo);

    std::vector<IpAddress> found;
    for (const addrinfo* at = first; at != nullptr; at = at->ai_next) {
        const auto address = IpAddress::from(*at->ai_addr);
        if (!address || !is_allowed(address->family(), version)) continue;
        if (std::find(found.begin(), found.end(), *address) == found.end())
            found.push_back(*address);
    }
    std::stable_partition(found.begin(), found.end(), [version](const IpAddress& address) {
        return comes_first(address.family(), version);
    });
    if (found.empty())
        return base::fail(os::Error{
            .what = "'" + name + "' has no address of the version that ip_version asks for",
            .code = 0});
    return found;
}

}  // namespace config
