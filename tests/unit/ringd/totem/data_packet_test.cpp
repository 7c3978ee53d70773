#include "ringd/totem/data_packet.hpp"

#include "tests/unit/ringd/totem/codec_checks.hpp"

namespace {

using base::NodeId;
using totem::Chunk;
using totem::DataWriter;
using totem::Seq;

const DataWriter::Header kHeader{.ring = {.seq = 4, .representative = NodeId{1}},
                                 .seq = Seq{9},
                                 .sender = NodeId{2},
                                 .visit = totem::TokenSeq{30}};

Chunk chunk(bool first, bool last, std::uint32_t item_bytes, std::size_t length) {
    return {.first = first,
            .last = last,
            .guarantee = totem::Guarantee::Safe,
            .item_bytes = item_bytes,
            .offset = 0,
            .length = length};
}

// The end of one item, a whole one, and the beginning of a third.
base::Buffer sample() {
    totem::PacketMemory memory(200);
    DataWriter writer(kHeader, 200, memory);
    const Bytes payload(20, std::byte{0x61});
    writer.append(chunk(false, true, 100, 20), payload);
    writer.append(chunk(true, true, 0, 0), {});
    writer.append(chunk(true, false, 500, 20), payload);
    return std::move(writer).finish();
}

auto decode(const Bytes& bytes) {
    return totem::decode_data(base::Buffer::copy_of(bytes));
}

}  // namespace

TEST_CASE("a data packet gives its chunks back") {
    const auto data = totem::decode_data(sample());
    REQUIRE(data.has_value());
    CHECK(data->seq == Seq{9});
    CHECK(data->sender == NodeId{2});
    CHECK(data->visit == totem::TokenSeq{30});

    totem::ChunkReader reader(data->packet.bytes());
    const auto end = reader.next();
    REQUIRE(end.has_value());
    CHECK_FALSE(end->first);
    CHECK(end->last);
    CHECK(end->item_bytes == 100);
    CHECK(data->packet.bytes()[end->offset] == std::byte{0x61});
    CHECK(reader.next()->length == 0);
    CHECK(reader.next()->item_bytes == 500);
    CHECK_FALSE(reader.next().has_value());

    totem::ChunkReader later(data->packet.bytes(), 2);
    CHECK(later.next()->item_bytes == 500);
}

TEST_CASE("every damage of a data packet is told or harmless") {
    check_damage(sample(), decode, [](const totem::DataPacket& data) { return data.packet; });
}

TEST_CASE("a data packet that breaks an invariant is refused") {
    const Bytes good = bytes_of(sample());
    const std::size_t first_chunk = totem::kDataHeaderBytes;
    const std::size_t second_chunk = first_chunk + totem::kChunkHeaderBytes + 20;
    struct Row {
        std::size_t at;
        unsigned value;
    };
    for (const Row& row : {Row{2, 0},                    // No chunk.
                           Row{4, 0},                    // No representative.
                           Row{16, 0},                   // seq 0.
                           Row{24, 0},                   // No sender.
                           Row{first_chunk + 3, 1},      // An unknown flag.
                           Row{first_chunk + 2, 0},      // Unfinished, and not the last chunk.
                           Row{first_chunk + 4, 19},     // A fragment larger than its item.
                           Row{first_chunk + 7, 0xff},   // An item beyond kItemBytesMax.
                           Row{second_chunk + 2, 2},     // Continues, and not the first chunk.
                           Row{second_chunk + 4, 1}}) {  // Whole, and of another size.
        CAPTURE(row.at);
        CHECK_FALSE(decode(with_byte(good, row.at, row.value)).has_value());
    }
}

TEST_CASE("a writer says what still fits") {
    totem::PacketMemory memory(0);
    DataWriter writer(kHeader, totem::kDataHeaderBytes + totem::kChunkHeaderBytes + 4, memory);
    CHECK(writer.room() == 4);
    writer.append(chunk(true, true, 4, 4), Bytes(4));
    CHECK_FALSE(writer.room().has_value());
}
