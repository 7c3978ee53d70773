#include "cmapd/core/shutdown.hpp"

namespace cmapd {

bool Shutdown::start_tracking(ClientId client) {
    return trackers_.insert(client).second;
}

void Shutdown::stop_tracking(ClientId client, ShutdownActions& actions) {
    trackers_.erase(client);
    if (!asked_ || asked_->waiting.erase(client) == 0) return;
    if (asked_->waiting.empty()) decide(true, actions);
}

void Shutdown::request(ClientId from, ShutdownKind kind, ShutdownActions& actions) {
    if (asked_) {
        actions.emplace_back(AnswerShutdown{.to = from, .outcome = ShutdownOutcome::InProgress});
        return;
    }
    Asked asked{.from = from, .waiting = {}};
    switch (kind) {
        case ShutdownKind::Immediate:
            break;
        case ShutdownKind::Regardless:
        case ShutdownKind::Request:
            for (const ClientId tracker : trackers_) {
                if (tracker == from) continue;
                actions.emplace_back(AskTracker{.tracker = tracker, .kind = kind});
                if (kind == ShutdownKind::Request) asked.waiting.insert(tracker);
            }
            break;
    }
    asked_ = std::move(asked);
    if (asked_->waiting.empty()) decide(true, actions);
}

void Shutdown::answer(ClientId tracker, bool agrees, ShutdownActions& actions) {
    if (!asked_ || asked_->waiting.erase(tracker) == 0) return;
    if (!agrees) {
        decide(false, actions);
    } else if (asked_->waiting.empty()) {
        decide(true, actions);
    }
}

void Shutdown::gone(ClientId client, ShutdownActions& actions) {
    // Nobody is left to be answered, but the decision stands as it was asked for.
    stop_tracking(client, actions);
}

void Shutdown::time_out(ShutdownActions& actions) {
    if (asked_) decide(false, actions);
}

void Shutdown::decide(bool goes, ShutdownActions& actions) {
    actions.emplace_back(AnswerShutdown{
        .to = asked_->from, .outcome = goes ? ShutdownOutcome::Goes : ShutdownOutcome::Vetoed});
    asked_.reset();
    if (goes) actions.emplace_back(EndNode{});
}

}  // namespace cmapd
