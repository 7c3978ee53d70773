// Who sent this packet, is it untouched, and is it new? One layer above all transports: it has no
// socket and no clock. The argument why a recording is never taken for a packet is in
// docs/design/0002-transport-security.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/base/ids.hpp"
#include "common/base/result.hpp"
#include "ringd/transport/aead.hpp"
#include "ringd/transport/channel_memory.hpp"
#include "ringd/transport/cluster_key.hpp"
#include "ringd/transport/drop_cause.hpp"
#include "ringd/transport/hello.hpp"
#include "ringd/transport/packet_header.hpp"
#include "ringd/transport/replay_window.hpp"

namespace transport {

// What a packet turned out to be.
struct Opened {
    enum class What : std::uint8_t {
        Data,      // For the core.
        Early,     // Data of a life that is authentic and not yet proven: keep it until Proven.
        Hello,     // Done with.
        Proven,    // A hello by which `from` has proven `incarnation` to be its present life.
        Probe,     // For the transport (path_size.hpp), of a proven life.
        Obituary,  // The present life of `from` is over.
    };
    What what = What::Data;
    base::NodeId from{};
    std::uint64_t incarnation = 0;
    std::size_t payload_bytes = 0;  // At the front of what open() wrote.
    bool say_hello = false;         // Send `from` a hello: it asked for one, or we must challenge.
};

class SecureChannel {
  public:
    // One key seals; while keys change the packets of one more are opened.
    static constexpr std::size_t kKeysMax = 2;

    // `incarnation` and `first_counter` as new_incarnation() and random_counter() give them.
    // Needs: Aead::is_available(suite).
    SecureChannel(base::NodeId self, Suite suite, const ClusterKey& key, std::uint64_t incarnation,
                  std::uint64_t first_counter);

    // Names a life: the wall clock's seconds in the upper half, so that a log reader sees the
    // order, and random bits in the lower.
    [[nodiscard]] static std::uint64_t new_incarnation();
    // Where a life begins to count. With the random half of the incarnation it makes the chance
    // that two lives share key and counter negligible even on hosts whose clock stands still.
    [[nodiscard]] static std::uint64_t random_counter();

    // From now on `memory` says how far this channel is, for a process that goes on with its life.
    // It outlives the channel. The first: a new life. The second: that which another process left,
    // whose incarnation and counter the channel was made with; call it after set_peers().
    void remember_in(ChannelMemory& memory);
    void go_on_in(ChannelMemory& memory, const ChannelMemory::Left& left);

    // Whom packets are accepted of. Those that stay keep their state.
    void set_peers(std::span<const base::NodeId> peers);

    // A change of key or suite in three steps, so that all can open what any seals: all accept the
    // new one; then each seals with it; when nobody seals with the old one any more it is dropped.
    // A step back before the second one is drop_other_key(), too.
    // Needs: Aead::is_available(suite).
    void accept_key(const ClusterKey& key, Suite suite);
    void seal_with(const ClusterKey& key, Suite suite);
    void drop_other_key();

    // From now on `key` seals, and packets of the key before are still opened.
    void change_key(const ClusterKey& key) { seal_with(key, suite()); }

    // Seals `payload` into the whole of `out`; what `out` is longer than payload and kOverheadBytes
    // is padding, so that packets of nearly one size can leave in one super-packet.
    void seal(std::uint8_t link, std::span<const std::byte> payload, std::span<std::byte> out);

    // Needs: out.size() >= kHelloBytes + kOverheadBytes, `peer` is configured. More is padding.
    void seal_hello(base::NodeId peer, std::uint8_t link, std::span<std::byte> out);
    void seal_probe(std::uint8_t link, std::span<const std::byte> payload,
                    std::span<std::byte> out);
    // Says that this life is over, whenever it is sent. Needs: out.size() >= kOverheadBytes.
    void seal_obituary(std::span<std::byte> out);

    // First step: everything that can be told without a key. The answer is not authentic.
    [[nodiscard]] base::Expected<PacketHeader, DropCause> inspect(
        std::span<const std::byte> packet) const;

    // Second step: opens what inspect() let through, into `out` of at least packet.size() -
    // kOverheadBytes bytes. A packet that is dropped has changed nothing.
    [[nodiscard]] base::Expected<Opened, DropCause> open(const PacketHeader& header,
                                                         std::uint8_t link,
                                                         std::span<const std::byte> packet,
                                                         std::span<std::byte> out);

    [[nodiscard]] bool is_proven(base::NodeId peer) const;
    [[nodiscard]] std::uint64_t incarnation() const { return incarnation_; }
    [[nodiscard]] Suite suite() const { return keys_[sealing_place_]->suite; }
    // Whether packets of another key than that which seals are opened, too.
    [[nodiscard]] bool has_other_key() const { return keys_[1 - sealing_place_].has_value(); }

  private:
    // From start to end of a peer's process.
    struct Life {
        std::uint64_t incarnation = 0;
        ReplayWindow window{};
        std::array<std::optional<Aead>, kKeysMax> aead{};  // By place of the key; made when needed.
    };

    // Enough for the recordings of as many former lives to cost nothing but a comparison.
    static constexpr std::size_t kEndedMax = 16;

    struct Peer {
        base::NodeId node{};
        std::optional<Life> proven;
        std::optional<Life> candidate;  // Authentic, but perhaps a recording.
        Challenge challenge{};          // Ours to this peer; a new one after each success.
        Challenge last_heard{};         // The peer's to us.
        std::array<std::uint64_t, kEndedMax> ended{};
        std::size_t ended_next = 0;
        std::optional<std::size_t> place;  // In the memory.

        [[nodiscard]] bool has_ended(std::uint64_t incarnation) const;
    };

    [[nodiscard]] const Peer* find(base::NodeId node) const;
    [[nodiscard]] Peer* find(base::NodeId node);
    [[nodiscard]] std::optional<std::size_t> key_place(std::uint32_t key_id, Suite suite) const;
    [[nodiscard]] bool has_key(std::uint32_t key_id) const;
    void keep_proven(const Peer& peer);
    void end_proven(Peer& peer);
    void reserve_counters();
    void put_key(std::size_t place, const ClusterKey& key, Suite suite);
    void seal_kind(PacketKind kind, std::uint8_t link, std::span<const std::byte> payload,
                   std::span<std::byte> out);
    [[nodiscard]] bool open_with(Life& life, const PacketHeader& header,
                                 std::span<const std::byte> packet, std::span<std::byte> out);
    [[nodiscard]] base::Expected<Opened, DropCause> accept_hello(Peer& peer, Life& life,
                                                                 const PacketHeader& header,
                                                                 std::span<const std::byte> bytes);

    struct Key {
        ClusterKey key;
        Suite suite;
    };

    base::NodeId self_;
    std::uint64_t incarnation_;
    std::uint64_t next_counter_;
    std::array<std::optional<Key>, kKeysMax> keys_;
    std::size_t sealing_place_ = 0;
    Aead sealing_;
    std::vector<Peer> peers_;  // Ascending by node.
    ChannelMemory* memory_ = nullptr;
    std::uint64_t reserved_ = UINT64_MAX;  // Counters below it may be used.
};

}  // namespace transport
