#include "quorumd/core/message.hpp"

#include <utility>

#include "quorumd/core/codec.hpp"

namespace quorum {
namespace {

using protocol::FrameError;
using protocol::FrameReader;
using protocol::FrameWriter;

enum class Type : std::uint8_t {
    State = 1,
    Announce = 2,
    Renewal = 3,
    SetExpected = 4,
    SetVotes = 5,
    CancelWaitForAll = 6,
    Lower = 7,
    Skip = 8,
    Grant = 9
};

constexpr std::size_t kNodeBytes = 4;
constexpr std::size_t kUsualBytes = 128;

void write(FrameWriter& writer, const State& state) {
    writer.write_enum(Type::State);
    write_announcement(writer, state.own);
    write_standing(writer, state.standing);
    writer.write(state.others_left_ago_ms);
}
void write(FrameWriter& writer, const Announce& announce) {
    writer.write_enum(Type::Announce);
    write_announcement(writer, announce.own);
}
void write(FrameWriter& writer, const Renewal&) {
    writer.write_enum(Type::Renewal);
}
void write(FrameWriter& writer, const SetExpected& set) {
    writer.write_enum(Type::SetExpected);
    writer.write(set.expected_votes);
}
void write(FrameWriter& writer, const SetVotes& set) {
    writer.write_enum(Type::SetVotes);
    writer.write_node(set.node);
    writer.write(set.votes);
}
void write(FrameWriter& writer, const CancelWaitForAll&) {
    writer.write_enum(Type::CancelWaitForAll);
}
void write(FrameWriter& writer, const Lower&) {
    writer.write_enum(Type::Lower);
}
void write(FrameWriter& writer, const Skip& skip) {
    writer.write_enum(Type::Skip);
    writer.write_count(skip.nodes.size());
    for (const base::NodeId node : skip.nodes) {
        writer.write_node(node);
    }
}
void write(FrameWriter& writer, const Grant&) {
    writer.write_enum(Type::Grant);
}

State read_state(FrameReader& reader) {
    State state;
    state.own = read_announcement(reader);
    state.standing = read_standing(reader);
    state.others_left_ago_ms = reader.read<std::uint32_t>();
    return state;
}

std::uint32_t read_changed_votes(FrameReader& reader) {
    const auto votes = reader.read<std::uint32_t>();
    if (votes > kVotesMax) reader.refuse(FrameError::OutOfRange);
    return votes;
}

Skip read_skip(FrameReader& reader) {
    Skip skip;
    const std::size_t count = reader.read_count(kNodeBytes);
    if (count > kListMax) reader.refuse(FrameError::OutOfRange);
    base::NodeId last{};
    for (std::size_t i = 0; i < count && !reader.error(); ++i) {
        const base::NodeId node = reader.read_node();
        if (node <= last) reader.refuse(FrameError::OutOfRange);
        last = node;
        skip.nodes.push_back(node);
    }
    return skip;
}

}  // namespace

base::Expected<Message, FrameError> decode_message(const base::Buffer& bytes) {
    FrameReader reader(bytes);
    if (reader.read<std::uint16_t>() != kMessageVersion) reader.refuse(FrameError::WrongVersion);
    Message message;
    message.life = reader.read<std::uint64_t>();
    message.number = reader.read<std::uint64_t>();
    message.view = read_view_id(reader);
    const auto type = reader.read<std::uint8_t>();
    switch (static_cast<Type>(type)) {
        case Type::State:
            message.what = read_state(reader);
            break;
        case Type::Announce:
            message.what = Announce{.own = read_announcement(reader)};
            break;
        case Type::Renewal:
            message.what = Renewal{};
            break;
        case Type::SetExpected:
            message.what = SetExpected{.expected_votes = read_changed_votes(reader)};
            break;
        case Type::SetVotes: {
            const base::NodeId node = reader.read_node();
            message.what = SetVotes{.node = node, .votes = read_changed_votes(reader)};
            break;
        }
        case Type::CancelWaitForAll:
            message.what = CancelWaitForAll{};
            break;
        case Type::Lower:
            message.what = Lower{};
            break;
        case Type::Skip:
            message.what = read_skip(reader);
            break;
        case Type::Grant:
            message.what = Grant{};
            break;
        default:
            reader.refuse(FrameError::UnknownType);
    }
    if (const auto error = reader.finish()) return base::fail(*error);
    return message;
}

base::Buffer encode_message(const Message& message) {
    FrameWriter writer(kUsualBytes);
    writer.write(kMessageVersion);
    writer.write(message.life);
    writer.write(message.number);
    write_view_id(writer, message.view);
    std::visit([&writer](const auto& what) { write(writer, what); }, message.what);
    return std::move(writer).finish();
}

}  // namespace quorum
