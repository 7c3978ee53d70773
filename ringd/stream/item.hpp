// What ringd puts into the ring for its services: attachments, their exchange after a change of
// configuration, and the services' own items. docs/wire-format-local.md has the bytes.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "common/base/buffer.hpp"
#include "common/base/ids.hpp"
#include "common/base/result.hpp"
#include "common/protocol/ring_api.hpp"

namespace stream {

// Items of a service are ordered in two lines, urgent or not; in each the numbers ascend.
struct Numbers {
    std::uint64_t ordinary = 0;  // The highest number of the line that has its place; 0: none.
    std::uint64_t urgent = 0;

    [[nodiscard]] std::uint64_t& of(bool is_urgent) { return is_urgent ? urgent : ordinary; }
    template <class A>
    void archive(A& a) {
        a(ordinary, urgent);
    }

    friend bool operator==(const Numbers&, const Numbers&) = default;
};

// The service of the sender's node is on the channel from here on, or no more.
struct AttachItem {
    std::string channel;
    protocol::Incarnation incarnation{};
};
struct DetachItem {
    std::string channel;
    protocol::Incarnation incarnation{};
};

// All that is attached on the sender's node, said at the start of the ring `ring`.
struct Attachment {
    std::string channel;
    protocol::Incarnation incarnation{};
    Numbers placed;
};
struct SyncItem {
    base::RingId ring{};
    std::vector<Attachment> attachments;  // Ascending by channel.
};

// The service of the sender's node can't keep up (or can again): nobody may send on the channel
// until all can. Other channels go on.
struct FlowItem {
    std::string channel;
    bool stopped = false;
};

using Item = std::variant<AttachItem, DetachItem, SyncItem, FlowItem, protocol::Submit>;

// Of local services; each may be on one channel.
inline constexpr std::size_t kChannelsMax = 64;

// A Submit's payload shares the memory of `bytes`.
[[nodiscard]] base::Expected<Item, protocol::FrameError> decode_item(const base::Buffer& bytes);
// Not for a Submit: its frame goes round as it came.
[[nodiscard]] base::Buffer encode_item(const AttachItem& item);
[[nodiscard]] base::Buffer encode_item(const DetachItem& item);
[[nodiscard]] base::Buffer encode_item(const SyncItem& item);
[[nodiscard]] base::Buffer encode_item(const FlowItem& item);

}  // namespace stream
