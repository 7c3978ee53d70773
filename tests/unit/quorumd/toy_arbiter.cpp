#include "tests/unit/quorumd/toy_arbiter.hpp"

#include <algorithm>

namespace quorum_test {

using std::chrono::milliseconds;

ToyArbiter::ToyArbiter(ToyCluster& cluster, base::Duration timeout, std::uint64_t seed)
    : cluster_(cluster), timeout_(timeout), heartbeat_(timeout * 8 / 10), random_(seed) {
    for (const std::uint32_t id : cluster.ids()) {
        programs_[id];
    }
}

base::Duration ToyArbiter::some(base::Duration least, base::Duration most) {
    const auto range = std::chrono::floor<milliseconds>(most - least).count();
    return least + milliseconds(random_.below(static_cast<std::uint64_t>(range) + 1));
}

void ToyArbiter::cut(std::uint32_t node) {
    Program& program = programs_.at(node);
    if (program.is_cut) return;
    program.is_cut = true;
    program.node_notices = cluster_.now() + some({}, 2 * heartbeat_);
    program.arbiter_notices = cluster_.now() + some(heartbeat_ / 2, heartbeat_ * 3 / 2);
}

void ToyArbiter::mend(std::uint32_t node) {
    programs_.at(node).is_cut = false;
}

void ToyArbiter::mend_all() {
    for (auto& [id, program] : programs_) {
        program.is_cut = false;
    }
}

void ToyArbiter::kill_program(std::uint32_t node) {
    Program& program = programs_.at(node);
    if (!program.runs) return;
    // No word of its end comes through where the link is cut.
    program = {.runs = false,
               .is_cut = program.is_cut,
               .arbiter_connected = program.arbiter_connected && program.is_cut,
               .arbiter_notices = program.arbiter_notices};
    if (cluster_.is_up(node)) cluster_.give(node, quorum::DeviceLost{});
}

void ToyArbiter::start_program(std::uint32_t node) {
    programs_.at(node).runs = true;
}

std::optional<ToyArbiter::Report> ToyArbiter::report_of(std::uint32_t id) const {
    const quorum::Status status = cluster_.status(id);
    if (status.members.empty()) return std::nullopt;
    return Report{.ring = status.view.ring, .members = status.members};
}

void ToyArbiter::tick() {
    for (auto& [id, program] : programs_) {
        if (!cluster_.is_up(id)) {
            // The machine is off: its connections end by themselves.
            const base::Instant notices =
                program.node_connected ? cluster_.now() + some(heartbeat_ / 2, heartbeat_ * 3 / 2)
                                       : program.arbiter_notices;
            program = {.runs = program.runs,
                       .is_cut = program.is_cut,
                       .arbiter_connected = program.arbiter_connected,
                       .arbiter_notices = notices};
        }
        tick_connection(id, program);
        if (program.runs && cluster_.is_up(id) && cluster_.quorumd_runs(id))
            tick_program(id, program);
    }
    decide();
}

void ToyArbiter::tick_connection(std::uint32_t id, Program& program) {
    const base::Instant now = cluster_.now();
    const bool is_gone = program.is_cut || !program.runs || !cluster_.is_up(id);
    if (is_gone) {
        if (program.node_connected && program.node_notices <= now) {
            program.node_connected = false;
            program.answered.reset();
            program.vote = Vote::No;
        }
        if (program.arbiter_connected && program.arbiter_notices <= now) {
            program.arbiter_connected = false;
            program.reported.reset();
            program.wanted = Vote::None;
        }
        program.reconnects = now + some({}, timeout_);
        return;
    }
    // Whoever has noticed the cut ends the connection for the other, too.
    if (program.node_connected == program.arbiter_connected && program.node_connected) return;
    if (program.reconnects > now) return;
    program.node_connected = program.arbiter_connected = true;
    program.reported.reset();
    program.answered.reset();
    program.wanted = Vote::None;
}

void ToyArbiter::tick_program(std::uint32_t id, Program& program) {
    if (cluster_.status(id).device_name.empty()) {
        cluster_.give(id, quorum::DeviceRegister{.name = "Qdevice"});
        program.next_poll = cluster_.now();
    }
    const auto report = report_of(id);
    if (!report) return;
    if (!program.node_connected) {
        program.vote = Vote::No;
        if (program.next_poll <= cluster_.now()) poll(id, program);
        return;
    }
    if (program.is_cut || random_.below(3) == 0) return;  // On the way.
    if (program.reported != report) {
        program.reported = report;
        program.answered.reset();
        program.wanted = Vote::None;
    }
    if (program.wanted != Vote::None &&
        (program.answered != report || program.vote != program.wanted)) {
        program.answered = report;
        program.vote = program.wanted;
        poll(id, program);
    } else if (program.answered == report && program.next_poll <= cluster_.now()) {
        poll(id, program);
    }
}

void ToyArbiter::poll(std::uint32_t id, Program& program) {
    program.next_poll = cluster_.now() + timeout_ / 2;
    cluster_.give(id, quorum::DevicePoll{.casts = program.vote == Vote::Yes,
                                         .ring = cluster_.status(id).view.ring});
}

// All that are connected tell of one ring and one list with whom they are with.
bool ToyArbiter::is_consistent() const {
    for (const auto& [id, program] : programs_) {
        if (!program.arbiter_connected) continue;
        if (!program.reported) return false;
        for (const base::NodeId member : program.reported->members) {
            const Program& other = programs_.at(member.value());
            if (other.arbiter_connected && other.reported != program.reported) return false;
        }
    }
    return true;
}

void ToyArbiter::decide() {
    if (!is_consistent()) return;
    const Report* winner = nullptr;
    std::size_t connected_most = 0;
    for (const auto& [id, program] : programs_) {
        if (!program.arbiter_connected) continue;
        const std::size_t size = program.reported->members.size();
        if (2 * size < programs_.size()) continue;
        const auto connected = static_cast<std::size_t>(std::ranges::count_if(
            program.reported->members,
            [&](base::NodeId node) { return programs_.at(node.value()).arbiter_connected; }));
        const bool is_more = 2 * size > programs_.size() || connected > connected_most;
        if (winner != nullptr && !is_more) continue;
        winner = &*program.reported;
        connected_most = connected;
    }
    // Whoever loses is told, and has said so to its quorumd, before somebody wins.
    bool are_losers_told = true;
    for (auto& [id, program] : programs_) {
        if (!program.arbiter_connected || (winner != nullptr && program.reported == *winner))
            continue;
        program.wanted = Vote::No;
        are_losers_told = are_losers_told && program.vote == Vote::No;
    }
    if (winner == nullptr || !are_losers_told) return;
    for (auto& [id, program] : programs_) {
        if (program.arbiter_connected && program.reported == *winner) program.wanted = Vote::Yes;
    }
}

}  // namespace quorum_test
