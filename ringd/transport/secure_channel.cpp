#include "ringd/transport/secure_channel.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <ctime>

#include "common/base/invariant.hpp"

namespace transport {
namespace {

// At 4 million packets a second a store in a quarter of a second.
constexpr std::uint64_t kCountersReserved = std::uint64_t{1} << 20u;

template <class T>
T random_value() {
    T value{};
    // Without entropy no key is safe: there is no going on.
    INVARIANT(RAND_bytes(reinterpret_cast<unsigned char*>(&value), sizeof value) == 1);
    return value;
}

}  // namespace

std::uint64_t SecureChannel::new_incarnation() {
    const auto seconds = static_cast<std::uint64_t>(std::time(nullptr)) & 0xffffffffu;
    return seconds << 32u | random_value<std::uint32_t>();
}

std::uint64_t SecureChannel::random_counter() {
    return random_value<std::uint64_t>() >> 1u;
}

SecureChannel::SecureChannel(base::NodeId self, Suite suite, const ClusterKey& key,
                             std::uint64_t incarnation, std::uint64_t first_counter)
    : self_(self),
      incarnation_(incarnation),
      next_counter_(first_counter),
      sealing_(suite, key.sending_key(suite, self, incarnation), Aead::Use::Seal) {
    INVARIANT(self != base::kNoNode);
    keys_[sealing_place_] = Key{.key = key, .suite = suite};
}

void SecureChannel::set_peers(std::span<const base::NodeId> peers) {
    std::vector<Peer> next;
    for (const base::NodeId node : peers) {
        INVARIANT(node != self_);
        if (Peer* known = find(node); known != nullptr) {
            next.push_back(std::move(*known));
        } else {
            Peer& peer = next.emplace_back();
            peer.node = node;
            peer.challenge = random_value<Challenge>();
            if (memory_ != nullptr) peer.place = memory_->place_of(node);
        }
    }
    std::ranges::sort(next, {}, &Peer::node);
    peers_ = std::move(next);
}

void SecureChannel::remember_in(ChannelMemory& memory) {
    memory.begin(incarnation_);
    memory_ = &memory;
    reserve_counters();
    for (Peer& peer : peers_) {
        peer.place = memory.place_of(peer.node);
        if (peer.proven) keep_proven(peer);
    }
}

void SecureChannel::go_on_in(ChannelMemory& memory, const ChannelMemory::Left& left) {
    INVARIANT(incarnation_ == left.incarnation);
    INVARIANT(next_counter_ >= left.counter);
    memory_ = &memory;
    reserve_counters();
    for (Peer& peer : peers_) {
        peer.place = memory.place_of(peer.node);
        const auto seen = std::ranges::find(left.seen, peer.node, &ChannelMemory::Left::Seen::node);
        if (seen == left.seen.end()) continue;
        peer.proven = Life{.incarnation = seen->incarnation};
        peer.proven->window.begin_after(seen->highest);
    }
}

void SecureChannel::reserve_counters() {
    reserved_ = next_counter_ + kCountersReserved;
    memory_->reserve(reserved_);
}

void SecureChannel::keep_proven(const Peer& peer) {
    if (memory_ == nullptr || !peer.place) return;
    memory_->proven(*peer.place, peer.proven->incarnation, peer.proven->window.highest());
}

void SecureChannel::end_proven(Peer& peer) {
    INVARIANT(peer.proven.has_value());
    peer.ended[peer.ended_next++ % kEndedMax] = peer.proven->incarnation;
    peer.proven.reset();
    if (memory_ != nullptr && peer.place) memory_->ended(*peer.place);
}

void SecureChannel::put_key(std::size_t place, const ClusterKey& key, Suite suite) {
    for (Peer& peer : peers_) {
        if (peer.proven) peer.proven->aead[place].reset();
        if (peer.candidate) peer.candidate->aead[place].reset();
    }
    keys_[place] = Key{.key = key, .suite = suite};
}

void SecureChannel::accept_key(const ClusterKey& key, Suite suite) {
    if (!key_place(key.id(), suite)) put_key(1 - sealing_place_, key, suite);
}

void SecureChannel::seal_with(const ClusterKey& key, Suite suite) {
    accept_key(key, suite);
    const std::size_t place = *key_place(key.id(), suite);
    if (place == sealing_place_) return;
    sealing_place_ = place;
    // The counter goes on: the new key never met it.
    sealing_ = Aead(suite, key.sending_key(suite, self_, incarnation_), Aead::Use::Seal);
}

void SecureChannel::drop_other_key() {
    keys_[1 - sealing_place_].reset();
}

void SecureChannel::seal_kind(PacketKind kind, std::uint8_t link,
                              std::span<const std::byte> payload, std::span<std::byte> out) {
    INVARIANT(out.size() >= payload.size() + kOverheadBytes);
    INVARIANT(payload.size() <= UINT16_MAX);

    if (next_counter_ == reserved_) reserve_counters();
    const std::uint64_t counter = next_counter_++;
    encode_header({.suite = suite(),
                   .kind = kind,
                   .key_id = keys_[sealing_place_]->key.id(),
                   .sender = self_,
                   .link = link,
                   .payload_bytes = static_cast<std::uint16_t>(payload.size()),
                   .incarnation = incarnation_,
                   .counter = counter},
                  out);
    const auto header = out.first<kHeaderBytes>();
    const auto text = out.subspan(kHeaderBytes, out.size() - kOverheadBytes);
    sealing_.seal(counter, header, payload, text, out.last<kTagBytes>());
}

void SecureChannel::seal(std::uint8_t link, std::span<const std::byte> payload,
                         std::span<std::byte> out) {
    seal_kind(PacketKind::Data, link, payload, out);
}

void SecureChannel::seal_hello(base::NodeId peer, std::uint8_t link, std::span<std::byte> out) {
    const Peer* to = find(peer);
    INVARIANT(to != nullptr);
    std::array<std::byte, kHelloBytes> hello{};
    encode_hello({.recipient = peer,
                  .wants_answer = !to->proven || to->candidate,
                  .challenge = to->challenge,
                  .echo = to->last_heard},
                 hello);
    seal_kind(PacketKind::Hello, link, hello, out);
}

void SecureChannel::seal_probe(std::uint8_t link, std::span<const std::byte> payload,
                               std::span<std::byte> out) {
    seal_kind(PacketKind::Probe, link, payload, out);
}

void SecureChannel::seal_obituary(std::span<std::byte> out) {
    seal_kind(PacketKind::Obituary, kAnyLink, {}, out);
}

base::Expected<PacketHeader, DropCause> SecureChannel::inspect(
    std::span<const std::byte> packet) const {
    const auto header = decode_header(packet);
    if (!header) return header;
    if (!has_key(header->key_id)) return base::fail(DropCause::ForeignCluster);
    if (!key_place(header->key_id, header->suite)) return base::fail(DropCause::OtherSuite);
    if (header->sender == self_) return base::fail(DropCause::FromSelf);
    if (find(header->sender) == nullptr) return base::fail(DropCause::UnknownSender);
    return header;
}

base::Expected<Opened, DropCause> SecureChannel::open(const PacketHeader& header, std::uint8_t link,
                                                      std::span<const std::byte> packet,
                                                      std::span<std::byte> out) {
    INVARIANT(packet.size() >= kOverheadBytes);
    INVARIANT(out.size() >= packet.size() - kOverheadBytes);
    if (header.link != kAnyLink && header.link != link) return base::fail(DropCause::OtherLink);

    Peer* peer = find(header.sender);
    INVARIANT(peer != nullptr);
    if (peer->has_ended(header.incarnation)) return base::fail(DropCause::StaleIncarnation);

    const bool is_proven = peer->proven && peer->proven->incarnation == header.incarnation;
    const bool is_candidate = peer->candidate && peer->candidate->incarnation == header.incarnation;
    // An obituary outlives the window: what makes it new is that the life it ends still is.
    if (header.kind == PacketKind::Obituary) {
        if (!is_proven) return base::fail(DropCause::StaleIncarnation);
        if (!open_with(*peer->proven, header, packet, out)) {
            return base::fail(DropCause::NotAuthentic);
        }
        end_proven(*peer);
        return Opened{
            .what = Opened::What::Obituary, .from = peer->node, .incarnation = header.incarnation};
    }

    std::optional<Life> unseen;
    if (!is_proven && !is_candidate) unseen = Life{.incarnation = header.incarnation};
    Life& life = is_proven ? *peer->proven : is_candidate ? *peer->candidate : *unseen;
    if (!open_with(life, header, packet, out)) return base::fail(DropCause::NotAuthentic);
    if (!life.window.accept(header.counter)) return base::fail(DropCause::Replayed);
    if (unseen) peer->candidate = std::move(unseen);
    Life& kept = is_proven ? *peer->proven : *peer->candidate;
    if (is_proven && memory_ != nullptr && peer->place) {
        memory_->saw(*peer->place, kept.window.highest());
    }

    if (header.kind == PacketKind::Hello) {
        return accept_hello(*peer, kept, header, out.first(header.payload_bytes));
    }
    Opened opened{.from = peer->node,
                  .incarnation = header.incarnation,
                  .payload_bytes = header.payload_bytes,
                  .say_hello = !is_proven};
    if (header.kind == PacketKind::Probe) {
        if (!is_proven) return base::fail(DropCause::Unproven);
        opened.what = Opened::What::Probe;
    } else if (!is_proven) {
        opened.what = Opened::What::Early;
    }
    return opened;
}

base::Expected<Opened, DropCause> SecureChannel::accept_hello(Peer& peer, Life& life,
                                                              const PacketHeader& header,
                                                              std::span<const std::byte> bytes) {
    const auto hello = decode_hello(bytes);
    if (!hello || hello->recipient != self_) return base::fail(DropCause::Malformed);
    Opened opened{.what = Opened::What::Hello,
                  .from = peer.node,
                  .incarnation = header.incarnation,
                  .say_hello = hello->wants_answer};
    peer.last_heard = hello->challenge;
    if (hello->echo == peer.challenge) {
        // Nobody can have recorded an answer to a challenge that was never sent before, and this
        // one is not used again: what sealed the answer is alive now.
        peer.challenge = random_value<Challenge>();
        if (peer.candidate && &life == &*peer.candidate) {
            if (peer.proven) end_proven(peer);
            peer.proven = std::move(peer.candidate);
            keep_proven(peer);
        }
        peer.candidate.reset();
        opened.what = Opened::What::Proven;
    } else if (!peer.proven || &life != &*peer.proven) {
        opened.say_hello = true;
    }
    return opened;
}

bool SecureChannel::open_with(Life& life, const PacketHeader& header,
                              std::span<const std::byte> packet, std::span<std::byte> out) {
    const auto place = key_place(header.key_id, header.suite);
    INVARIANT(place.has_value());
    auto& aead = life.aead[*place];
    if (!aead) {
        const auto sending =
            keys_[*place]->key.sending_key(header.suite, header.sender, life.incarnation);
        aead.emplace(header.suite, sending, Aead::Use::Open);
    }
    const std::size_t text_bytes = packet.size() - kOverheadBytes;
    return aead->open(header.counter, packet.first<kHeaderBytes>(),
                      packet.subspan(kHeaderBytes, text_bytes), packet.last<kTagBytes>(),
                      out.first(text_bytes));
}

bool SecureChannel::is_proven(base::NodeId node) const {
    const Peer* peer = find(node);
    return peer != nullptr && peer->proven;
}

bool SecureChannel::Peer::has_ended(std::uint64_t incarnation) const {
    return std::ranges::find(ended, incarnation) != ended.end();
}

const SecureChannel::Peer* SecureChannel::find(base::NodeId node) const {
    const auto at = std::ranges::lower_bound(peers_, node, {}, &Peer::node);
    return at != peers_.end() && at->node == node ? &*at : nullptr;
}

SecureChannel::Peer* SecureChannel::find(base::NodeId node) {
    const auto at = std::ranges::lower_bound(peers_, node, {}, &Peer::node);
    return at != peers_.end() && at->node == node ? &*at : nullptr;
}

std::optional<std::size_t> SecureChannel::key_place(std::uint32_t key_id, Suite suite) const {
    for (std::size_t place = 0; place < kKeysMax; ++place) {
        const auto& each = keys_[place];
        if (each && each->key.id() == key_id && each->suite == suite) return place;
    }
    return std::nullopt;
}

bool SecureChannel::has_key(std::uint32_t key_id) const {
    return std::ranges::any_of(keys_,
                               [&](const auto& each) { return each && each->key.id() == key_id; });
}

}  // namespace transport
