// What of a secure channel outlives its process: the life it goes on with, which counters may have
// been used, and how far each peer's life was seen. Plain words in memory that the kernel keeps; a
// kill between any two stores leaves something that is safe to go on from. The argument is in
// docs/design/0004-resume.md, "Nonces".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/base/ids.hpp"

namespace transport {

class ChannelMemory {
  public:
    static constexpr std::size_t kPeersMax = 1024;  // Nodes that a configuration can name.
    static constexpr std::size_t kBytes = 64 + kPeersMax * 24;

    // Needs: kBytes, 8-byte aligned, outlives this object; zeros, or what another process left.
    explicit ChannelMemory(std::span<std::byte> memory);

    // What the process before left.
    struct Left {
        std::uint64_t incarnation = 0;
        std::uint64_t counter = 0;  // No process has sealed with this one or a later one.
        struct Seen {
            base::NodeId node{};
            std::uint64_t incarnation = 0;
            std::uint64_t highest = 0;  // All up to it count as seen.
        };
        std::vector<Seen> seen;
    };
    // None: nobody left anything.
    [[nodiscard]] std::optional<Left> left() const;

    // A new life: all that was left is forgotten.
    void begin(std::uint64_t incarnation);
    // Before one of them is used: counters below `end` may be.
    void reserve(std::uint64_t end);

    // Where a peer's words are; the same for as long as the memory is. None: there is no room.
    [[nodiscard]] std::optional<std::size_t> place_of(base::NodeId peer);
    // The life that the peer has proven; its packets were seen up to `highest`.
    void proven(std::size_t place, std::uint64_t incarnation, std::uint64_t highest);
    void ended(std::size_t place);
    // Before anything is done about the packet. Needs: a life is proven.
    void saw(std::size_t place, std::uint64_t highest);

  private:
    struct Head {
        std::uint64_t magic = 0;
        std::uint64_t incarnation = 0;  // 0: none.
        std::uint64_t reserved = 0;
        std::uint64_t unused[5] = {};
    };
    struct Peer {
        std::uint64_t node = 0;  // 0: free.
        std::uint64_t incarnation = 0;
        std::uint64_t highest = 0;
    };
    [[nodiscard]] Peer& peer(std::size_t place) const;

    Head* head_;
    std::span<Peer> peers_;
};

}  // namespace transport
