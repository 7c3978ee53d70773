#include "tests/sim/cpg_services.hpp"

#include <algorithm>

namespace sim {

using std::chrono::microseconds;
using std::chrono::milliseconds;

namespace {

// As it is on the socket.
base::Buffer joined(const base::Buffer& head, const base::Buffer& payload) {
    base::MutableBuffer frame(head.size() + payload.size());
    std::ranges::copy(head.bytes(), frame.bytes().begin());
    std::ranges::copy(payload.bytes(), frame.bytes().subspan(head.size()).begin());
    return std::move(frame).freeze();
}

// The checker's fault begins with the name of its rule.
const char* rule_of(const std::string& fault) {
    for (const char* rule : {"E1", "E2", "E3", "G1", "G2", "G3", "G4", "G5", "G6", "G7"}) {
        if (fault.starts_with(rule)) return rule;
    }
    return "G";
}

}  // namespace

CpgServices::CpgServices(const Plan& plan, Stage& stage, CpgTamper tamper)
    : stage_(stage), tamper_(std::move(tamper)), random_(plan.seed, 8) {
    delay_max_ = random_.between(microseconds(20), milliseconds(1));
    if (random_.chance(500'000)) {  // Bounds that are soon met.
        config_.session.window_bytes = 4'000;
        config_.session.high_bytes = 6'000;
        config_.session.low_bytes = 2'000;
        config_.batch_bytes = 2'000;
        stream_config_.window_bytes = 20'000;
        stream_config_.in_flight_bytes_max = 10'000;
        stream_config_.waiting_bytes_max = 30'000;
        stream_config_.retention_bytes_max = 200'000;
        stream_config_.retention_bytes_hard = 1'000'000;
    }
    for (NodeIndex i = 0; i < plan.nodes.size(); ++i) {
        CpgNode& node = nodes_.emplace_back();
        node.index = i;
        node.node = plan.nodes[i];
    }
}

// ---------------------------------------------------------------- ringd's side

void CpgServices::started(NodeIndex index) {
    CpgNode& node = nodes_[index];
    ++node.ringd_life;
    stream::SwitchConfig config = stream_config_;
    config.self = node.node;
    node.streams.emplace(config);
}

void CpgServices::ended(NodeIndex index, bool with_host) {
    CpgNode& node = nodes_[index];
    node.streams.reset();
    node.inbox.clear();
    node.closed.clear();
    if (with_host) {
        for (CpgProgram& program : programs_) {
            if (program.at == index && program.is_alive) kill(program);
        }
        if (node.cpgd) end_cpgd(node);
        node.snapshot.reset();
        return;
    }
    if (node.cpgd && node.cpgd->ring) to_cpgd(node, RingClosed{*node.cpgd->ring});
}

void CpgServices::begin_turn(NodeIndex index) {
    CpgNode& node = nodes_[index];
    const auto deadline = node.streams->next_deadline();
    if (deadline && *deadline <= stage_.now()) node.streams->deadline_passed(stage_.now());
    for (auto& [connection, frame] : std::exchange(node.inbox, {})) {
        node.streams->frame(stage_.now(), connection, frame);
    }
    for (const stream::ConnectionId connection : std::exchange(node.closed, {})) {
        node.streams->closed(stage_.now(), connection);
    }
}

void CpgServices::installed(NodeIndex index, const totem::InstallConfiguration& what) {
    nodes_[index].streams->install(stage_.now(), what);
}

void CpgServices::delivered(NodeIndex index, const totem::Deliver& what) {
    nodes_[index].streams->deliver(stage_.now(), what);
}

void CpgServices::taken(NodeIndex index, const totem::Taken& what) {
    nodes_[index].streams->taken(what);
}

void CpgServices::take_submissions(NodeIndex index, std::size_t room,
                                   std::vector<totem::Submitted>& submissions) {
    nodes_[index].streams->take_submissions(room, submissions);
}

void CpgServices::end_turn(NodeIndex index) {
    CpgNode& node = nodes_[index];
    std::vector<stream::Output> outputs;
    node.streams->take_outputs(outputs);
    for (const stream::Output& output : outputs) {
        if (const auto* send = std::get_if<stream::SendFrame>(&output)) {
            to_cpgd(node,
                    FromRing{.connection = send->to, .frame = joined(send->head, send->body)});
        } else {
            to_cpgd(node, RingClosed{std::get<stream::CloseConnection>(output).connection});
        }
    }
}

void CpgServices::archive_and_restore(NodeIndex index) {
    CpgNode& node = nodes_[index];
    base::ArchiveWriter writer;
    node.streams->archive_to(writer);
    base::ArchiveReader reader(writer.bytes());
    stream::SwitchConfig config = stream_config_;
    config.self = node.node;
    auto restored = stream::Switch::restore(config, reader);
    INVARIANT(restored.has_value());
    INVARIANT(reader.remaining() == 0);
    node.streams.emplace(std::move(*restored));
}

std::optional<base::Instant> CpgServices::next_deadline(NodeIndex index) const {
    const CpgNode& node = nodes_[index];
    return node.streams ? node.streams->next_deadline() : std::nullopt;
}

// ---------------------------------------------------------------- sockets

void CpgServices::pass(Pipe& pipe, std::function<void()> what) {
    pipe.free = std::max(pipe.free, stage_.now() + random_.between(microseconds(5), delay_max_));
    ++in_pipes_;
    stage_.at(pipe.free, [this, what = std::move(what)] {
        --in_pipes_;
        what();
    });
}

void CpgServices::to_ringd(CpgNode& node, const base::Buffer& head, const base::Buffer& payload) {
    pass(node.up, [this, &node, frame = joined(head, payload), to = *node.cpgd->ring,
                   life = node.ringd_life] {
        if (!node.streams || node.ringd_life != life) return;
        node.inbox.emplace_back(to, frame);
        stage_.wake(node.index);
    });
}

void CpgServices::to_cpgd(CpgNode& node, CpgdInput input) {
    if (!node.cpgd) return;
    pass(node.down, [this, &node, input = std::move(input), life = node.cpgd->life] {
        if (!node.cpgd || node.cpgd->life != life) return;
        node.cpgd->inbox.push_back(input);
        wake_cpgd(node);
    });
}

// ---------------------------------------------------------------- the course of the run

void CpgServices::begin() {
    for (CpgNode& node : nodes_) {
        stage_.at(stage_.now() + random_.between(microseconds(0), milliseconds(20)),
                  [this, &node] { start_cpgd(node); });
    }
    act();
}

void CpgServices::calm_down() {
    is_calm_ = true;
    for (CpgNode& node : nodes_) {
        if (!node.cpgd) start_cpgd(node);
    }
    for (CpgProgram& program : programs_) {
        if (!program.is_alive || program.acknowledges) continue;
        program.acknowledges = true;
        to_cpgd(program, {program.acknowledgement()});
    }
}

void CpgServices::send_once_more() {
    for (CpgProgram& program : programs_) {
        if (!program.is_alive || program.has_left || program.sessions_lost > 0) continue;
        support::CpgClient::Frames sent;
        program.send("last", 1, checker_, sent);
        to_cpgd(program, sent);
    }
}

bool CpgServices::is_at_rest() const {
    return in_pipes_ == 0 &&
           std::ranges::all_of(nodes_, [this](const CpgNode& node) { return is_at_rest(node); }) &&
           std::ranges::all_of(programs_,
                               [this](const CpgProgram& program) { return is_at_rest(program); });
}

bool CpgServices::is_at_rest(const CpgNode& node) const {
    if (!node.streams) return true;
    if (!node.cpgd) return false;
    const cpg::Status status = node.cpgd->core.status();
    return status.is_attached && status.is_synchronised && !status.is_exchanging &&
           status.pending_records == 0 && status.unordered_batches == 0 &&
           node.cpgd->inbox.empty() && node.cpgd->submissions.empty() &&
           node.cpgd->attachment.outstanding_bytes() == 0 &&
           std::ranges::all_of(status.sessions, [](const cpg::SessionStatus& session) {
               return session.is_connected && session.events == session.acknowledged &&
                      session.outstanding_bytes == 0;
           });
}

std::string CpgServices::state_of(const CpgNode& node) const {
    std::string text = "node " + std::to_string(node.node.value());
    if (!node.cpgd) return text + " without cpgd";
    const cpg::Status status = node.cpgd->core.status();
    const auto add = [&](const char* name, std::uint64_t value) {
        text += std::string(" ") + name + " " + std::to_string(value);
    };
    add("attached", status.is_attached ? 1 : 0);
    add("synchronised", status.is_synchronised ? 1 : 0);
    add("exchanging", status.is_exchanging ? 1 : 0);
    add("pending", status.pending_records);
    add("unordered", status.unordered_batches);
    add("inbox", node.cpgd->inbox.size());
    add("submissions", node.cpgd->submissions.size());
    add("outstanding", node.cpgd->attachment.outstanding_bytes());
    for (const cpg::SessionStatus& session : status.sessions) {
        add("; session of", session.kernel_pid);
        add("connected", session.is_connected ? 1 : 0);
        add("events", session.events);
        add("acknowledged", session.acknowledged);
        add("outstanding", session.outstanding_bytes);
    }
    return text;
}

bool CpgServices::is_at_rest(const CpgProgram& program) const {
    return !program.is_alive || !nodes_[program.at].streams ||
           (program.is_welcome && !program.request);
}

std::vector<std::string> CpgServices::groups_of(const CpgNode& node) const {
    std::vector<std::string> texts;
    for (const cpg::GroupStatus& group : node.cpgd->core.status().groups) {
        for (const auto& member : group.members) {
            texts.push_back(group.name + " " + std::to_string(member.node.value()) + ":" +
                            std::to_string(member.pid));
        }
    }
    return texts;
}

void CpgServices::judge(Report& report, std::size_t entry) {
    for (const std::string& fault : checker_.faults()) {
        report.add(rule_of(fault), entry, fault);
    }
    for (const CpgNode& node : nodes_) {
        if (!is_at_rest(node)) report.add("L1", entry, "no rest: " + state_of(node));
    }
    for (const CpgProgram& program : programs_) {
        if (is_at_rest(program)) continue;
        report.add("L1", entry,
                   "no rest: program " + std::to_string(program.pid) + " on node " +
                       std::to_string(program.node.value()) +
                       (program.is_welcome ? ", unanswered" : ", not welcome"));
    }
    const CpgNode* first = nullptr;
    for (const CpgNode& node : nodes_) {
        if (!node.streams || !node.cpgd) continue;
        if (first == nullptr) first = &node;
        const auto groups = groups_of(node);
        if (groups != groups_of(*first))
            report.add("G8", entry,
                       "nodes " + std::to_string(first->node.value()) + " and " +
                           std::to_string(node.node.value()) + " have different groups");
        if (&node != first) continue;
        for (const std::string& member : groups) {
            const bool lives = std::ranges::any_of(programs_, [&](const CpgProgram& program) {
                return program.is_alive && member.ends_with(std::to_string(program.node.value()) +
                                                            ":" + std::to_string(program.pid));
            });
            if (!lives) report.add("G9", entry, "a ghost: " + member);
        }
    }
}

}  // namespace sim
