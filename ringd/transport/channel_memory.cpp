#include "ringd/transport/channel_memory.hpp"

#include <algorithm>
#include <atomic>

#include "common/base/invariant.hpp"

namespace transport {
namespace {

constexpr std::uint64_t kMagic = 0x316d'6843'6c61'480au;

// In the program's order and whole: that is all that a kill asks for.
void store(std::uint64_t& where, std::uint64_t value) {
    std::atomic_ref<std::uint64_t>(where).store(value, std::memory_order_release);
}

}  // namespace

ChannelMemory::ChannelMemory(std::span<std::byte> memory)
    : head_(reinterpret_cast<Head*>(memory.data())),
      peers_(reinterpret_cast<Peer*>(memory.data() + sizeof(Head)), kPeersMax) {
    static_assert(sizeof(Head) + kPeersMax * sizeof(Peer) == kBytes);
    INVARIANT(memory.size() == kBytes);
    INVARIANT(reinterpret_cast<std::uintptr_t>(memory.data()) % alignof(Head) == 0);
}

ChannelMemory::Peer& ChannelMemory::peer(std::size_t place) const {
    INVARIANT(place < peers_.size());
    return peers_[place];
}

std::optional<ChannelMemory::Left> ChannelMemory::left() const {
    if (head_->magic != kMagic || head_->incarnation == 0) return std::nullopt;
    Left left{.incarnation = head_->incarnation, .counter = head_->reserved, .seen = {}};
    for (const Peer& peer : peers_) {
        if (peer.node == 0 || peer.node > UINT32_MAX || peer.incarnation == 0) continue;
        left.seen.push_back({.node = base::NodeId{static_cast<std::uint32_t>(peer.node)},
                             .incarnation = peer.incarnation,
                             .highest = peer.highest});
    }
    return left;
}

void ChannelMemory::begin(std::uint64_t incarnation) {
    INVARIANT(incarnation != 0);
    store(head_->incarnation, 0);
    std::ranges::fill(peers_, Peer{});
    store(head_->reserved, 0);
    store(head_->magic, kMagic);
    store(head_->incarnation, incarnation);
}

void ChannelMemory::reserve(std::uint64_t end) {
    INVARIANT(end >= head_->reserved);
    store(head_->reserved, end);
}

std::optional<std::size_t> ChannelMemory::place_of(base::NodeId node) {
    for (std::size_t place = 0; place < peers_.size(); ++place) {
        Peer& peer = peers_[place];
        if (peer.node == 0) store(peer.node, node.value());
        if (peer.node == node.value()) return place;
    }
    return std::nullopt;
}

// While the words change no life is known: then the peer has to prove it once more.
void ChannelMemory::proven(std::size_t place, std::uint64_t incarnation, std::uint64_t highest) {
    store(peer(place).incarnation, 0);
    store(peer(place).highest, highest);
    store(peer(place).incarnation, incarnation);
}

void ChannelMemory::ended(std::size_t place) {
    store(peer(place).incarnation, 0);
}

void ChannelMemory::saw(std::size_t place, std::uint64_t highest) {
    store(peer(place).highest, highest);
}

}  // namespace transport
