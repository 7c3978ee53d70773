// The core's state as bytes, for a cpgd that is started again: the fold, and of each session on
// this node what its client has not acknowledged. What is on its way (requests, multicasts) is not
// in it: clients keep that until it is answered or credited, and say it again.
#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/invariant.hpp"
#include "common/protocol/codec.hpp"
#include "cpgd/core/core.hpp"

namespace cpg {
namespace {

using protocol::FrameError;
using protocol::FrameReader;
using protocol::FrameWriter;

constexpr std::uint8_t kSnapshotVersion = 4;
constexpr std::uint64_t kAllSure = ~std::uint64_t{0};
constexpr std::size_t kUsualBytes = std::size_t{64} << 10u;
// A payload of so many bytes is a piece of the snapshot as it is, and not copied into one.
constexpr std::size_t kPieceBytesMin = std::size_t{4} << 10u;
constexpr std::size_t kBetweenBytes = 256;

class PieceWriter {
  public:
    [[nodiscard]] FrameWriter& small() { return small_; }
    void write_payload(const base::Buffer& payload) {
        if (payload.size() < kPieceBytesMin) {
            small_.write_bytes(payload.bytes());
            return;
        }
        pieces_.push_back(std::exchange(small_, FrameWriter(kBetweenBytes)).finish());
        pieces_.push_back(payload);
    }
    [[nodiscard]] std::vector<base::Buffer> finish() && {
        pieces_.push_back(std::move(small_).finish());
        return std::move(pieces_);
    }

  private:
    FrameWriter small_{kUsualBytes};
    std::vector<base::Buffer> pieces_;
};

void write_nodes(FrameWriter& writer, const std::vector<base::NodeId>& nodes) {
    writer.write_count(nodes.size());
    for (const base::NodeId node : nodes) {
        writer.write_node(node);
    }
}

std::vector<base::NodeId> read_nodes(FrameReader& reader) {
    const std::size_t count = reader.read_count(sizeof(std::uint32_t));
    std::vector<base::NodeId> nodes;
    nodes.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        nodes.push_back(reader.read_node());
    }
    return nodes;
}

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
    const std::size_t count = reader.read_count(12);
    view.members.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        protocol::ViewMember member;
        member.node = reader.read_node();
        member.incarnation = protocol::Incarnation{reader.read<std::uint64_t>()};
        view.members.push_back(member);
    }
    view.ring_members = read_nodes(reader);
    return view;
}

void write_event(PieceWriter& pieces, const protocol::cpg::SessionEvent& event) {
    const protocol::cpg::CpgdFrame frame{event};
    const base::Buffer head = protocol::cpg::encode_header(frame);
    const base::Buffer payload = protocol::cpg::payload_of(frame);
    pieces.small().write_count(head.size() + payload.size());
    pieces.small().write_bytes(head.bytes());
    pieces.write_payload(payload);
}

enum class Events : std::uint8_t { Queued, Acknowledged };

// Each message is an event of its own here, also of a run.
void write_session(PieceWriter& pieces, const ClientSession& session, Events events) {
    FrameWriter& writer = pieces.small();
    writer.write(session.id.value());
    writer.write(session.uid);
    writer.write(session.kernel_pid);
    writer.write(session.pid);
    writer.write_bool(session.totem_events);
    writer.write_bool(session.initial_totem_event);
    writer.write(session.sure_events.value_or(kAllSure));
    writer.write(session.next_event);
    if (events == Events::Acknowledged) {
        writer.write(session.next_event - 1);
        writer.write_count(0);
        return;
    }
    writer.write(session.acknowledged);
    writer.write_count(session.next_event - 1 - session.acknowledged);
    for (const auto& queued : session.queue) {
        const auto* run = std::get_if<protocol::cpg::DeliveredRun>(&queued.event.what);
        if (run == nullptr) {
            write_event(pieces, queued.event);
            continue;
        }
        protocol::cpg::for_each_event(queued.event.event, *run,
                                      [&](const protocol::cpg::SessionEvent& event) {
                                          if (event.event > session.acknowledged)
                                              write_event(pieces, event);
                                      });
    }
}

// The queue is the events after `acknowledged`, without a gap.
ClientSession read_session(FrameReader& reader) {
    ClientSession session;
    session.id = SessionId{reader.read<std::uint64_t>()};
    session.uid = reader.read<std::uint32_t>();
    session.kernel_pid = reader.read<std::uint32_t>();
    session.pid = reader.read<std::uint32_t>();
    session.totem_events = reader.read_bool();
    session.initial_totem_event = reader.read_bool();
    const auto sure_events = reader.read<std::uint64_t>();
    if (sure_events != kAllSure) session.sure_events = sure_events;
    const auto next_event = reader.read<std::uint64_t>();
    session.acknowledged = reader.read<std::uint64_t>();
    const std::size_t count = reader.read_count(sizeof(std::uint32_t));
    if (session.id == SessionId{} || session.acknowledged >= next_event ||
        next_event - session.acknowledged != count + 1) {
        reader.refuse(FrameError::OutOfRange);
        return session;
    }
    session.next_event = session.acknowledged + 1;
    for (std::size_t i = 0; i < count && !reader.error(); ++i) {
        const std::size_t bytes = reader.read<std::uint32_t>();
        // A copy: else one event would keep the whole snapshot.
        const base::Buffer frame = base::Buffer::copy_of(reader.read_bytes(bytes).bytes());
        auto decoded = protocol::cpg::decode_cpgd_frame(frame);
        auto* event = decoded ? std::get_if<protocol::cpg::SessionEvent>(&*decoded) : nullptr;
        if (event == nullptr || event->event != session.next_event) {
            reader.refuse(FrameError::OutOfRange);
            return session;
        }
        (void)session.push(std::move(event->what), 0);
    }
    return session;
}

void write_state(FrameWriter& writer, const State& state, protocol::Incarnation life) {
    const base::Buffer batch = encode_batch({.incarnation = life, .place = {}, .records = {state}});
    writer.write_count(batch.size());
    writer.write_bytes(batch.bytes());
}

std::optional<State> read_state(FrameReader& reader) {
    const std::size_t bytes = reader.read<std::uint32_t>();
    auto batch = decode_batch(reader.read_bytes(bytes));
    if (!batch || batch->records.size() != 1 ||
        !std::holds_alternative<State>(batch->records.front())) {
        reader.refuse(FrameError::OutOfRange);
        return std::nullopt;
    }
    return std::move(std::get<State>(batch->records.front()));
}

}  // namespace

std::size_t Core::queued_bytes() const {
    std::size_t bytes = 0;
    for (const auto& [id, client] : clients_) {
        bytes += client.queued_bytes;
    }
    return bytes;
}

std::size_t Core::awaited_clients() const {
    const auto is_awaited = [](const auto& each) { return each.second.is_awaited; };
    return static_cast<std::size_t>(std::ranges::count_if(clients_, is_awaited));
}

std::vector<base::Buffer> Core::snapshot(bool is_last) const {
    return snapshot_with(is_last, [](PieceWriter& pieces, const ClientSession& client) {
        write_session(pieces, client, Events::Queued);
    });
}

Core::Draft Core::draft() const {
    Draft draft{.snapshot = {}, .applied = applied_, .given = {}};
    draft.snapshot =
        snapshot_with(false, [&draft](PieceWriter& pieces, const ClientSession& client) {
            write_session(pieces, client, Events::Acknowledged);
            draft.given.emplace_back(client.id, client.next_event - 1);
        });
    return draft;
}

// A client that has left since then has acknowledged all that it ever will.
bool Core::holds(const Draft& draft) const {
    return std::ranges::all_of(draft.given, [this](const auto& given) {
        const auto client = clients_.find(given.first);
        return client == clients_.end() || client->second.acknowledged >= given.second;
    });
}

template <class WriteClient>
std::vector<base::Buffer> Core::snapshot_with(bool is_last, WriteClient write_client) const {
    INVARIANT(can_snapshot());
    PieceWriter pieces;
    FrameWriter& writer = pieces.small();
    writer.write(kSnapshotVersion);
    writer.write_bool(is_last);
    writer.write_node(self_);
    writer.write(incarnation_.value());
    writer.write(applied_.value());
    writer.write_bool(is_synchronised_);
    writer.write_bool(is_totem_due_);
    writer.write_ring(told_ring_);
    write_nodes(writer, told_nodes_);
    write_view(writer, view_);
    writer.write_bool(came_along_.has_value());
    if (came_along_) write_nodes(writer, {came_along_->begin(), came_along_->end()});

    writer.write_count(known_.size());
    for (const auto& [node, incarnation] : known_) {
        writer.write_node(node);
        writer.write(incarnation.value());
        const State state{.sessions = groups_.sessions_of(node),
                          .stopped_groups = groups_.stopped_by(node),
                          .had = {}};
        write_state(writer, state, incarnation);
    }
    writer.write_count(had_.size());
    for (const auto& [node, had] : had_) {
        writer.write_node(node);
        for (const Place& place : {had.last, had.former}) {
            writer.write(place.life);
            writer.write(place.number);
        }
    }
    writer.write_count(clients_.size());
    for (const auto& [id, client] : clients_) {
        write_client(pieces, client);
    }
    return std::move(pieces).finish();
}

base::Expected<Core, FrameError> Core::restore(const Config& config, const base::Buffer& snapshot,
                                               base::Instant now, std::uint64_t life) {
    FrameReader reader(snapshot);
    if (reader.read<std::uint8_t>() != kSnapshotVersion)
        return base::fail(FrameError::WrongVersion);
    Core core(config, life);
    core.is_whole_ = reader.read_bool();
    core.self_ = reader.read_node();
    core.incarnation_ = protocol::Incarnation{reader.read<std::uint64_t>()};
    core.applied_ = protocol::Cursor{reader.read<std::uint64_t>()};
    core.is_synchronised_ = reader.read_bool();
    core.is_totem_due_ = reader.read_bool();
    core.told_ring_ = reader.read_ring();
    core.told_nodes_ = read_nodes(reader);
    core.view_ = read_view(reader);
    if (reader.read_bool()) {
        const auto nodes = read_nodes(reader);
        core.came_along_.emplace(nodes.begin(), nodes.end());
    }
    const std::size_t known = reader.read_count(16);
    for (std::size_t i = 0; i < known && !reader.error(); ++i) {
        const base::NodeId node = reader.read_node();
        core.known_[node] = protocol::Incarnation{reader.read<std::uint64_t>()};
        const auto state = read_state(reader);
        if (state) (void)core.groups_.install(node, state->sessions, state->stopped_groups);
    }
    const std::size_t nodes_had = reader.read_count(36);
    for (std::size_t i = 0; i < nodes_had && !reader.error(); ++i) {
        Progress& had = core.had_[reader.read_node()];
        for (Place* place : {&had.last, &had.former}) {
            place->life = reader.read<std::uint64_t>();
            place->number = reader.read<std::uint64_t>();
        }
    }
    const std::size_t clients = reader.read_count(49);
    for (std::size_t i = 0; i < clients && !reader.error(); ++i) {
        ClientSession client = read_session(reader);
        const Session* session = core.groups_.find({core.self_, client.id});
        if (session == nullptr) continue;  // It had nothing in the order: its client begins anew.
        client.opened = true;
        client.received = session->number;
        client.orphaned_until = now + config.grace_time;
        client.is_awaited = true;
        client.is_slow = client.queued_bytes > config.session.high_bytes;
        client.progress = now;
        core.clients_[client.id] = std::move(client);
    }
    if (const auto error = reader.finish()) return base::fail(*error);

    // Each member here has a client; and who is in the view is known.
    for (const auto& [key, session] : core.groups_.sessions()) {
        if (key.node == core.self_ && !core.clients_.contains(key.session))
            return base::fail(FrameError::OutOfRange);
    }
    core.is_marker_awaited_ = true;
    return core;
}

}  // namespace cpg
