#include "cpgd/core/record.hpp"

#include <algorithm>
#include <functional>
#include <span>
#include <type_traits>

#include "common/protocol/codec.hpp"

namespace cpg {
namespace {

using protocol::FrameError;
using protocol::FrameReader;
using protocol::FrameWriter;
using Part = protocol::cpg::Mcast::Part;

enum class Type : std::uint8_t {
    Open = 1,
    Join = 2,
    Leave = 3,
    End = 4,
    Mcast = 5,
    Flow = 6,
    Marker = 7,
    State = 8,
    McastRun = 9
};

constexpr std::size_t kFixedBytesMax = 40;  // The longest record without its texts and payload.
constexpr std::size_t kSessionBytesMin = 28;
constexpr std::size_t kHandleBytesMin = 6;
constexpr std::size_t kTextBytesMin = 2;
constexpr std::size_t kNodeProgressBytes = 36;
constexpr std::size_t kPlaceAt = 9;

// Said once and used at both ends: the decoder refuses what the encoder must never send.
bool in_range(const Mcast& mcast) {
    if (mcast.number == 0 || mcast.payload.size() > protocol::cpg::kPartBytesMax) return false;
    if (mcast.part == Part::Whole) return mcast.message_bytes == mcast.payload.size();
    return mcast.message_bytes >= mcast.payload.size();
}

bool in_range(const SessionState& session) {
    const auto& handles = session.handles;
    return session.session != SessionId{} &&
           std::ranges::adjacent_find(handles, std::greater_equal{}, &HandleState::handle) ==
               handles.end();
}

SessionId read_session(FrameReader& reader) {
    const SessionId session{reader.read<std::uint64_t>()};
    if (session == SessionId{}) reader.refuse(FrameError::OutOfRange);
    return session;
}

std::string read_group(FrameReader& reader) {
    return reader.read_text(protocol::cpg::kGroupNameMax);
}

Place read_place(FrameReader& reader) {
    Place place;
    place.life = reader.read<std::uint64_t>();
    place.number = reader.read<std::uint64_t>();
    return place;
}

void write_place(FrameWriter& writer, const Place& place) {
    writer.write(place.life);
    writer.write(place.number);
}

Open read_open(FrameReader& reader) {
    Open open;
    open.session = read_session(reader);
    open.pid = reader.read<std::uint32_t>();
    open.kernel_pid = reader.read<std::uint32_t>();
    open.uid = reader.read<std::uint32_t>();
    open.totem_events = reader.read_bool();
    open.initial_totem_event = reader.read_bool();
    return open;
}

Join read_join(FrameReader& reader) {
    Join join;
    join.session = read_session(reader);
    join.request = reader.read<std::uint32_t>();
    join.handle = GroupHandle{reader.read<std::uint32_t>()};
    join.group = read_group(reader);
    return join;
}

Leave read_leave(FrameReader& reader) {
    Leave leave;
    leave.session = read_session(reader);
    leave.request = reader.read<std::uint32_t>();
    leave.handle = GroupHandle{reader.read<std::uint32_t>()};
    return leave;
}

// A whole message says its length once.
Mcast read_mcast(FrameReader& reader) {
    Mcast mcast;
    mcast.session = read_session(reader);
    mcast.number = reader.read<std::uint64_t>();
    mcast.handle = GroupHandle{reader.read<std::uint32_t>()};
    mcast.part = reader.read_enum(Part::Last);
    if (mcast.part != Part::Whole) mcast.message_bytes = reader.read<std::uint64_t>();
    const std::size_t length = reader.read<std::uint32_t>();
    mcast.payload = reader.read_bytes(length);
    if (mcast.part == Part::Whole) mcast.message_bytes = length;
    if (!reader.error() && !in_range(mcast)) reader.refuse(FrameError::OutOfRange);
    return mcast;
}

Record read_run(FrameReader& reader) {
    McastRun run;
    run.session = read_session(reader);
    run.number = reader.read<std::uint64_t>();
    run.handle = GroupHandle{reader.read<std::uint32_t>()};
    const std::size_t length = reader.read<std::uint32_t>();
    auto messages = protocol::cpg::MessageRun::parse(reader.read_bytes(length));
    const bool is_good = messages && run.number > 0 && run.number <= UINT64_MAX - messages->count();
    if (!is_good) {
        reader.refuse(FrameError::OutOfRange);
        return run;
    }
    run.messages = *std::move(messages);
    if (run.messages.count() > 1) return run;
    return Mcast{.session = run.session,
                 .number = run.number,
                 .handle = run.handle,
                 .part = Part::Whole,
                 .message_bytes = run.messages.payload_bytes(),
                 .payload = run.messages.bytes().slice(protocol::cpg::kRunLengthBytes)};
}

Flow read_flow(FrameReader& reader) {
    Flow flow;
    flow.group = read_group(reader);
    flow.stop = reader.read_bool();
    return flow;
}

SessionState read_session_state(FrameReader& reader) {
    SessionState session;
    session.session = read_session(reader);
    session.pid = reader.read<std::uint32_t>();
    session.number = reader.read<std::uint64_t>();
    session.request = reader.read<std::uint32_t>();
    const std::size_t count = reader.read_count(kHandleBytesMin);
    session.handles.reserve(count);
    for (std::size_t i = 0; i < count && !reader.error(); ++i) {
        HandleState handle;
        handle.handle = GroupHandle{reader.read<std::uint32_t>()};
        handle.group = read_group(reader);
        session.handles.push_back(std::move(handle));
    }
    if (!reader.error() && !in_range(session)) reader.refuse(FrameError::OutOfRange);
    return session;
}

State read_state(FrameReader& reader) {
    State state;
    state.ring = reader.read_ring();
    state.version = reader.read<std::uint64_t>();
    state.caught_up = reader.read_bool();
    state.part = reader.read<std::uint32_t>();
    state.last = reader.read_bool();
    const std::size_t sessions = reader.read_count(kSessionBytesMin);
    state.sessions.reserve(sessions);
    for (std::size_t i = 0; i < sessions && !reader.error(); ++i) {
        state.sessions.push_back(read_session_state(reader));
    }
    const std::size_t stopped = reader.read_count(kTextBytesMin);
    state.stopped_groups.reserve(stopped);
    for (std::size_t i = 0; i < stopped && !reader.error(); ++i) {
        state.stopped_groups.push_back(read_group(reader));
    }
    const std::size_t had = reader.read_count(kNodeProgressBytes);
    state.had.reserve(had);
    for (std::size_t i = 0; i < had && !reader.error(); ++i) {
        NodeProgress& progress = state.had.emplace_back();
        progress.node = reader.read_node();
        progress.had.last = read_place(reader);
        progress.had.former = read_place(reader);
    }
    return state;
}

Record read_record(FrameReader& reader) {
    switch (static_cast<Type>(reader.read<std::uint8_t>())) {
        case Type::Open:
            return read_open(reader);
        case Type::Join:
            return read_join(reader);
        case Type::Leave:
            return read_leave(reader);
        case Type::End:
            return End{.session = read_session(reader)};
        case Type::Mcast:
            return read_mcast(reader);
        case Type::Flow:
            return read_flow(reader);
        case Type::Marker:
            return Marker{.nonce = reader.read<std::uint64_t>()};
        case Type::State:
            return read_state(reader);
        case Type::McastRun:
            return read_run(reader);
    }
    reader.refuse(FrameError::UnknownType);
    return Marker{};
}

void write_session(FrameWriter& writer, Type type, SessionId session) {
    INVARIANT(session != SessionId{});
    writer.write_enum(type);
    writer.write(session.value());
}

void write(FrameWriter& writer, const Open& open) {
    write_session(writer, Type::Open, open.session);
    writer.write(open.pid);
    writer.write(open.kernel_pid);
    writer.write(open.uid);
    writer.write_bool(open.totem_events);
    writer.write_bool(open.initial_totem_event);
}

void write(FrameWriter& writer, const Join& join) {
    write_session(writer, Type::Join, join.session);
    writer.write(join.request);
    writer.write(join.handle.value());
    writer.write_text(join.group);
}

void write(FrameWriter& writer, const Leave& leave) {
    write_session(writer, Type::Leave, leave.session);
    writer.write(leave.request);
    writer.write(leave.handle.value());
}

void write(FrameWriter& writer, const End& end) {
    write_session(writer, Type::End, end.session);
}

void write(FrameWriter& writer, const Mcast& mcast) {
    INVARIANT(in_range(mcast));
    write_session(writer, Type::Mcast, mcast.session);
    writer.write(mcast.number);
    writer.write(mcast.handle.value());
    writer.write_enum(mcast.part);
    if (mcast.part != Part::Whole) writer.write(mcast.message_bytes);
    writer.write_count(mcast.payload.size());
    writer.write_bytes(mcast.payload.bytes());
}

void write(FrameWriter& writer, const Flow& flow) {
    writer.write_enum(Type::Flow);
    writer.write_text(flow.group);
    writer.write_bool(flow.stop);
}

void write(FrameWriter& writer, const Marker& marker) {
    writer.write_enum(Type::Marker);
    writer.write(marker.nonce);
}

void write(FrameWriter& writer, const State& state) {
    writer.write_enum(Type::State);
    writer.write_ring(state.ring);
    writer.write(state.version);
    writer.write_bool(state.caught_up);
    writer.write(state.part);
    writer.write_bool(state.last);
    writer.write_count(state.sessions.size());
    for (const SessionState& session : state.sessions) {
        INVARIANT(in_range(session));
        writer.write(session.session.value());
        writer.write(session.pid);
        writer.write(session.number);
        writer.write(session.request);
        writer.write_count(session.handles.size());
        for (const HandleState& handle : session.handles) {
            writer.write(handle.handle.value());
            writer.write_text(handle.group);
        }
    }
    writer.write_count(state.stopped_groups.size());
    for (const std::string& group : state.stopped_groups) {
        writer.write_text(group);
    }
    writer.write_count(state.had.size());
    for (const NodeProgress& progress : state.had) {
        writer.write_node(progress.node);
        write_place(writer, progress.had.last);
        write_place(writer, progress.had.former);
    }
}

// The messages of a record that are one run, or a part of one.
struct RunPart {
    SessionId session{};
    std::uint64_t number = 0;  // Of the first.
    GroupHandle handle{};
    std::size_t count = 0;
    std::size_t bytes = 0;  // With their lengths.

    [[nodiscard]] bool takes(const RunPart& next) const {
        return next.session == session && next.handle == handle && next.number == number + count &&
               bytes + next.bytes <= protocol::cpg::kRunBytesMax &&
               count + next.count <= protocol::cpg::kRunMessagesMax;
    }
};

std::optional<RunPart> run_part_of(const Record& record) {
    if (const auto* run = std::get_if<McastRun>(&record)) {
        return RunPart{.session = run->session,
                       .number = run->number,
                       .handle = run->handle,
                       .count = run->messages.count(),
                       .bytes = run->messages.bytes().size()};
    }
    const auto* mcast = std::get_if<Mcast>(&record);
    if (mcast == nullptr || mcast->part != Part::Whole ||
        mcast->payload.size() > protocol::cpg::kRunPayloadMax)
        return std::nullopt;
    INVARIANT(in_range(*mcast));
    return RunPart{.session = mcast->session,
                   .number = mcast->number,
                   .handle = mcast->handle,
                   .count = 1,
                   .bytes = protocol::cpg::kRunLengthBytes + mcast->payload.size()};
}

void write_messages(FrameWriter& writer, const Record& record) {
    if (const auto* run = std::get_if<McastRun>(&record))
        return writer.write_bytes(run->messages.bytes().bytes());
    const base::Buffer& payload = std::get<Mcast>(record).payload;
    protocol::cpg::write_run_length(payload.size(),
                                    writer.extend(protocol::cpg::kRunLengthBytes).data());
    writer.write_bytes(payload.bytes());
}

using Records = std::span<const Record>;

// Writes the messages at the beginning that follow each other as one run. How many records they
// were; 0: what is first is no such message.
std::size_t write_run(FrameWriter& writer, Records records) {
    const auto first = run_part_of(records.front());
    if (!first) return 0;
    RunPart run = *first;
    std::size_t taken = 1;
    for (; taken < records.size(); ++taken) {
        const auto next = run_part_of(records[taken]);
        if (!next || !run.takes(*next)) break;
        run.count += next->count;
        run.bytes += next->bytes;
    }
    write_session(writer, Type::McastRun, run.session);
    writer.write(run.number);
    writer.write(run.handle.value());
    writer.write_count(run.bytes);
    for (const Record& record : records.first(taken)) {
        write_messages(writer, record);
    }
    return taken;
}

void write_record(FrameWriter& writer, const Record& record) {
    std::visit(
        [&](const auto& what) {
            if constexpr (!std::is_same_v<std::decay_t<decltype(what)>, McastRun>)
                write(writer, what);
        },
        record);
}

std::size_t variable_bytes(const Join& join) {
    return join.group.size();
}
std::size_t variable_bytes(const Flow& flow) {
    return flow.group.size();
}
std::size_t variable_bytes(const Mcast& mcast) {
    return mcast.payload.size();
}
std::size_t variable_bytes(const McastRun& run) {
    return run.messages.bytes().size();
}
std::size_t variable_bytes(const State& state) {
    std::size_t bytes = 13 + state.had.size() * kNodeProgressBytes;
    for (const SessionState& session : state.sessions) {
        bytes += encoded_bytes_max(Open{}) + 4;
        for (const HandleState& handle : session.handles) {
            bytes += kHandleBytesMin + handle.group.size();
        }
    }
    for (const std::string& group : state.stopped_groups) {
        bytes += kTextBytesMin + group.size();
    }
    return bytes;
}
template <class R>
std::size_t variable_bytes(const R&) {
    return 0;
}

}  // namespace

std::size_t encoded_bytes_max(const Record& record) {
    return kFixedBytesMax +
           std::visit([](const auto& what) { return variable_bytes(what); }, record);
}

base::Expected<Batch, FrameError> decode_batch(const base::Buffer& bytes) {
    FrameReader reader(bytes);
    const auto version = reader.read<std::uint8_t>();
    Batch batch;
    batch.incarnation = protocol::Incarnation{reader.read<std::uint64_t>()};
    batch.place = read_place(reader);
    if (reader.error()) return base::fail(FrameError::Truncated);
    if (version != kBatchVersion) return base::fail(FrameError::WrongVersion);
    while (reader.remaining() > 0) {
        batch.records.push_back(read_record(reader));
    }
    if (const auto error = reader.finish()) return base::fail(*error);
    return batch;
}

base::Buffer encode_batch(const Batch& batch) {
    std::size_t bytes = kBatchHeaderBytes;
    for (const Record& record : batch.records) {
        bytes += encoded_bytes_max(record);
    }
    FrameWriter writer(bytes);
    writer.write(kBatchVersion);
    writer.write(batch.incarnation.value());
    write_place(writer, batch.place);
    for (Records left = batch.records; !left.empty();) {
        const std::size_t taken = write_run(writer, left);
        if (taken == 0) write_record(writer, left.front());
        left = left.subspan(std::max<std::size_t>(taken, 1));
    }
    return std::move(writer).finish();
}

base::Buffer with_incarnation(const base::Buffer& batch, protocol::Incarnation incarnation) {
    INVARIANT(batch.size() >= kBatchHeaderBytes);
    FrameWriter writer(batch.size());
    writer.write(kBatchVersion);
    writer.write(incarnation.value());
    writer.write_bytes(batch.bytes().subspan(kPlaceAt));
    return std::move(writer).finish();
}

}  // namespace cpg
