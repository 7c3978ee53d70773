#include "common/protocol/quorum_api.hpp"

#include <utility>

#include "common/protocol/codec.hpp"

namespace protocol::quorum {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kUsualBytes = 64;
constexpr std::size_t kNodeBytes = 4;
constexpr std::size_t kNodeAndStateBytes = 5;

enum class Type : std::uint8_t {
    GetQuorate = 0x01,
    Track = 0x02,
    TrackStop = 0x03,
    GetInfo = 0x04,
    SetExpected = 0x05,
    SetVotes = 0x06,
    DeviceRegister = 0x07,
    DeviceUnregister = 0x08,
    DeviceUpdate = 0x09,
    DevicePoll = 0x0a,
    DeviceMasterWins = 0x0b,
    TrackLease = 0x0c,
    Quorate = 0x81,
    Info = 0x82,
    NodelistEvent = 0x83,
    QuorumEvent = 0x84,
    ExpectedVotesEvent = 0x85
};

FrameWriter begin(Type type) {
    FrameWriter writer(kUsualBytes);
    writer.write_enum(type);
    writer.write(kVersion);
    return writer;
}

std::string read_name(FrameReader& reader) {
    return reader.read_text(kDeviceNameMax);
}

NodeState read_state(FrameReader& reader) {
    const auto state = reader.read<std::uint8_t>();
    if (state < 1 || state > 3) reader.refuse(FrameError::OutOfRange);
    return static_cast<NodeState>(state);
}

std::vector<base::NodeId> read_nodes(FrameReader& reader) {
    std::vector<base::NodeId> nodes;
    const std::size_t count = reader.read_count(kNodeBytes);
    for (std::size_t i = 0; i < count && !reader.error(); ++i) {
        nodes.push_back(reader.read_node());
        if (i > 0 && nodes[i] <= nodes[i - 1]) reader.refuse(FrameError::OutOfRange);
    }
    return nodes;
}

void write_nodes(FrameWriter& writer, const std::vector<base::NodeId>& nodes) {
    writer.write_count(nodes.size());
    for (const base::NodeId node : nodes) {
        writer.write_node(node);
    }
}

// ---------------------------------------------------------------- requests

FrameWriter write(const GetQuorate&) {
    return begin(Type::GetQuorate);
}
FrameWriter write(const Track& track) {
    FrameWriter writer = begin(Type::Track);
    writer.write(track.context);
    writer.write_bool(track.now);
    return writer;
}
FrameWriter write(const TrackStop&) {
    return begin(Type::TrackStop);
}
FrameWriter write(const TrackLease&) {
    return begin(Type::TrackLease);
}
FrameWriter write(const GetInfo& get) {
    FrameWriter writer = begin(Type::GetInfo);
    writer.write_node(get.node);
    return writer;
}
FrameWriter write(const SetExpected& set) {
    FrameWriter writer = begin(Type::SetExpected);
    writer.write(set.votes);
    return writer;
}
FrameWriter write(const SetVotes& set) {
    FrameWriter writer = begin(Type::SetVotes);
    writer.write_node(set.node);
    writer.write(set.votes);
    return writer;
}
FrameWriter write(const DeviceRegister& device) {
    FrameWriter writer = begin(Type::DeviceRegister);
    writer.write_text(device.name);
    return writer;
}
FrameWriter write(const DeviceUnregister& device) {
    FrameWriter writer = begin(Type::DeviceUnregister);
    writer.write_text(device.name);
    return writer;
}
FrameWriter write(const DeviceUpdate& device) {
    FrameWriter writer = begin(Type::DeviceUpdate);
    writer.write_text(device.old_name);
    writer.write_text(device.new_name);
    return writer;
}
FrameWriter write(const DevicePoll& poll) {
    FrameWriter writer = begin(Type::DevicePoll);
    writer.write_text(poll.name);
    writer.write_bool(poll.casts);
    writer.write_ring(poll.ring);
    return writer;
}
FrameWriter write(const DeviceMasterWins& device) {
    FrameWriter writer = begin(Type::DeviceMasterWins);
    writer.write_text(device.name);
    writer.write_bool(device.allowed);
    return writer;
}

Track read_track(FrameReader& reader) {
    Track track;
    track.context = reader.read<std::uint64_t>();
    track.now = reader.read_bool();
    return track;
}
SetVotes read_set_votes(FrameReader& reader) {
    SetVotes set;
    set.node = reader.read_node();
    set.votes = reader.read<std::uint32_t>();
    return set;
}
DeviceUpdate read_update(FrameReader& reader) {
    DeviceUpdate update;
    update.old_name = read_name(reader);
    update.new_name = read_name(reader);
    return update;
}
DevicePoll read_poll(FrameReader& reader) {
    DevicePoll poll;
    poll.name = read_name(reader);
    poll.casts = reader.read_bool();
    poll.ring = reader.read_ring();
    return poll;
}
DeviceMasterWins read_master_wins(FrameReader& reader) {
    DeviceMasterWins device;
    device.name = read_name(reader);
    device.allowed = reader.read_bool();
    return device;
}

// ---------------------------------------------------------------- answers

FrameWriter write(const Quorate& quorate) {
    FrameWriter writer = begin(Type::Quorate);
    writer.write_bool(quorate.has_provider);
    writer.write_bool(quorate.quorate);
    writer.write(quorate.until_ns);
    return writer;
}
FrameWriter write(const Info& info) {
    FrameWriter writer = begin(Type::Info);
    writer.write_node(info.node);
    writer.write_enum(info.state);
    for (const std::uint32_t value :
         {info.votes, info.expected_votes, info.highest_expected, info.total_votes, info.quorum,
          info.flags, info.device_votes}) {
        writer.write(value);
    }
    writer.write_text(info.device_name);
    return writer;
}
FrameWriter write(const NodelistEvent& event) {
    FrameWriter writer = begin(Type::NodelistEvent);
    writer.write(event.context);
    writer.write_ring(event.ring);
    write_nodes(writer, event.members);
    write_nodes(writer, event.joined);
    write_nodes(writer, event.left);
    return writer;
}
FrameWriter write(const QuorumEvent& event) {
    FrameWriter writer = begin(Type::QuorumEvent);
    writer.write(event.context);
    writer.write_bool(event.quorate);
    writer.write_ring(event.ring);
    writer.write(event.until_ns);
    writer.write_count(event.nodes.size());
    for (const NodeAndState& node : event.nodes) {
        writer.write_node(node.node);
        writer.write_enum(node.state);
    }
    return writer;
}
FrameWriter write(const ExpectedVotesEvent& event) {
    FrameWriter writer = begin(Type::ExpectedVotesEvent);
    writer.write(event.context);
    writer.write(event.votes);
    return writer;
}

Quorate read_quorate(FrameReader& reader) {
    Quorate quorate;
    quorate.has_provider = reader.read_bool();
    quorate.quorate = reader.read_bool();
    quorate.until_ns = reader.read<std::uint64_t>();
    return quorate;
}
Info read_info(FrameReader& reader) {
    Info info;
    info.node = reader.read_node();
    info.state = read_state(reader);
    for (std::uint32_t* value :
         {&info.votes, &info.expected_votes, &info.highest_expected, &info.total_votes,
          &info.quorum, &info.flags, &info.device_votes}) {
        *value = reader.read<std::uint32_t>();
    }
    info.device_name = read_name(reader);
    return info;
}
NodelistEvent read_nodelist(FrameReader& reader) {
    NodelistEvent event;
    event.context = reader.read<std::uint64_t>();
    event.ring = reader.read_ring();
    event.members = read_nodes(reader);
    event.joined = read_nodes(reader);
    event.left = read_nodes(reader);
    return event;
}
QuorumEvent read_quorum(FrameReader& reader) {
    QuorumEvent event;
    event.context = reader.read<std::uint64_t>();
    event.quorate = reader.read_bool();
    event.ring = reader.read_ring();
    event.until_ns = reader.read<std::uint64_t>();
    const std::size_t count = reader.read_count(kNodeAndStateBytes);
    for (std::size_t i = 0; i < count && !reader.error(); ++i) {
        const base::NodeId node = reader.read_node();
        event.nodes.push_back({.node = node, .state = read_state(reader)});
        if (i > 0 && node <= event.nodes[i - 1].node) reader.refuse(FrameError::OutOfRange);
    }
    return event;
}
ExpectedVotesEvent read_expected(FrameReader& reader) {
    ExpectedVotesEvent event;
    event.context = reader.read<std::uint64_t>();
    event.votes = reader.read<std::uint32_t>();
    return event;
}

Request read_request(Type type, FrameReader& reader) {
    switch (static_cast<std::uint8_t>(type)) {
        case 0x01:
            return GetQuorate{};
        case 0x02:
            return read_track(reader);
        case 0x03:
            return TrackStop{};
        case 0x04:
            return GetInfo{.node = reader.read_node()};
        case 0x05:
            return SetExpected{.votes = reader.read<std::uint32_t>()};
        case 0x06:
            return read_set_votes(reader);
        case 0x07:
            return DeviceRegister{.name = read_name(reader)};
        case 0x08:
            return DeviceUnregister{.name = read_name(reader)};
        case 0x09:
            return read_update(reader);
        case 0x0a:
            return read_poll(reader);
        case 0x0b:
            return read_master_wins(reader);
        case 0x0c:
            return TrackLease{};
        default:
            reader.refuse(FrameError::UnknownType);
            return GetQuorate{};
    }
}

Answer read_answer(Type type, FrameReader& reader) {
    switch (static_cast<std::uint8_t>(type)) {
        case 0x81:
            return read_quorate(reader);
        case 0x82:
            return read_info(reader);
        case 0x83:
            return read_nodelist(reader);
        case 0x84:
            return read_quorum(reader);
        case 0x85:
            return read_expected(reader);
        default:
            reader.refuse(FrameError::UnknownType);
            return Quorate{};
    }
}

}  // namespace

base::Expected<Request, FrameError> decode_request(const base::Buffer& frame) {
    FrameReader reader(frame);
    const auto type = static_cast<Type>(reader.read<std::uint8_t>());
    if (reader.read<std::uint8_t>() != kVersion) reader.refuse(FrameError::WrongVersion);
    Request request = read_request(type, reader);
    if (const auto error = reader.finish()) return base::fail(*error);
    return request;
}

base::Expected<Answer, FrameError> decode_answer(const base::Buffer& frame) {
    FrameReader reader(frame);
    const auto type = static_cast<Type>(reader.read<std::uint8_t>());
    if (reader.read<std::uint8_t>() != kVersion) reader.refuse(FrameError::WrongVersion);
    Answer answer = read_answer(type, reader);
    if (const auto error = reader.finish()) return base::fail(*error);
    return answer;
}

base::Buffer encode(const Request& request) {
    return std::visit([](const auto& what) { return write(what).finish(); }, request);
}

base::Buffer encode(const Answer& answer) {
    return std::visit([](const auto& what) { return write(what).finish(); }, answer);
}

}  // namespace protocol::quorum
