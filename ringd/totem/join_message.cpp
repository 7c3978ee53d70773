#include "ringd/totem/join_message.hpp"

#include <algorithm>

#include "common/base/invariant.hpp"

namespace totem {
namespace {

constexpr std::uint16_t kFlagGathering = 1u << 0u;
constexpr std::size_t kHeaderBytes = kPacketHeadBytes + kRingIdBytes + 8;
constexpr std::size_t kRowBytes = 4 + kIncarnationBytes + 8 + 2;

bool in_range(const JoinMessage& join) {
    if (join.rows.empty() || join.rows.size() > kNodesMax) return false;
    const base::NodeId sender = join.rows.front().node;
    return join.proposal.contains(sender) && join.ring.seq <= join.ring_seq_max &&
           std::ranges::all_of(join.rows, [](const Row& row) {
               return row.node != base::kNoNode && row.hears.contains(row.node);
           });
}

// After the sender's own row, and without it.
bool rows_ascend(const std::vector<Row>& rows) {
    for (std::size_t i = 1; i < rows.size(); ++i) {
        if (rows[i].node == rows[0].node) return false;
        if (i > 1 && rows[i].node <= rows[i - 1].node) return false;
    }
    return true;
}

// The distinct sets in order of first use, and for each row which one is its own.
struct SharedSets {
    std::vector<const NodeSet*> sets;
    std::vector<std::uint16_t> of_row;
};

SharedSets shared_sets(const std::vector<Row>& rows) {
    SharedSets shared;
    for (const Row& row : rows) {
        const auto at = std::ranges::find_if(shared.sets,
                                             [&](const NodeSet* set) { return *set == row.hears; });
        shared.of_row.push_back(static_cast<std::uint16_t>(at - shared.sets.begin()));
        if (at == shared.sets.end()) shared.sets.push_back(&row.hears);
    }
    return shared;
}

}  // namespace

base::Expected<JoinMessage, WireError> decode_join(std::span<const std::byte> packet) {
    base::ByteReader reader(packet);
    const auto flags = read_head(reader, PacketType::Join);
    if (!flags) return base::fail(flags.error());

    JoinMessage join;
    join.gathering = (*flags & kFlagGathering) != 0;
    join.ring = read_ring(reader);
    join.ring_seq_max = reader.read<std::uint64_t>();
    if (!reader.ok()) return base::fail(WireError::Truncated);
    if ((*flags & ~kFlagGathering) != 0) return base::fail(WireError::OutOfRange);
    auto proposal = read_nodes(reader);
    if (!proposal) return base::fail(proposal.error());
    join.proposal = std::move(*proposal);

    const auto row_count = reader.read<std::uint16_t>();
    if (!reader.ok()) return base::fail(WireError::Truncated);
    if (row_count == 0 || row_count > kNodesMax) return base::fail(WireError::OutOfRange);
    if (reader.remaining() < row_count * kRowBytes) return base::fail(WireError::Truncated);

    std::vector<NodeSet> sets;
    join.rows.reserve(row_count);
    for (std::uint16_t i = 0; i < row_count; ++i) {
        Row row;
        row.node = base::NodeId{reader.read<std::uint32_t>()};
        row.incarnation = read_incarnation(reader);
        row.version = reader.read<std::uint64_t>();
        const auto set = reader.read<std::uint16_t>();
        if (!reader.ok()) return base::fail(WireError::Truncated);
        if (set > sets.size()) return base::fail(WireError::OutOfRange);
        if (set == sets.size()) {
            auto hears = read_nodes(reader);
            if (!hears) return base::fail(hears.error());
            if (std::ranges::find(sets, *hears) != sets.end()) {
                return base::fail(WireError::OutOfRange);
            }
            sets.push_back(std::move(*hears));
        }
        row.hears = sets[set];
        join.rows.push_back(std::move(row));
    }
    if (reader.remaining() > 0) return base::fail(WireError::TrailingBytes);
    if (!rows_ascend(join.rows)) return base::fail(WireError::NotAscending);
    if (!in_range(join)) return base::fail(WireError::OutOfRange);
    return join;
}

base::Buffer encode_join(const JoinMessage& join) {
    INVARIANT(rows_ascend(join.rows));
    INVARIANT(in_range(join));

    const SharedSets shared = shared_sets(join.rows);
    std::size_t bytes = kHeaderBytes + nodes_bytes(join.proposal) + 2;
    bytes += kRowBytes * join.rows.size();
    for (const NodeSet* set : shared.sets)
        bytes += nodes_bytes(*set);

    base::MutableBuffer packet(bytes);
    base::ByteWriter writer(packet.bytes());
    write_head(writer, PacketType::Join, join.gathering ? kFlagGathering : 0);
    write_ring(writer, join.ring);
    writer.write(join.ring_seq_max);
    write_nodes(writer, join.proposal);
    writer.write(static_cast<std::uint16_t>(join.rows.size()));
    std::size_t sets_written = 0;
    for (std::size_t i = 0; i < join.rows.size(); ++i) {
        const Row& row = join.rows[i];
        writer.write(row.node.value());
        write_incarnation(writer, row.incarnation);
        writer.write(row.version);
        writer.write(shared.of_row[i]);
        if (shared.of_row[i] == sets_written) {
            write_nodes(writer, row.hears);
            ++sets_written;
        }
    }
    INVARIANT(writer.written() == packet.size());
    return std::move(packet).freeze();
}

}  // namespace totem
