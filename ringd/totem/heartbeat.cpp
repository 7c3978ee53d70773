#include "ringd/totem/heartbeat.hpp"

#include "common/base/invariant.hpp"

namespace totem {
namespace {

constexpr std::uint16_t kFlagReplyWanted = 1u << 0u;
constexpr int kPromiseShift = 1;
constexpr std::size_t kHeaderBytes =
    kPacketHeadBytes + kRingIdBytes + 4 + kIncarnationBytes + 4 * 8;

bool in_range(const Heartbeat& heartbeat) {
    return heartbeat.row.node != base::kNoNode &&
           heartbeat.row.hears.contains(heartbeat.row.node) && heartbeat.sent_ns != 0 &&
           heartbeat.promise <= kPromiseMax &&
           (heartbeat.echo_ns != 0 || heartbeat.echo_age_ns == 0);
}

}  // namespace

base::Expected<Heartbeat, WireError> decode_heartbeat(std::span<const std::byte> packet) {
    base::ByteReader reader(packet);
    const auto flags = read_head(reader, PacketType::Heartbeat);
    if (!flags) return base::fail(flags.error());

    Heartbeat heartbeat;
    heartbeat.reply_wanted = (*flags & kFlagReplyWanted) != 0;
    heartbeat.promise = static_cast<std::uint16_t>(*flags >> kPromiseShift);
    heartbeat.ring = read_ring(reader);
    heartbeat.row.node = base::NodeId{reader.read<std::uint32_t>()};
    heartbeat.row.incarnation = read_incarnation(reader);
    heartbeat.row.version = reader.read<std::uint64_t>();
    heartbeat.sent_ns = reader.read<std::uint64_t>();
    heartbeat.echo_ns = reader.read<std::uint64_t>();
    heartbeat.echo_age_ns = reader.read<std::uint64_t>();
    if (!reader.ok()) return base::fail(WireError::Truncated);
    auto hears = read_nodes(reader);
    if (!hears) return base::fail(hears.error());
    if (reader.remaining() > 0) return base::fail(WireError::TrailingBytes);
    heartbeat.row.hears = std::move(*hears);
    if (!in_range(heartbeat)) return base::fail(WireError::OutOfRange);
    return heartbeat;
}

base::Buffer encode_heartbeat(const Heartbeat& heartbeat) {
    INVARIANT(in_range(heartbeat));
    base::MutableBuffer packet(kHeaderBytes + nodes_bytes(heartbeat.row.hears));
    base::ByteWriter writer(packet.bytes());
    const auto promise = static_cast<std::uint16_t>(heartbeat.promise << kPromiseShift);
    write_head(
        writer, PacketType::Heartbeat,
        static_cast<std::uint16_t>(promise | (heartbeat.reply_wanted ? kFlagReplyWanted : 0)));
    write_ring(writer, heartbeat.ring);
    writer.write(heartbeat.row.node.value());
    write_incarnation(writer, heartbeat.row.incarnation);
    writer.write(heartbeat.row.version);
    writer.write(heartbeat.sent_ns);
    writer.write(heartbeat.echo_ns);
    writer.write(heartbeat.echo_age_ns);
    INVARIANT(writer.written() == kHeaderBytes);
    write_nodes(writer, heartbeat.row.hears);
    INVARIANT(writer.written() == packet.size());
    return std::move(packet).freeze();
}

}  // namespace totem
