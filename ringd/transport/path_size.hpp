// The largest IP packet that a path to a peer carries: what the kernel says, as long as packets of
// that size do come through. A path can lose large packets without a word (RFC 4821 calls it a
// black hole); then the size goes down in steps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "common/base/ids.hpp"
#include "common/base/instant.hpp"

namespace transport {

// Without a limit in the configuration: above a jumbo frame a larger packet gains little, and its
// loss costs more.
inline constexpr std::size_t kMtuMaxDefault = 9000;
// Of an IPv6 path at least, and in practice of any.
inline constexpr std::size_t kMtuMin = 1280;

class PathSize {
  public:
    // `kernel` is what the kernel believes now; nothing: there is no route. `limit` is configured,
    // 0 if it is not.
    void learn(std::optional<std::size_t> kernel, std::size_t limit);

    // Nothing is known of a path that never had a route.
    [[nodiscard]] std::optional<std::size_t> mtu() const;

    // Packets to send and have answered: one of the size in question, and a small one that tells
    // whether anybody answers at all.
    struct Probe {
        std::size_t large = 0;
        std::size_t small = 0;
    };
    // To be called when due() has passed: judges what was sent before, and gives what to send.
    [[nodiscard]] base::Instant due() const { return due_; }
    [[nodiscard]] std::optional<Probe> tick(base::Instant now);
    void answered(std::size_t size);

  private:
    [[nodiscard]] std::optional<std::size_t> full() const;
    void judge();

    std::optional<std::size_t> kernel_;
    std::size_t limit_ = 0;
    std::size_t hole_above_ = SIZE_MAX;  // Larger ones vanish.
    std::size_t verified_ = 0;           // This size came through lately.
    std::optional<Probe> sent_;
    bool large_came_ = false;
    bool small_came_ = false;
    std::uint32_t lost_ = 0;    // Large ones in a row, while small ones came.
    std::uint32_t silent_ = 0;  // Rounds without any answer.
    base::Instant due_{};
};

// The payload of a probe packet and of its answer.
struct ProbeMessage {
    enum class Kind : std::uint8_t {
        Path = 0,  // Sent to one node alone.
        PathAnswer = 1,
        Group = 2,  // Sent to a group, to no recipient in particular.
        GroupAnswer = 3,
    };
    base::NodeId recipient{};  // kNoNode with Kind::Group, and only there.
    std::uint32_t size = 0;    // Of the packet that asked: Path with IP header, Group without.
    Kind kind = Kind::Path;

    friend bool operator==(const ProbeMessage&, const ProbeMessage&) = default;
};
inline constexpr std::size_t kProbeBytes = 12;
[[nodiscard]] std::optional<ProbeMessage> decode_probe(std::span<const std::byte> bytes);
void encode_probe(const ProbeMessage& probe, std::span<std::byte, kProbeBytes> out);

}  // namespace transport
