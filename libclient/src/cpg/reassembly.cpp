#include "libclient/src/cpg/reassembly.hpp"

#include <utility>

namespace client {

using Part = protocol::cpg::Mcast::Part;

std::optional<std::vector<std::byte>> Reassembly::add(const protocol::cpg::Delivered& part,
                                                      std::span<const std::byte> payload) {
    const Sender sender{part.handle, part.node, part.pid};
    if (part.part == Part::First) partial_[sender].clear();
    const auto found = partial_.find(sender);
    if (found == partial_.end()) return std::nullopt;

    std::vector<std::byte>& message = found->second;
    const bool fits = part.message_bytes <= kMessageBytesMax &&
                      message.size() + payload.size() <= part.message_bytes;
    if (!fits) {
        partial_.erase(found);
        return std::nullopt;
    }
    message.reserve(part.message_bytes);
    message.insert(message.end(), payload.begin(), payload.end());
    if (part.part != Part::Last) return std::nullopt;

    std::vector<std::byte> whole = std::move(message);
    partial_.erase(found);
    if (whole.size() != part.message_bytes) return std::nullopt;
    return whole;
}

void Reassembly::drop(protocol::cpg::GroupHandle group, base::NodeId node, std::uint32_t pid) {
    partial_.erase(Sender{group, node, pid});
}

}  // namespace client
