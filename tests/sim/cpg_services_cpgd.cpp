// cpgd on a simulated node: stepped as its driver does, with its connection to ringd.
#include <algorithm>

#include "common/base/pieces.hpp"
#include "tests/sim/cpg_services.hpp"

namespace sim {

using std::chrono::microseconds;
using std::chrono::milliseconds;

namespace {

constexpr char kChannel[] = "cpg";
constexpr base::Duration kRetry = milliseconds(5);

}  // namespace

void CpgServices::start_cpgd(CpgNode& node) {
    if (node.cpgd) return;
    const std::uint64_t life = next_id_++;
    std::optional<cpg::Core> core;
    if (node.snapshot) {
        auto restored = cpg::Core::restore(config_, *node.snapshot, stage_.now(), life);
        INVARIANT(restored.has_value());
        core.emplace(std::move(*restored));
        if (core->is_whole()) node.snapshot = base::joined(core->snapshot());
    }
    const bool resumes = core.has_value();
    ring::Attachment place(kChannel, protocol::Incarnation{next_id_++});
    if (resumes) {
        place = ring::Attachment(kChannel, ring::ResumePoint{.incarnation = core->incarnation(),
                                                             .applied = core->applied()});
    }
    stage_.say(node.index, resumes ? "cpgd starts from its snapshot" : "cpgd starts");
    node.cpgd.emplace(life, resumes ? std::move(*core) : cpg::Core(config_, life),
                      std::move(place));
    connect(node);
    for (CpgProgram& program : programs_) {
        if (program.at == node.index && program.is_alive) connect_later(program);
    }
}

void CpgServices::end_cpgd(CpgNode& node) {
    stage_.say(node.index, "cpgd ends");
    if (node.cpgd->ring && node.streams) {
        // Behind what it has sent.
        pass(node.up, [this, &node, connection = *node.cpgd->ring, life = node.ringd_life] {
            if (!node.streams || node.ringd_life != life) return;
            node.closed.push_back(connection);
            stage_.wake(node.index);
        });
    }
    node.cpgd.reset();
    for (CpgProgram& program : programs_) {
        if (program.at == node.index) hung_up(program, program.connection);
    }
}

void CpgServices::connect(CpgNode& node) {
    if (!node.cpgd || node.cpgd->ring) return;
    if (!node.streams) {
        stage_.at(stage_.now() + kRetry, [this, &node, life = node.cpgd->life] {
            if (node.cpgd && node.cpgd->life == life) connect(node);
        });
        return;
    }
    node.cpgd->ring = stream::ConnectionId{next_id_++};
    to_ringd(node, node.cpgd->attachment.hello());
}

void CpgServices::lost_ring(CpgNode& node) {
    node.cpgd->attachment.lost();
    node.cpgd->ring.reset();
    stage_.at(stage_.now() + kRetry, [this, &node, life = node.cpgd->life] {
        if (node.cpgd && node.cpgd->life == life) connect(node);
    });
}

void CpgServices::wake_cpgd(CpgNode& node) {
    CpgdProcess& cpgd = *node.cpgd;
    const base::Instant soon = stage_.now() + random_.between(microseconds(2), microseconds(60));
    const base::Instant at = std::max(soon, cpgd.paused_until);
    if (cpgd.turn_at && *cpgd.turn_at <= at) return;
    cpgd.turn_at = at;
    stage_.at(at, [this, &node, at, life = cpgd.life] {
        if (!node.cpgd || node.cpgd->life != life || node.cpgd->turn_at != at) return;
        node.cpgd->turn_at.reset();
        if (stage_.now() < node.cpgd->paused_until) return wake_cpgd(node);
        turn(node);
    });
}

// As cpgd::Driver: what came in, then what the core wants, in one turn.
void CpgServices::turn(CpgNode& node) {
    CpgdProcess& cpgd = *node.cpgd;
    for (CpgdInput& input : std::exchange(cpgd.inbox, {})) {
        if (auto* frame = std::get_if<FromRing>(&input)) {
            take(node, *frame);
        } else if (const auto* closed = std::get_if<RingClosed>(&input)) {
            if (cpgd.ring == closed->connection) lost_ring(node);
        } else if (const auto* connected = std::get_if<cpg::ClientConnected>(&input)) {
            step(node, *connected);
        } else if (const auto* sent = std::get_if<cpg::ClientSent>(&input)) {
            step(node, *sent);
        } else if (const auto* gone = std::get_if<cpg::ClientGone>(&input)) {
            step(node, *gone);
        } else {
            step(node, std::get<cpg::ProcessDied>(input));
        }
    }
    const auto deadline = cpgd.core.next_deadline();
    if (deadline && *deadline <= stage_.now()) step(node, cpg::TimePassed{});

    send_submissions(node);
    std::size_t room = cpgd.attachment.room();
    for (const cpg::Submit& waiting : cpgd.submissions) {
        if (!waiting.urgent) room -= std::min(room, waiting.payload.size());
    }
    cpgd.core.flush(stage_.now(), room, cpgd.actions);
    carry_out(node);
    send_submissions(node);

    if (cpgd.core.is_serving() && !cpgd.was_serving) {
        cpgd.was_serving = true;
        // Programs of the last life that have ended while nobody looked.
        for (const cpg::SessionStatus& session : cpgd.core.status().sessions) {
            const bool lives = std::ranges::any_of(programs_, [&](const CpgProgram& program) {
                return program.is_alive && program.at == node.index &&
                       program.pid == session.kernel_pid;
            });
            if (!lives) to_cpgd(node, cpg::ProcessDied{.kernel_pid = session.kernel_pid});
        }
    }
    if (cpgd.draft && cpgd.core.holds(*cpgd.draft)) store_draft(node);
    if (cpgd.store_at && *cpgd.store_at <= stage_.now()) store(node);
    if (const auto credit = cpgd.attachment.give_credit()) to_ringd(node, *credit);
    std::optional<base::Instant> next = cpgd.core.next_deadline();
    if (cpgd.store_at && cpgd.core.can_snapshot() && (!next || *cpgd.store_at < *next))
        next = cpgd.store_at;
    if (next) {
        stage_.at(std::max(*next, stage_.now() + microseconds(1)), [this, &node, life = cpgd.life] {
            if (node.cpgd && node.cpgd->life == life) wake_cpgd(node);
        });
    }
}

void CpgServices::take(CpgNode& node, FromRing& from) {
    if (node.cpgd->ring != from.connection) return;
    auto frame = protocol::decode_ring_frame(from.frame);
    INVARIANT(frame.has_value());
    std::visit([&](auto& what) { on(node, what); }, *frame);
}

void CpgServices::on(CpgNode& node, const protocol::Attached& attached) {
    CpgdProcess& cpgd = *node.cpgd;
    std::vector<ring::ServiceMessage> again;
    cpgd.attachment.attached(attached, again);
    for (const ring::ServiceMessage& message : again) {
        to_ringd(node, message.head, message.payload);
    }
    if (!attached.resumed) {
        cpgd.submissions.clear();
        cpgd.store_at.reset();
        cpgd.draft.reset();
        // What the clients have not got of the old attachment's events will be other events.
        for (const cpg::SessionStatus& session : cpgd.core.status().sessions) {
            auto& tags = node.tags[session.session];
            tags.erase(tags.upper_bound(session.events), tags.end());
        }
    }
    step(node, cpg::RingAttached{.self = attached.self,
                                 .resumed = attached.resumed,
                                 .incarnation = cpgd.attachment.incarnation()});
}

void CpgServices::on(CpgNode& node, const protocol::Refused& refused) {
    stage_.say(node.index, "cpgd is refused: " + refused.reason);
    node.cpgd->attachment.refused(refused, protocol::Incarnation{next_id_++});
    lost_ring(node);
}

void CpgServices::on(CpgNode& node, const protocol::Taken& taken) {
    node.cpgd->attachment.taken(taken);
}

void CpgServices::on(CpgNode& node, protocol::Event& event) {
    CpgdProcess& cpgd = *node.cpgd;
    if (tamper_.events) tamper_.events(node.index, node.node, event);
    cpgd.attachment.received(event);
    if (!cpgd.store_at)
        cpgd.store_at = stage_.now() + random_.between(milliseconds(1), milliseconds(60));
    if (const auto* view = std::get_if<protocol::View>(&event.what)) {
        node.view = {.ring = view->ring, .version = view->version};
    }
    step(node, cpg::RingHappened{std::move(event)});
}

// Only for who says that it takes areas.
void CpgServices::on(CpgNode&, const protocol::BatchInArea&) {
    INVARIANT(false);
}

void CpgServices::step(CpgNode& node, const cpg::Event& event) {
    node.cpgd->core.step(stage_.now(), event, node.cpgd->actions);
    tag_events(node);
    carry_out(node);
}

void CpgServices::tag_events(CpgNode& node) {
    for (const cpg::SessionStatus& session : node.cpgd->core.status().sessions) {
        auto& tags = node.tags[session.session];
        const std::uint64_t tagged = tags.empty() ? 0 : tags.rbegin()->first;
        for (std::uint64_t made = tagged + 1; made <= session.events; ++made) {
            (void)tags.try_emplace(made, node.view);
        }
    }
}

void CpgServices::carry_out(CpgNode& node) {
    std::vector<cpg::Action> actions = std::exchange(node.cpgd->actions, {});
    if (tamper_.actions) tamper_.actions(node.index, actions);
    for (cpg::Action& action : actions) {
        if (const auto* send = std::get_if<cpg::SendToClient>(&action)) {
            const auto to = std::ranges::find(programs_, send->connection, &CpgProgram::connection);
            if (to == programs_.end()) continue;
            auto frame = protocol::cpg::decode_cpgd_frame(protocol::cpg::encode(send->frame));
            INVARIANT(frame.has_value());
            pass(to->down, [this, to = &*to, frame = *frame, on = send->connection] {
                if (to->connection == on && to->is_alive) take(*to, frame);
            });
        } else if (const auto* close = std::get_if<cpg::CloseClient>(&action)) {
            const auto to =
                std::ranges::find(programs_, close->connection, &CpgProgram::connection);
            if (to == programs_.end()) continue;
            pass(to->down, [this, to = &*to, on = close->connection] { hung_up(*to, on); });
        } else {
            auto& submit = std::get<cpg::Submit>(action);
            auto& waiting = node.cpgd->submissions;
            const auto before = submit.urgent
                                    ? std::ranges::find(waiting, false, &cpg::Submit::urgent)
                                    : waiting.end();
            waiting.insert(before, std::move(submit));
        }
    }
}

void CpgServices::send_submissions(CpgNode& node) {
    CpgdProcess& cpgd = *node.cpgd;
    const auto fits = [&](const cpg::Submit& next) {
        const std::size_t bytes = next.payload.size();
        return next.urgent ? cpgd.attachment.fits_urgent(bytes) : cpgd.attachment.fits(bytes);
    };
    while (!cpgd.submissions.empty() && cpgd.ring && fits(cpgd.submissions.front())) {
        const cpg::Submit next = std::move(cpgd.submissions.front());
        cpgd.submissions.pop_front();
        const auto message = cpgd.attachment.submit(next.payload, next.safe, next.urgent);
        to_ringd(node, message.head, message.payload);
    }
}

// Every other time a draft, which is stored when its clients have acknowledged; when they take too
// long, all is.
void CpgServices::store(CpgNode& node, bool is_last) {
    CpgdProcess& cpgd = *node.cpgd;
    if (!cpgd.core.can_snapshot()) return;
    cpgd.store_at.reset();
    if (cpgd.core.applied().value() % 2 == 0 && !cpgd.draft && !is_last) {
        cpgd.draft = cpgd.core.draft();
        cpgd.store_at = stage_.now() + milliseconds(60);
        return;
    }
    cpgd.draft.reset();
    keep(node, cpgd.core.snapshot(is_last), cpgd.core.applied());
}

void CpgServices::store_draft(CpgNode& node) {
    const cpg::Core::Draft draft = *std::exchange(node.cpgd->draft, std::nullopt);
    keep(node, draft.snapshot, draft.applied);
}

void CpgServices::keep(CpgNode& node, std::span<const base::Buffer> snapshot,
                       protocol::Cursor applied) {
    node.snapshot = base::joined(snapshot);
    if (!node.cpgd->ring) return;
    if (const auto frame = node.cpgd->attachment.acknowledge(applied)) to_ringd(node, *frame);
}

}  // namespace sim
