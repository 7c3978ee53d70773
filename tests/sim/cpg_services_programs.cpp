// Programs in groups on simulated nodes, and what befalls them and their cpgd.
#include <algorithm>

#include "tests/sim/cpg_services.hpp"

namespace sim {

using std::chrono::microseconds;
using std::chrono::milliseconds;

namespace {

constexpr std::size_t kProgramsMax = 16;
constexpr std::size_t kUncreditedMax = 40;  // Then the program waits.

}  // namespace

CpgProgram& CpgServices::start_program(NodeIndex node) {
    CpgProgram& program = programs_.emplace_back();
    program.at = node;
    program.node = nodes_[node].node;
    program.pid = next_pid_++;
    program.takes_runs = program.pid % 2 == 1;
    support::CpgClient::Frames nothing;
    (void)program.join(random_.chance(500'000) ? "a" : "b", 1, nothing);
    connect(program);
    return program;
}

void CpgServices::connect(CpgProgram& program) {
    CpgNode& node = nodes_[program.at];
    if (!program.is_alive || program.connection != cpg::ConnectionId{} || !node.cpgd) return;
    program.connection = cpg::ConnectionId{next_id_++};
    pass(program.up, [this, &program, on = program.connection, fresh = next_id_++] {
        CpgNode& at = nodes_[program.at];
        if (!at.cpgd || program.connection != on) return;
        at.cpgd->inbox.emplace_back(cpg::ClientConnected{.connection = on,
                                                         .uid = 0,
                                                         .kernel_pid = program.pid,
                                                         .fresh_session = cpg::SessionId{fresh}});
        wake_cpgd(at);
    });
    to_cpgd(program, {program.hello()});
}

void CpgServices::connect_later(CpgProgram& program) {
    stage_.at(stage_.now() + random_.between(milliseconds(1), milliseconds(20)),
              [this, &program] { connect(program); });
}

void CpgServices::to_cpgd(CpgProgram& program, const support::CpgClient::Frames& frames) {
    if (program.connection == cpg::ConnectionId{}) return;
    for (const protocol::cpg::ClientFrame& frame : program.as_written(frames)) {
        auto decoded = protocol::cpg::decode_client_frame(protocol::cpg::encode(frame));
        INVARIANT(decoded.has_value());
        pass(program.up, [this, &program, on = program.connection, frame = std::move(*decoded)] {
            CpgNode& node = nodes_[program.at];
            if (!node.cpgd || program.connection != on) return;
            node.cpgd->inbox.emplace_back(cpg::ClientSent{
                .connection = on, .frame = frame, .takes_runs = program.takes_runs});
            wake_cpgd(node);
        });
    }
}

void CpgServices::take(CpgProgram& program, const protocol::cpg::CpgdFrame& frame) {
    CpgNode& node = nodes_[program.at];
    support::CpgClient::Frames answers;
    const std::size_t lost_before = program.sessions_lost;
    program.take(
        frame, checker_,
        // Of a session that ended in the step that made the event there is no tag.
        [&node](cpg::SessionId session, std::uint64_t event) {
            return node.tags[session].try_emplace(event, node.view).first->second;
        },
        answers);
    to_cpgd(program, answers);
    // Its groups are gone: the program ends, another may come.
    if (program.sessions_lost > lost_before) {
        stage_.say(program.at, "program " + std::to_string(program.pid) + " lost its session");
        kill(program);
    }
}

void CpgServices::hung_up(CpgProgram& program, cpg::ConnectionId connection) {
    if (program.connection != connection || connection == cpg::ConnectionId{}) return;
    program.connection = {};
    program.disconnected();
    if (program.is_alive) connect_later(program);
}

void CpgServices::disconnect(CpgProgram& program) {
    if (program.connection == cpg::ConnectionId{}) return;
    const cpg::ConnectionId connection = program.connection;
    pass(program.up, [this, &program, connection] {
        CpgNode& node = nodes_[program.at];
        if (!node.cpgd) return;
        node.cpgd->inbox.emplace_back(cpg::ClientGone{.connection = connection});
        wake_cpgd(node);
    });
    hung_up(program, connection);
}

void CpgServices::kill(CpgProgram& program) {
    program.is_alive = false;
    program.gone(checker_);
    disconnect(program);
    to_cpgd(nodes_[program.at], cpg::ProcessDied{.kernel_pid = program.pid});
}

// ---------------------------------------------------------------- the nemesis

void CpgServices::act() {
    if (is_calm_) return;
    const std::uint64_t choice = random_.below(1000);
    if (choice < 100 || programs_.empty()) {
        const auto alive = std::ranges::count_if(
            programs_, [](const CpgProgram& program) { return program.is_alive; });
        if (static_cast<std::size_t>(alive) < kProgramsMax)
            (void)start_program(static_cast<NodeIndex>(random_.index(nodes_.size())));
    } else if (choice < 940) {
        CpgProgram& program = programs_[random_.index(programs_.size())];
        if (program.is_alive) act_on_program(program, choice);
    } else {
        act_on_node(nodes_[random_.index(nodes_.size())], choice);
    }
    stage_.at(stage_.now() + random_.between(microseconds(100), milliseconds(4)),
              [this] { act(); });
}

void CpgServices::act_on_program(CpgProgram& program, std::uint64_t choice) {
    support::CpgClient::Frames sent;
    if (choice < 780) {
        for (std::uint64_t i = random_.between(1, 6); i > 0; --i) {
            if (program.has_left || program.uncredited.size() >= kUncreditedMax) break;
            const bool is_long = random_.chance(100'000);
            program.send(std::string(random_.between(1, is_long ? 3'000 : 40), 'm'), 1, checker_,
                         sent);
        }
    } else if (choice < 810) {
        const bool may_leave = !program.has_left && program.is_welcome && !program.request;
        if (may_leave) {
            program.has_left = true;
            (void)program.leave(1, checker_, sent);
        }
    } else if (choice < 850) {
        kill(program);
    } else if (choice < 890) {
        disconnect(program);
    } else {  // Takes events and does not say so, for a while.
        program.acknowledges = false;
        stage_.at(stage_.now() + random_.between(milliseconds(5), milliseconds(200)),
                  [this, &program] {
                      if (!program.is_alive || program.acknowledges) return;
                      program.acknowledges = true;
                      if (program.is_welcome) to_cpgd(program, {program.acknowledgement()});
                  });
    }
    to_cpgd(program, sent);
}

void CpgServices::act_on_node(CpgNode& node, std::uint64_t choice) {
    if (!node.cpgd) return;
    if (choice < 960) {
        node.cpgd->paused_until =
            stage_.now() + random_.between(milliseconds(1), milliseconds(100));
        return;
    }
    if (choice < 970) {
        store(node, true);  // A planned end.
    } else if (choice < 975) {
        node.snapshot.reset();
    }
    end_cpgd(node);
    stage_.at(stage_.now() + random_.between(milliseconds(1), milliseconds(50)),
              [this, &node] { start_cpgd(node); });
}

}  // namespace sim
