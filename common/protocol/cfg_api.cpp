#include "common/protocol/cfg_api.hpp"

#include "common/protocol/codec.hpp"

namespace protocol::cfg {
namespace {

// The first byte of a frame; the second is kCfgApiVersion.
enum class FrameType : std::uint8_t {
    RingStatusGet = 0x01,
    NodeStatusGet = 0x02,
    NodeAddressesGet = 0x03,
    Kill = 0x04,
    TrackStart = 0x05,
    TrackStop = 0x06,
    Shutdown = 0x07,
    ShutdownAnswer = 0x08,
    Reload = 0x09,
    ReopenLogs = 0x0a,

    RingStatus = 0x81,
    NodeStatus = 0x82,
    NodeAddresses = 0x83,
    Message = 0x84,
    ShutdownAsked = 0x91
};

constexpr std::size_t kSmallFrameBytes = 64;

// The version is looked at before anything that it could have changed.
base::Expected<FrameType, FrameError> read_start(FrameReader& reader) {
    const auto type = reader.read<std::uint8_t>();
    const auto version = reader.read<std::uint8_t>();
    if (reader.error()) return base::fail(FrameError::Truncated);
    if (version != kCfgApiVersion) return base::fail(FrameError::WrongVersion);
    return static_cast<FrameType>(type);
}

void write_start(FrameWriter& writer, FrameType type) {
    writer.write_enum(type);
    writer.write(kCfgApiVersion);
}

Kill read_kill(FrameReader& reader) {
    const base::NodeId node = reader.read_node();
    return {.node = node, .reason = reader.read_text(kReasonBytesMax)};
}

Request read_request(FrameReader& reader, FrameType type) {
    switch (type) {
        case FrameType::RingStatusGet:
            return RingStatusGet{};
        case FrameType::NodeStatusGet:
            return NodeStatusGet{.node = reader.read_node()};
        case FrameType::NodeAddressesGet:
            return NodeAddressesGet{.node = reader.read_node()};
        case FrameType::Kill:
            return read_kill(reader);
        case FrameType::TrackStart:
            return TrackStart{};
        case FrameType::TrackStop:
            return TrackStop{};
        case FrameType::Shutdown:
            return Shutdown{.kind = reader.read_enum(ShutdownKind::Immediate)};
        case FrameType::ShutdownAnswer:
            return ShutdownAnswer{.agrees = reader.read_bool()};
        case FrameType::Reload:
            return Reload{};
        case FrameType::ReopenLogs:
            return ReopenLogs{};
        default:  // What a daemon sends, and what nobody sends.
            reader.refuse(FrameError::UnknownType);
            return ReopenLogs{};
    }
}

std::size_t read_link_count(FrameReader& reader) {
    const std::size_t count = reader.read<std::uint8_t>();
    if (count > kLinksMax) reader.refuse(FrameError::OutOfRange);
    return reader.error() ? 0 : count;
}

RingStatus read_ring_status(FrameReader& reader) {
    RingStatus status;
    const std::size_t count = read_link_count(reader);
    for (std::size_t i = 0; i < count; ++i) {
        RingStatus::Link link;
        link.number = reader.read<std::uint8_t>();
        link.address = reader.read_text(kAddressBytesMax);
        link.status = reader.read_text(kStatusBytesMax);
        const bool ascends = status.links.empty() || status.links.back().number < link.number;
        if (!ascends || link.number >= kLinksMax) reader.refuse(FrameError::OutOfRange);
        status.links.push_back(std::move(link));
    }
    return status;
}

NodeStatus read_node_status(FrameReader& reader) {
    NodeStatus status;
    status.node = reader.read_node();
    status.is_reachable = reader.read_bool();
    for (NodeStatus::Link& link : status.links) {
        link.is_enabled = reader.read_bool();
        link.is_connected = reader.read_bool();
        link.mtu = reader.read<std::uint32_t>();
        link.own_address = reader.read_text(kAddressBytesMax);
        link.peer_address = reader.read_text(kAddressBytesMax);
    }
    return status;
}

NodeAddresses read_addresses(FrameReader& reader) {
    NodeAddresses addresses;
    const std::size_t count = read_link_count(reader);
    for (std::size_t i = 0; i < count; ++i) {
        addresses.addresses.push_back(reader.read_text(kAddressBytesMax));
    }
    return addresses;
}

Reply read_reply(FrameReader& reader, FrameType type) {
    switch (type) {
        case FrameType::RingStatus:
            return read_ring_status(reader);
        case FrameType::NodeStatus:
            return read_node_status(reader);
        case FrameType::NodeAddresses:
            return read_addresses(reader);
        case FrameType::Message:
            return Message{.text = reader.read_text(kMessageBytesMax)};
        default:  // What a client sends, and what nobody sends.
            reader.refuse(FrameError::UnknownType);
            return Message{};
    }
}

void write(FrameWriter& writer, const RingStatusGet&) {
    write_start(writer, FrameType::RingStatusGet);
}
void write(FrameWriter& writer, const NodeStatusGet& get) {
    write_start(writer, FrameType::NodeStatusGet);
    writer.write_node(get.node);
}
void write(FrameWriter& writer, const NodeAddressesGet& get) {
    write_start(writer, FrameType::NodeAddressesGet);
    writer.write_node(get.node);
}
void write(FrameWriter& writer, const Kill& kill) {
    INVARIANT(kill.reason.size() <= kReasonBytesMax);
    write_start(writer, FrameType::Kill);
    writer.write_node(kill.node);
    writer.write_text(kill.reason);
}
void write(FrameWriter& writer, const TrackStart&) {
    write_start(writer, FrameType::TrackStart);
}
void write(FrameWriter& writer, const TrackStop&) {
    write_start(writer, FrameType::TrackStop);
}
void write(FrameWriter& writer, const Shutdown& shutdown) {
    write_start(writer, FrameType::Shutdown);
    writer.write_enum(shutdown.kind);
}
void write(FrameWriter& writer, const ShutdownAnswer& answer) {
    write_start(writer, FrameType::ShutdownAnswer);
    writer.write_bool(answer.agrees);
}
void write(FrameWriter& writer, const Reload&) {
    write_start(writer, FrameType::Reload);
}
void write(FrameWriter& writer, const ReopenLogs&) {
    write_start(writer, FrameType::ReopenLogs);
}

void write(FrameWriter& writer, const RingStatus& status) {
    INVARIANT(status.links.size() <= kLinksMax);
    write_start(writer, FrameType::RingStatus);
    writer.write(static_cast<std::uint8_t>(status.links.size()));
    for (const RingStatus::Link& link : status.links) {
        writer.write(link.number);
        writer.write_text(link.address);
        writer.write_text(link.status);
    }
}
void write(FrameWriter& writer, const NodeStatus& status) {
    write_start(writer, FrameType::NodeStatus);
    writer.write_node(status.node);
    writer.write_bool(status.is_reachable);
    for (const NodeStatus::Link& link : status.links) {
        writer.write_bool(link.is_enabled);
        writer.write_bool(link.is_connected);
        writer.write(link.mtu);
        writer.write_text(link.own_address);
        writer.write_text(link.peer_address);
    }
}
void write(FrameWriter& writer, const NodeAddresses& addresses) {
    INVARIANT(addresses.addresses.size() <= kLinksMax);
    write_start(writer, FrameType::NodeAddresses);
    writer.write(static_cast<std::uint8_t>(addresses.addresses.size()));
    for (const std::string& address : addresses.addresses) {
        writer.write_text(address);
    }
}
void write(FrameWriter& writer, const Message& message) {
    INVARIANT(message.text.size() <= kMessageBytesMax);
    write_start(writer, FrameType::Message);
    writer.write_text(message.text);
}

template <class Frame>
base::Buffer encoded(const Frame& frame) {
    FrameWriter writer(kSmallFrameBytes);
    std::visit([&](const auto& what) { write(writer, what); }, frame);
    return std::move(writer).finish();
}

}  // namespace

base::Expected<Request, FrameError> decode_request(const base::Buffer& frame) {
    FrameReader reader(frame);
    const auto type = read_start(reader);
    if (!type) return base::fail(type.error());
    Request request = read_request(reader, *type);
    if (const auto error = reader.finish()) return base::fail(*error);
    return request;
}

base::Expected<Reply, FrameError> decode_reply(const base::Buffer& frame) {
    FrameReader reader(frame);
    const auto type = read_start(reader);
    if (!type) return base::fail(type.error());
    Reply reply = read_reply(reader, *type);
    if (const auto error = reader.finish()) return base::fail(*error);
    return reply;
}

base::Expected<ShutdownAsked, FrameError> decode_event(const base::Buffer& frame) {
    FrameReader reader(frame);
    const auto type = read_start(reader);
    if (!type) return base::fail(type.error());
    if (*type != FrameType::ShutdownAsked) reader.refuse(FrameError::UnknownType);
    const ShutdownAsked asked{.kind = reader.read_enum(ShutdownKind::Immediate)};
    if (const auto error = reader.finish()) return base::fail(*error);
    return asked;
}

base::Buffer encode(const Request& request) {
    return encoded(request);
}
base::Buffer encode(const Reply& reply) {
    return encoded(reply);
}
base::Buffer encode(const ShutdownAsked& event) {
    FrameWriter writer(kSmallFrameBytes);
    write_start(writer, FrameType::ShutdownAsked);
    writer.write_enum(event.kind);
    return std::move(writer).finish();
}

}  // namespace protocol::cfg
