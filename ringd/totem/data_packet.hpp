// The data packet: one message of the total order. It carries items, whole or in fragments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "common/base/buffer.hpp"
#include "ringd/totem/events.hpp"
#include "ringd/totem/ring_config.hpp"
#include "ringd/totem/seq.hpp"
#include "ringd/totem/wire.hpp"

namespace totem {

inline constexpr std::size_t kDataHeaderBytes = 36;
inline constexpr std::size_t kChunkHeaderBytes = 8;
// A path carries at most what an IP datagram can.
inline constexpr std::size_t kPacketBytesMax = 65535;

// A decoded data packet is one whose every chunk was checked; `packet` holds all its bytes.
struct DataPacket {
    base::RingId ring{};
    Seq seq{};
    base::NodeId sender{};  // Who gave it its number. The one who re-sends it may be another.
    TokenSeq visit{};       // The visit of the token in which it was numbered.
    base::Buffer packet;
};

// An item or a fragment of one. Only the first chunk of a packet may continue an item, and only the
// last may leave one unfinished.
struct Chunk {
    bool first = false;  // The item begins here.
    bool last = false;   // The item ends here.
    Guarantee guarantee = Guarantee::Agreed;
    std::uint32_t item_bytes = 0;  // Of the whole item, at most kItemBytesMax.
    std::size_t offset = 0;        // Of the payload in the packet.
    std::size_t length = 0;
};

[[nodiscard]] base::Expected<DataPacket, WireError> decode_data(const base::Buffer& packet);

// The chunks of a packet that decode_data accepted, one by one.
class ChunkReader {
  public:
    // From chunk number `skip` on.
    explicit ChunkReader(std::span<const std::byte> packet, std::uint32_t skip = 0);
    // None after the last.
    [[nodiscard]] std::optional<Chunk> next();

  private:
    std::span<const std::byte> packet_;
    std::size_t at_ = kDataHeaderBytes;
};

// Memory for the packets of one visit, side by side in few blocks: they are kept about as long as
// each other, and a block lives as long as its last packet.
class PacketMemory {
  public:
    // For about so many bytes of packets; more is taken when it is needed.
    explicit PacketMemory(std::size_t expected_bytes) : expected_bytes_(expected_bytes) {}

    // Where the next packet may be written to. Needs: at most kPacketBytesMax.
    [[nodiscard]] std::span<std::byte> room(std::size_t bytes);
    // The first `bytes` of room() are a packet.
    [[nodiscard]] base::Buffer keep(std::size_t bytes);

  private:
    std::size_t expected_bytes_;
    base::MutableBuffer block_{0};
    std::size_t used_ = 0;
};

// Fills one packet of at most `packet_bytes_max` bytes.
class DataWriter {
  public:
    struct Header {
        base::RingId ring{};
        Seq seq{};
        base::NodeId sender{};
        TokenSeq visit{};
    };

    // The memory outlives the writer and has no other writer meanwhile.
    DataWriter(const Header& header, std::size_t packet_bytes_max, PacketMemory& memory);

    // Payload bytes that one more chunk could carry; none if not even its header fits.
    [[nodiscard]] std::optional<std::size_t> room() const;
    // Needs: payload.size() <= room().
    void append(const Chunk& chunk, std::span<const std::byte> payload);

    [[nodiscard]] std::uint16_t chunk_count() const { return chunk_count_; }
    // Needs: at least one chunk.
    [[nodiscard]] base::Buffer finish() &&;

  private:
    PacketMemory& memory_;
    std::span<std::byte> packet_;
    std::size_t at_ = kDataHeaderBytes;
    std::uint16_t chunk_count_ = 0;
};

}  // namespace totem
