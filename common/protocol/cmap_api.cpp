#include "common/protocol/cmap_api.hpp"

#include "common/protocol/cmap_frame.hpp"

namespace protocol::cmap {
namespace {

// The first byte of a request; the second is kCmapApiVersion.
enum class RequestType : std::uint8_t {
    Get = 0x01,
    Set = 0x02,
    Delete = 0x03,
    Step = 0x04,
    Iterate = 0x05,
    List = 0x06,
    TrackAdd = 0x07,
    TrackDelete = 0x08,
    Transaction = 0x09,
    GetOwn = 0x0a,  // A Get and a List with `own`.
    ListOwn = 0x0b
};

enum class AnswerType : std::uint8_t {
    Refusal = 0x81,
    Got = 0x82,
    Next = 0x83,
    Listed = 0x84,
    Tracking = 0x85,
    Done = 0x86,
    Changed = 0x87
};

constexpr std::size_t kSmallFrameBytes = 128;
constexpr std::size_t kReasonTextMax = 1024;

template <class E>
void write_start(FrameWriter& writer, E type) {
    writer.write_enum(type);
    writer.write(kCmapApiVersion);
}

Map read_map(FrameReader& reader) {
    return reader.read_enum(Map::Stats);
}

// ---------------------------------------------------------------- requests

// A name of a key, whole or its beginning: the core says which are none.
std::string read_name(FrameReader& reader) {
    return reader.read_text(kKeyBytesMax);
}

Get read_get(FrameReader& reader, bool own) {
    Get get;
    get.map = read_map(reader);
    get.key = read_name(reader);
    get.own = own;
    return get;
}

Set read_set(FrameReader& reader) {
    Set set;
    set.map = read_map(reader);
    set.key = read_name(reader);
    set.value = read_value(reader);
    return set;
}

Step read_step(FrameReader& reader) {
    Step step;
    step.map = read_map(reader);
    step.key = read_name(reader);
    step.step = static_cast<std::int32_t>(reader.read<std::uint32_t>());
    return step;
}

template <class Range>
Range read_range(FrameReader& reader) {
    Range range;
    range.map = read_map(reader);
    range.prefix = read_name(reader);
    range.after = read_name(reader);
    return range;
}

TrackAdd read_track_add(FrameReader& reader) {
    TrackAdd add;
    add.map = read_map(reader);
    add.track = TrackId{reader.read<std::uint64_t>()};
    add.key = read_name(reader);
    add.prefix = reader.read_bool();
    add.events = reader.read<std::uint8_t>();
    add.since = Revision{reader.read<std::uint64_t>()};
    if ((add.events & ~kEventBits) != 0) reader.refuse(FrameError::OutOfRange);
    return add;
}

Request read_request(FrameReader& reader, RequestType type) {
    switch (type) {
        case RequestType::Get:
        case RequestType::GetOwn:
            return read_get(reader, type == RequestType::GetOwn);
        case RequestType::Set:
            return read_set(reader);
        case RequestType::Delete: {
            Delete gone;
            gone.map = read_map(reader);
            gone.key = read_name(reader);
            return gone;
        }
        case RequestType::Step:
            return read_step(reader);
        case RequestType::Iterate:
            return read_range<Iterate>(reader);
        case RequestType::List:
            return read_range<List>(reader);
        case RequestType::ListOwn: {
            List list = read_range<List>(reader);
            list.own = true;
            return list;
        }
        case RequestType::TrackAdd:
            return read_track_add(reader);
        case RequestType::TrackDelete:
            return TrackDelete{.track = TrackId{reader.read<std::uint64_t>()}};
        case RequestType::Transaction:
            return read_transaction(reader);
    }
    reader.refuse(FrameError::UnknownType);
    return TrackDelete{};
}

void write(FrameWriter& writer, const Get& get) {
    write_start(writer, get.own ? RequestType::GetOwn : RequestType::Get);
    writer.write_enum(get.map);
    writer.write_text(get.key);
}
void write(FrameWriter& writer, const Set& set) {
    write_start(writer, RequestType::Set);
    writer.write_enum(set.map);
    writer.write_text(set.key);
    write_value(writer, set.value);
}
void write(FrameWriter& writer, const Delete& gone) {
    write_start(writer, RequestType::Delete);
    writer.write_enum(gone.map);
    writer.write_text(gone.key);
}
void write(FrameWriter& writer, const Step& step) {
    write_start(writer, RequestType::Step);
    writer.write_enum(step.map);
    writer.write_text(step.key);
    writer.write(static_cast<std::uint32_t>(step.step));
}
template <class Range>
void write_range(FrameWriter& writer, RequestType type, const Range& range) {
    write_start(writer, type);
    writer.write_enum(range.map);
    writer.write_text(range.prefix);
    writer.write_text(range.after);
}
void write(FrameWriter& writer, const Iterate& iterate) {
    write_range(writer, RequestType::Iterate, iterate);
}
void write(FrameWriter& writer, const List& list) {
    write_range(writer, list.own ? RequestType::ListOwn : RequestType::List, list);
}
void write(FrameWriter& writer, const TrackAdd& add) {
    INVARIANT((add.events & ~kEventBits) == 0);
    write_start(writer, RequestType::TrackAdd);
    writer.write_enum(add.map);
    writer.write(add.track.value());
    writer.write_text(add.key);
    writer.write_bool(add.prefix);
    writer.write(add.events);
    writer.write(add.since.value());
}
void write(FrameWriter& writer, const TrackDelete& gone) {
    write_start(writer, RequestType::TrackDelete);
    writer.write(gone.track.value());
}
void write(FrameWriter& writer, const Transaction& transaction) {
    write_start(writer, RequestType::Transaction);
    write_transaction(writer, transaction);
}

// ---------------------------------------------------------------- answers

Listed read_listed(FrameReader& reader) {
    Listed listed;
    const std::size_t count = reader.read_count(kItemBytesMin);
    listed.items.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        Item item;
        item.key = read_name(reader);
        item.value = read_value(reader);
        listed.items.push_back(std::move(item));
    }
    listed.more = reader.read_bool();
    return listed;
}

Answer read_answer(FrameReader& reader, AnswerType type) {
    switch (type) {
        case AnswerType::Refusal:
            return Refusal{.reason = reader.read_text(kReasonTextMax)};
        case AnswerType::Got:
            return Got{.value = read_value(reader)};
        case AnswerType::Next: {
            Next next;
            next.key = read_name(reader);
            next.type = read_type(reader);
            next.bytes = reader.read<std::uint32_t>();
            return next;
        }
        case AnswerType::Listed:
            return read_listed(reader);
        case AnswerType::Tracking:
            return Tracking{.revision = Revision{reader.read<std::uint64_t>()}};
        case AnswerType::Done: {
            Done done;
            done.revision = Revision{reader.read<std::uint64_t>()};
            done.failed_condition = reader.read<std::uint32_t>();
            return done;
        }
        case AnswerType::Changed:
            break;
    }
    reader.refuse(FrameError::UnknownType);
    return Refusal{};
}

void write(FrameWriter& writer, const Refusal& refusal) {
    write_start(writer, AnswerType::Refusal);
    writer.write_text(std::string_view(refusal.reason).substr(0, kReasonTextMax));
}
void write(FrameWriter& writer, const Got& got) {
    write_start(writer, AnswerType::Got);
    write_value(writer, got.value);
}
void write(FrameWriter& writer, const Next& next) {
    write_start(writer, AnswerType::Next);
    writer.write_text(next.key);
    writer.write_enum(next.type);
    writer.write(next.bytes);
}
void write(FrameWriter& writer, const Listed& listed) {
    write_start(writer, AnswerType::Listed);
    writer.write_count(listed.items.size());
    for (const Item& item : listed.items) {
        writer.write_text(item.key);
        write_value(writer, item.value);
    }
    writer.write_bool(listed.more);
}
void write(FrameWriter& writer, const Tracking& tracking) {
    write_start(writer, AnswerType::Tracking);
    writer.write(tracking.revision.value());
}
void write(FrameWriter& writer, const Done& done) {
    write_start(writer, AnswerType::Done);
    writer.write(done.revision.value());
    writer.write(done.failed_condition);
}

// An event of this kind has these values.
bool is_of_kind(const Changed& changed) {
    switch (changed.kind) {
        case kAdd:
            return !changed.old_value && changed.new_value;
        case kDelete:
            return !changed.new_value;
        case kModify:
            return changed.new_value.has_value();
        default:
            return false;
    }
}

// Type and version of a frame; 0 when it is refused.
template <class E>
base::Expected<E, FrameError> read_start(FrameReader& reader) {
    const auto type = reader.read<std::uint8_t>();
    const auto version = reader.read<std::uint8_t>();
    if (reader.error()) return base::fail(FrameError::Truncated);
    if (version != kCmapApiVersion) return base::fail(FrameError::WrongVersion);
    return static_cast<E>(type);
}

}  // namespace

base::Expected<Request, FrameError> decode_request(const base::Buffer& frame) {
    FrameReader reader(frame);
    const auto type = read_start<RequestType>(reader);
    if (!type) return base::fail(type.error());
    Request decoded = read_request(reader, *type);
    if (const auto error = reader.finish()) return base::fail(*error);
    return decoded;
}

base::Expected<Answer, FrameError> decode_answer(const base::Buffer& frame) {
    FrameReader reader(frame);
    const auto type = read_start<AnswerType>(reader);
    if (!type) return base::fail(type.error());
    Answer decoded = read_answer(reader, *type);
    if (const auto error = reader.finish()) return base::fail(*error);
    return decoded;
}

base::Expected<Changed, FrameError> decode_changed(const base::Buffer& frame) {
    FrameReader reader(frame);
    const auto type = read_start<AnswerType>(reader);
    if (!type) return base::fail(type.error());
    if (*type != AnswerType::Changed) return base::fail(FrameError::UnknownType);
    Changed changed;
    changed.track = TrackId{reader.read<std::uint64_t>()};
    changed.revision = Revision{reader.read<std::uint64_t>()};
    changed.kind = reader.read<std::uint8_t>();
    changed.key = read_name(reader);
    changed.old_value = read_optional_value(reader);
    changed.new_value = read_optional_value(reader);
    if (!is_of_kind(changed)) reader.refuse(FrameError::OutOfRange);
    if (const auto error = reader.finish()) return base::fail(*error);
    return changed;
}

base::Buffer encode(const Request& request) {
    FrameWriter writer(kSmallFrameBytes);
    std::visit([&](const auto& what) { write(writer, what); }, request);
    return std::move(writer).finish();
}

base::Buffer encode(const Answer& answer) {
    FrameWriter writer(kSmallFrameBytes);
    std::visit([&](const auto& what) { write(writer, what); }, answer);
    return std::move(writer).finish();
}

base::Buffer encode(const Changed& changed) {
    INVARIANT(is_of_kind(changed));
    FrameWriter writer(kSmallFrameBytes);
    write_start(writer, AnswerType::Changed);
    writer.write(changed.track.value());
    writer.write(changed.revision.value());
    writer.write(changed.kind);
    writer.write_text(changed.key);
    write_optional_value(writer, changed.old_value);
    write_optional_value(writer, changed.new_value);
    return std::move(writer).finish();
}

}  // namespace protocol::cmap
