#include "cmapd/core/record.hpp"

#include <algorithm>

#include "common/protocol/cmap_frame.hpp"

namespace cmap {
namespace {

using protocol::FrameError;
using protocol::FrameReader;
using protocol::FrameWriter;

enum class RecordType : std::uint8_t {
    Op = 1,
    Summary = 2,
    State = 3,
    Replica = 4,
    Mark = 5,
    Stored = 6
};

constexpr std::size_t kVersionBytes = 8 + 4 + 8;
constexpr std::size_t kAnswerBytesMin = 8 + 8 + 4 + 8 + 2;
constexpr std::size_t kMemberBytes = 4 + 8;

void write_start(FrameWriter& writer, RecordType type, std::uint8_t version = kRecordVersion) {
    writer.write_enum(type);
    writer.write(version);
}

void write_version(FrameWriter& writer, const Version& version) {
    writer.write_ring(version.epoch);
    writer.write(version.count);
}
Version read_version(FrameReader& reader) {
    Version version;
    version.epoch = reader.read_ring();
    version.count = reader.read<std::uint64_t>();
    return version;
}

void write_lineage(FrameWriter& writer, const std::vector<Version>& lineage) {
    INVARIANT(lineage.size() <= kLineageMax);
    writer.write_count(lineage.size());
    for (const Version& version : lineage) {
        write_version(writer, version);
    }
}
std::vector<Version> read_lineage(FrameReader& reader) {
    const std::size_t count = reader.read_count(kVersionBytes);
    if (count > kLineageMax) reader.refuse(FrameError::OutOfRange);
    std::vector<Version> lineage;
    for (std::size_t i = 0; i < count && !reader.error(); ++i) {
        lineage.push_back(read_version(reader));
    }
    return lineage;
}

std::string_view text_of(const base::Buffer& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void write_answers(FrameWriter& writer, const std::map<SessionId, ClusterAnswer>& answers) {
    INVARIANT(answers.size() <= kAnswersMax);
    writer.write_count(answers.size());
    for (const auto& [session, answer] : answers) {
        writer.write(session.value());
        writer.write(answer.number);
        writer.write(static_cast<std::uint32_t>(answer.error));
        writer.write(answer.at);
        writer.write_text(text_of(answer.payload));
    }
}
std::map<SessionId, ClusterAnswer> read_answers(FrameReader& reader) {
    const std::size_t count = reader.read_count(kAnswerBytesMin);
    if (count > kAnswersMax) reader.refuse(FrameError::OutOfRange);
    std::map<SessionId, ClusterAnswer> answers;
    for (std::size_t i = 0; i < count && !reader.error(); ++i) {
        const SessionId session{reader.read<std::uint64_t>()};
        ClusterAnswer answer;
        answer.number = reader.read<std::uint64_t>();
        answer.error = static_cast<CsError>(reader.read<std::uint32_t>());
        answer.at = reader.read<std::uint64_t>();
        const std::string payload = reader.read_text(kAnswerBytesMax);
        answer.payload = base::Buffer::copy_of(std::as_bytes(std::span(payload)));
        const bool ascends = answers.empty() || answers.rbegin()->first < session;
        if (!ascends) reader.refuse(FrameError::OutOfRange);
        answers.emplace(session, std::move(answer));
    }
    return answers;
}

bool is_write(const protocol::cmap::Request& request) {
    return std::holds_alternative<protocol::cmap::Set>(request) ||
           std::holds_alternative<protocol::cmap::Delete>(request) ||
           std::holds_alternative<protocol::cmap::Step>(request) ||
           std::holds_alternative<protocol::cmap::Transaction>(request);
}

void write(FrameWriter& writer, const Op& op) {
    INVARIANT(is_write(op.request));
    write_start(writer, RecordType::Op);
    writer.write_ring(op.ring);
    writer.write(op.session.value());
    writer.write(op.number);
    writer.write_bytes(protocol::cmap::encode(op.request).bytes());
}
Op read_op(FrameReader& reader) {
    Op op;
    op.ring = reader.read_ring();
    op.session = SessionId{reader.read<std::uint64_t>()};
    op.number = reader.read<std::uint64_t>();
    auto request = protocol::cmap::decode_request(reader.read_rest());
    if (!request) {
        reader.refuse(request.error());
    } else if (!is_write(*request)) {
        reader.refuse(FrameError::OutOfRange);
    } else {
        op.request = std::move(*request);
    }
    return op;
}

void write(FrameWriter& writer, const Summary& summary) {
    write_start(writer, RecordType::Summary);
    writer.write_ring(summary.ring);
    writer.write(summary.view);
    write_version(writer, summary.version);
}
Summary read_summary(FrameReader& reader) {
    Summary summary;
    summary.ring = reader.read_ring();
    summary.view = reader.read<std::uint64_t>();
    summary.version = read_version(reader);
    return summary;
}

void write(FrameWriter& writer, const State& state) {
    write_start(writer, RecordType::State);
    writer.write_ring(state.ring);
    writer.write(state.view);
    writer.write(state.part);
    writer.write_bool(state.last);
    write_version(writer, state.version);
    writer.write(state.total);
    write_lineage(writer, state.lineage);
    writer.write_count(state.items.size());
    for (const protocol::cmap::Item& item : state.items) {
        writer.write_text(item.key);
        protocol::cmap::write_value(writer, item.value);
    }
    write_answers(writer, state.answers);
}
State read_state(FrameReader& reader) {
    State state;
    state.ring = reader.read_ring();
    state.view = reader.read<std::uint64_t>();
    state.part = reader.read<std::uint32_t>();
    state.last = reader.read_bool();
    state.version = read_version(reader);
    state.total = reader.read<std::uint64_t>();
    state.lineage = read_lineage(reader);
    const std::size_t count = reader.read_count(protocol::cmap::kItemBytesMin);
    for (std::size_t i = 0; i < count && !reader.error(); ++i) {
        protocol::cmap::Item item;
        item.key = reader.read_text(protocol::cmap::kKeyBytesMax);
        item.value = protocol::cmap::read_value(reader);
        state.items.push_back(std::move(item));
    }
    state.answers = read_answers(reader);
    return state;
}

void write(FrameWriter& writer, const Mark& mark) {
    write_start(writer, RecordType::Mark);
    writer.write(mark.incarnation.value());
    writer.write(mark.number);
}
Mark read_mark(FrameReader& reader) {
    Mark mark;
    mark.incarnation = protocol::Incarnation{reader.read<std::uint64_t>()};
    mark.number = reader.read<std::uint64_t>();
    return mark;
}

void write(FrameWriter& writer, const Stored& stored) {
    write_start(writer, RecordType::Stored);
    writer.write_ring(stored.ring);
    writer.write(stored.view);
    writer.write(stored.total);
    writer.write_bool(stored.asks);
}
Stored read_stored(FrameReader& reader) {
    Stored stored;
    stored.ring = reader.read_ring();
    stored.view = reader.read<std::uint64_t>();
    stored.total = reader.read<std::uint64_t>();
    stored.asks = reader.read_bool();
    return stored;
}

void write_nodes(FrameWriter& writer, const auto& nodes) {
    writer.write_count(nodes.size());
    for (const base::NodeId node : nodes) {
        writer.write_node(node);
    }
}
std::vector<base::NodeId> read_nodes(FrameReader& reader) {
    const std::size_t count = reader.read_count(sizeof(std::uint32_t));
    std::vector<base::NodeId> nodes;
    for (std::size_t i = 0; i < count && !reader.error(); ++i) {
        nodes.push_back(reader.read_node());
    }
    return nodes;
}

// `left` and `joined` of a view are of the moment, and not kept.
void write_view(FrameWriter& writer, const protocol::View& view) {
    writer.write_ring(view.ring);
    writer.write(view.version);
    writer.write_count(view.members.size());
    for (const protocol::ViewMember& member : view.members) {
        writer.write_node(member.node);
        writer.write(member.incarnation.value());
    }
    write_nodes(writer, view.ring_members);
}
protocol::View read_view(FrameReader& reader) {
    protocol::View view;
    view.ring = reader.read_ring();
    view.version = reader.read<std::uint64_t>();
    const std::size_t count = reader.read_count(kMemberBytes);
    for (std::size_t i = 0; i < count && !reader.error(); ++i) {
        protocol::ViewMember member;
        member.node = reader.read_node();
        member.incarnation = protocol::Incarnation{reader.read<std::uint64_t>()};
        view.members.push_back(member);
    }
    view.ring_members = read_nodes(reader);
    return view;
}

base::Expected<RecordType, FrameError> read_start(FrameReader& reader,
                                                  std::uint8_t known = kRecordVersion) {
    const auto type = reader.read<std::uint8_t>();
    const auto version = reader.read<std::uint8_t>();
    if (reader.error()) return base::fail(FrameError::Truncated);
    if (version != known) return base::fail(FrameError::WrongVersion);
    return static_cast<RecordType>(type);
}

}  // namespace

base::Buffer encode_record(const Record& record) {
    FrameWriter writer(256);
    std::visit([&](const auto& what) { write(writer, what); }, record);
    return std::move(writer).finish();
}

base::Expected<Record, FrameError> decode_record(const base::Buffer& bytes) {
    FrameReader reader(bytes);
    const auto type = read_start(reader);
    if (!type) return base::fail(type.error());
    Record record;
    switch (*type) {
        case RecordType::Op:
            record = read_op(reader);
            break;
        case RecordType::Summary:
            record = read_summary(reader);
            break;
        case RecordType::State:
            record = read_state(reader);
            break;
        case RecordType::Mark:
            record = read_mark(reader);
            break;
        case RecordType::Stored:
            record = read_stored(reader);
            break;
        case RecordType::Replica:
            return base::fail(FrameError::UnknownType);
        default:  // Of nobody.
            return base::fail(FrameError::UnknownType);
    }
    if (const auto error = reader.finish()) return base::fail(*error);
    return record;
}

base::Buffer encode_replica(const ReplicaState& state) {
    FrameWriter writer(1024);
    write_start(writer, RecordType::Replica, kReplicaVersion);
    writer.write(state.incarnation.value());
    writer.write(state.applied.value());
    writer.write_bool(state.is_synchronised);
    write_view(writer, state.view);
    writer.write_bool(state.came_along.has_value());
    if (state.came_along) write_nodes(writer, *state.came_along);
    write_version(writer, state.version);
    write_version(writer, state.settled);
    writer.write(state.total);
    write_lineage(writer, state.lineage);
    write_answers(writer, state.answers);
    return std::move(writer).finish();
}

base::Expected<ReplicaState, FrameError> decode_replica(const base::Buffer& bytes) {
    FrameReader reader(bytes);
    const auto type = read_start(reader, kReplicaVersion);
    if (!type) return base::fail(type.error());
    if (*type != RecordType::Replica) return base::fail(FrameError::UnknownType);
    ReplicaState state;
    state.incarnation = protocol::Incarnation{reader.read<std::uint64_t>()};
    state.applied = protocol::Cursor{reader.read<std::uint64_t>()};
    state.is_synchronised = reader.read_bool();
    state.view = read_view(reader);
    if (reader.read_bool()) {
        const auto nodes = read_nodes(reader);
        state.came_along.emplace(nodes.begin(), nodes.end());
        // Ascending and each once: one value has one encoding.
        if (!std::ranges::equal(nodes, *state.came_along)) reader.refuse(FrameError::OutOfRange);
    }
    state.version = read_version(reader);
    state.settled = read_version(reader);
    state.total = reader.read<std::uint64_t>();
    state.lineage = read_lineage(reader);
    state.answers = read_answers(reader);
    if (const auto error = reader.finish()) return base::fail(*error);
    return state;
}

}  // namespace cmap
