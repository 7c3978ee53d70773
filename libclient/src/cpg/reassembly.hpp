// Messages that travel in parts, put together again for each sender.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <tuple>
#include <vector>

#include "common/protocol/cpg_api.hpp"

namespace client {

// The largest message there is: sender and receiver have it in memory.
inline constexpr std::size_t kMessageBytesMax = std::size_t{256} << 20u;

class Reassembly {
  public:
    // Takes one part. Gives the whole message when it was the last one. Parts without their first
    // (we joined in the midst of a message) and messages that are longer or shorter than they said
    // are dropped; a new first part drops what its sender left unfinished.
    // `payload`: the part's, wherever it lies; that of `part` does not count.
    std::optional<std::vector<std::byte>> add(const protocol::cpg::Delivered& part,
                                              std::span<const std::byte> payload);

    // The sender is gone: what it left unfinished will not be finished.
    void drop(protocol::cpg::GroupHandle group, base::NodeId node, std::uint32_t pid);

    [[nodiscard]] std::size_t unfinished() const { return partial_.size(); }

  private:
    using Sender = std::tuple<protocol::cpg::GroupHandle, base::NodeId, std::uint32_t>;
    std::map<Sender, std::vector<std::byte>> partial_;
};

}  // namespace client
