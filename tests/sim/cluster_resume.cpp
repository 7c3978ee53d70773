// Simulated processes that are killed and go on from their journals, as ringd would: what counts,
// what is done again, and what others have to say again.
#include "common/base/archive.hpp"
#include "ringd/resume/input.hpp"
#include "tests/sim/cluster.hpp"

namespace sim {
namespace {

using std::chrono::milliseconds;

constexpr base::Duration kAgeMax = std::chrono::seconds(1);
constexpr base::Duration kPauseNoticed = milliseconds(10);

// What the network loses is sent again by others; this is said again by who said it to us.
bool is_said_again(const totem::Event& event) {
    return !std::holds_alternative<totem::PacketArrived>(event) &&
           !std::holds_alternative<totem::PacketsArrived>(event) &&
           !std::holds_alternative<totem::Drained>(event) &&
           !std::holds_alternative<totem::DeadlinePassed>(event);
}

// Goes to the network or to the driver; the rest changes what is kept beside the ring, once.
bool may_be_done_again(const totem::Action& action) {
    return !std::holds_alternative<totem::Deliver>(action) &&
           !std::holds_alternative<totem::InstallConfiguration>(action) &&
           !std::holds_alternative<totem::Taken>(action);
}

}  // namespace

// False: the process was killed in it.
bool Cluster::step_recorded(Host& host, const totem::Event& event) {
    const bool is_recorded = record(host, event);
    const auto is_lost_at = [&](Kill::Point point) {
        if (!is_recorded || !is_killed_at(host, point)) return false;
        if (is_said_again(event)) host.told.insert(host.told.begin(), event);
        return true;
    };
    if (is_lost_at(Kill::Point::Appended)) return false;
    actions_.clear();
    host.ring->step(now_, event, actions_);
    if (plan_.wrong == Plan::Wrong::ActsFirst && !act(host)) return false;
    if (is_lost_at(Kill::Point::Stepped)) return false;
    if (plan_.wrong == Plan::Wrong::ActsFirst) actions_.clear();
    if (!host.ring->can_be_archived()) {
        host.journal->invalidate();
        return act(host);
    }
    if (!is_recorded) return act(host);
    host.journal->commit(now_);
    if (is_killed_at(host, Kill::Point::Committed)) return false;
    if (!act_recorded(host)) return false;
    host.journal->done();
    return !is_killed_at(host, Kill::Point::Done);
}

// What is not in the journal yet is the core before this event.
bool Cluster::record(Host& host, const totem::Event& event) {
    const bool can_be = host.ring->can_be_archived();
    base::ArchiveWriter writer;
    resume::encode_input({.now = now_, .what = event}, writer);
    for (int tries = 0; tries < 2 && can_be; ++tries) {
        if (host.journal->is_valid() && host.journal->append(writer.bytes())) return true;
        base::ArchiveWriter state(host.journal->room_for_state());
        host.ring->archive_to(state);
        if (!host.journal->checkpoint(now_, state.size())) return false;
    }
    // As ringd's recorder: what follows could not be repeated without it.
    if (can_be) host.journal->invalidate();
    return false;
}

bool Cluster::act_recorded(Host& host) {
    if (tamper_) tamper_(host.who, actions_);
    const std::vector<totem::Action> actions = std::move(actions_);
    host.acted = 0;
    const bool is_torn = host.kill_soon == Kill::Point::Acting && !actions.empty();
    const std::size_t count = is_torn ? random_.index(actions.size() + 1) : actions.size();
    while (host.acted < count) {
        std::visit([&](const auto& action) { act(host, action); }, actions[host.acted]);
        ++host.acted;
        if (!host.is_running()) return false;
    }
    return !is_torn || !is_killed_at(host, Kill::Point::Acting);
}

bool Cluster::is_killed_at(Host& host, Kill::Point point) {
    if (host.kill_soon != point) return false;
    host.kill_soon.reset();
    host.killed_at = now_;
    note(host.who, Said{"is killed"});
    end_lifelines(host);
    host.ring.reset();
    host.turn_at.reset();
    if (point != Kill::Point::Acting) host.acted = 0;
    return true;
}

void Cluster::begin(const Kill& kill) {
    Host& host = hosts_[kill.node];
    // Without a journal that counts it would be a crash, which is another fault.
    if (host.is_running() && host.journal->is_valid()) host.kill_soon = kill.point;
}

void Cluster::end(const Kill& kill) {
    Host& host = hosts_[kill.node];
    host.kill_soon.reset();
    if (host.killed_at) go_on(host);
}

void Cluster::go_on(Host& host) {
    const auto left = resume::Journal::read(host.memory, resume::Stamp{}, now_, kAgeMax);
    INVARIANT(left.has_value());
    base::ArchiveReader reader(left->state);
    auto ring = totem::Ring::restore(settings_of(host), reader);
    INVARIANT(ring.has_value());
    note(host.who, Said{"goes on"});
    std::vector<totem::Action> again;
    const bool forgets = plan_.wrong == Plan::Wrong::ForgetsInputs;
    const bool repeats = plan_.wrong == Plan::Wrong::DoesAllAgain;
    for (std::size_t i = 0; i < left->inputs.size() && !forgets; ++i) {
        const auto input = resume::decode_input(left->inputs[i]);
        INVARIANT(input.has_value());
        std::vector<totem::Action> actions;
        ring->step(input->now, std::get<totem::Event>(input->what), actions);
        if (i < left->inputs_done && !repeats) continue;
        for (std::size_t at = 0; at < actions.size(); ++at) {
            if (repeats || at >= host.acted || may_be_done_again(actions[at]))
                again.push_back(std::move(actions[at]));
        }
    }
    if (plan_.wrong == Plan::Wrong::NewSelf) {
        ring.emplace(settings_of(host), host.durable, random_.next(), now_);
        again.clear();
    }
    host.ring.emplace(std::move(*ring));
    host.journal.emplace(host.memory, resume::Stamp{});
    host.journal->forget_tries();
    host.audience.clear();
    host.best_link.assign(hosts_.size(), std::nullopt);
    std::vector<totem::Action> paths;
    host.ring->tell_paths(paths);
    for (const auto* actions : {&paths, &again}) {
        for (const totem::Action& action : *actions)
            std::visit([&](const auto& what) { act(host, what); }, action);
    }
    const base::Duration length = now_ - *host.killed_at;
    host.killed_at.reset();
    host.acted = 0;
    host.told.insert(
        host.told.begin(),
        totem::PeerEvidence{
            .peer = base::kNoNode, .link = {}, .kind = totem::PeerEvidence::Kind::LifelineDown});
    if (length >= kPauseNoticed) {
        host.told.insert(host.told.begin(), totem::Paused{.length = length});
    }
    turn_within(host, base::Duration{});
}

}  // namespace sim
