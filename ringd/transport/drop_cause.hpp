// Why a received packet was dropped. Each cause is counted apart: together they tell a wrong key
// from a wrong address from an attack.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace transport {

enum class DropCause : std::uint8_t {
    Truncated,        // Shorter than header and tag, or than the payload it announces.
    NotOurs,          // Another magic or wire version, or reserved bits: not a packet of Halo.
    ForeignCluster,   // Sealed with a key that we don't have: another cluster, or a stale key file.
    OtherSuite,       // Our key, but another crypto setting.
    FromSelf,         // Our own packet, come back by multicast.
    UnknownSender,    // A node id that is not configured.
    UnlistedAddress,  // A configured node, but not from its configured address.
    OtherLink,        // Sealed for one link and received on another.
    NotAuthentic,     // The tag is wrong: tampered with, or made without the key.
    Malformed,        // Authentic, and yet not what its kind demands.
    Replayed,         // Seen before, or too old to tell.
    StaleIncarnation,  // Of a life of the sender that is known to be over.
    Unproven,          // Of a life that never proved to be the present one.
};
inline constexpr std::size_t kDropCauses = 13;

// As it stands in the names of counters.
constexpr std::string_view name_of(DropCause cause) {
    constexpr std::array<std::string_view, kDropCauses> kNames{
        "truncated",      "not_ours",          "foreign_cluster", "other_suite",   "from_self",
        "unknown_sender", "unlisted_address",  "other_link",      "not_authentic", "malformed",
        "replayed",       "stale_incarnation", "unproven"};
    return kNames[static_cast<std::size_t>(cause)];
}

// Packets dropped, by cause.
class DropCounters {
  public:
    void count(DropCause cause) { ++counts_[static_cast<std::size_t>(cause)]; }
    [[nodiscard]] std::uint64_t of(DropCause cause) const {
        return counts_[static_cast<std::size_t>(cause)];
    }
    [[nodiscard]] std::uint64_t total() const {
        std::uint64_t sum = 0;
        for (const std::uint64_t count : counts_) {
            sum += count;
        }
        return sum;
    }

  private:
    std::array<std::uint64_t, kDropCauses> counts_{};
};

}  // namespace transport
