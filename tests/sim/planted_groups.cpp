// Planted faults of closed process groups: what a cpgd tells its clients, or takes from the ring,
// is not what its core made or should have got.
#include <algorithm>
#include <map>
#include <memory>

#include "tests/sim/planted.hpp"

namespace sim {
namespace {

namespace api = protocol::cpg;
using Actions = std::vector<cpg::Action>;

constexpr int kSettled = 40;  // Events of a kind by when there are groups at work.

api::SessionEvent* event_of(cpg::Action& action) {
    auto* send = std::get_if<cpg::SendToClient>(&action);
    return send == nullptr ? nullptr : std::get_if<api::SessionEvent>(&send->frame);
}

// Changes each event of this kind that has a place for it, from the `from`-th on, until one was
// changed: `change` says so.
template <class What>
std::function<CpgTamper()> at_one(int from, const std::function<bool(What&)>& change) {
    return [from, change] {
        auto count = std::make_shared<int>(0);
        auto is_done = std::make_shared<bool>(false);
        return CpgTamper{.actions = [=](NodeIndex, Actions& actions) {
            for (cpg::Action& action : actions) {
                api::SessionEvent* event = event_of(action);
                auto* what = event == nullptr ? nullptr : std::get_if<What>(&event->what);
                if (what == nullptr || *is_done || ++*count < from) continue;
                *is_done = change(*what);
            }
        }};
    };
}

// Two events of one connection that leave in one step, the first of a kind and the second of
// another, change places.
template <class First, class Second>
std::function<CpgTamper()> swapped(const std::function<bool(const First&, const Second&)>& fit) {
    return [fit] {
        return CpgTamper{.actions = [=](NodeIndex, Actions& actions) {
            for (std::size_t i = 0; i < actions.size(); ++i) {
                api::SessionEvent* first = event_of(actions[i]);
                if (first == nullptr || !std::holds_alternative<First>(first->what)) continue;
                for (std::size_t j = i + 1; j < actions.size(); ++j) {
                    api::SessionEvent* second = event_of(actions[j]);
                    const bool is_pair =
                        second != nullptr && std::holds_alternative<Second>(second->what) &&
                        std::get<cpg::SendToClient>(actions[i]).connection ==
                            std::get<cpg::SendToClient>(actions[j]).connection &&
                        fit(std::get<First>(first->what), std::get<Second>(second->what));
                    if (!is_pair) continue;
                    std::swap(first->what, second->what);
                    break;
                }
            }
        }};
    };
}

// A message takes the place of the next one to the same client.
CpgTamper repeat_messages() {
    auto last = std::make_shared<std::map<cpg::ConnectionId, api::Delivered>>();
    auto count = std::make_shared<int>(0);
    return {.actions = [=](NodeIndex, Actions& actions) {
        for (cpg::Action& action : actions) {
            api::SessionEvent* event = event_of(action);
            auto* delivered =
                event == nullptr ? nullptr : std::get_if<api::Delivered>(&event->what);
            if (delivered == nullptr) continue;
            const auto before = last->find(std::get<cpg::SendToClient>(action).connection);
            const bool is_due = before != last->end() && ++*count == kSettled;
            if (is_due) *delivered = before->second;
            (*last)[std::get<cpg::SendToClient>(action).connection] = *delivered;
        }
    }};
}

CpgTamper lose_a_batch_to_the_ring() {
    auto count = std::make_shared<int>(0);
    return {.actions = [=](NodeIndex, Actions& actions) {
        std::erase_if(actions, [&](const cpg::Action& action) {
            return std::holds_alternative<cpg::Submit>(action) && ++*count == kSettled;
        });
    }};
}

// One node reads what a batch of its own brought as if it were empty.
CpgTamper overlook_a_batch() {
    auto count = std::make_shared<int>(0);
    return {.events = [=](NodeIndex, base::NodeId self, protocol::Event& event) {
        auto* batch = std::get_if<protocol::Batch>(&event.what);
        if (batch == nullptr || batch->sender != self || ++*count < kSettled) return;
        if (*count < kSettled + 5) batch->payload = {};
    }};
}

base::Buffer with_other_end(const base::Buffer& payload) {
    base::MutableBuffer other(payload.size());
    std::ranges::copy(payload.bytes(), other.bytes().begin());
    other.bytes().back() = std::byte{'x'};
    return std::move(other).freeze();
}

CpgTamper misread_messages() {
    return {.actions = [](NodeIndex node, Actions& actions) {
        for (cpg::Action& action : actions) {
            api::SessionEvent* event = node == 0 ? event_of(action) : nullptr;
            auto* delivered =
                event == nullptr ? nullptr : std::get_if<api::Delivered>(&event->what);
            if (delivered != nullptr) delivered->payload = with_other_end(delivered->payload);
        }
    }};
}

bool has_reason(const std::vector<api::Member>& members, api::Reason reason) {
    return std::ranges::any_of(members,
                               [&](const api::Member& member) { return member.reason == reason; });
}

}  // namespace

std::vector<PlantedInGroups> planted_in_groups() {
    using api::Confchg;
    using api::Delivered;
    using api::Reason;
    using api::TotemConfchg;
    return {
        {"a client gets a message twice", "E1", repeat_messages},
        {"two messages of one sender change places", "E2",
         swapped<Delivered, Delivered>([](const Delivered& a, const Delivered& b) {
             return a.node == b.node && a.pid == b.pid && a.handle == b.handle;
         })},
        {"a sender does not see its own message", "E3", overlook_a_batch},
        {"a member is forgotten", "G1",
         at_one<Confchg>(kSettled,
                         [](Confchg& it) {
                             if (it.members.size() < 3) return false;
                             it.members.erase(it.members.begin());
                             return true;
                         })},
        {"who left is still there", "G1",
         at_one<Confchg>(kSettled,
                         [](Confchg& it) {
                             if (it.left.empty()) return false;
                             it.members.push_back(it.left.back());
                             return true;
                         })},
        {"the first event is no own join", "G2",
         at_one<Confchg>(5,
                         [](Confchg& it) {
                             if (!has_reason(it.joined, Reason::Join)) return false;
                             it.joined.front().reason = Reason::NodeUp;
                             return it.members.size() == 1;
                         })},
        {"a message comes from a stranger", "G3",
         at_one<Delivered>(kSettled,
                           [](Delivered& it) {
                               it.pid += 1'000'000;
                               return true;
                           })},
        {"the clients of one node read other messages", "G4", misread_messages},
        {"a node comes back with a reason to go", "G5",
         at_one<Confchg>(1,
                         [](Confchg& it) {
                             if (!has_reason(it.joined, Reason::NodeUp)) return false;
                             it.joined.front().reason = Reason::NodeDown;
                             return true;
                         })},
        {"somebody goes who was not there", "G6",
         at_one<Confchg>(kSettled,
                         [](Confchg& it) {
                             it.left.push_back({.node = base::NodeId{1},
                                                .pid = 999'999,
                                                .reason = Reason::ProcDown});
                             return true;
                         })},
        {"a member goes for no reason", "G6",
         at_one<Confchg>(kSettled,
                         [](Confchg& it) {
                             if (it.left.empty()) return false;
                             it.left.front().reason = Reason::Undefined;
                             return true;
                         })},
        {"the totem confchg overtakes the groups'", "G7",
         swapped<Confchg, TotemConfchg>([](const Confchg& a, const TotemConfchg& b) {
             return a.handle == b.handle && has_reason(a.joined, Reason::NodeUp);
         })},
        {"a totem confchg of a ring that is over", "G7",
         at_one<TotemConfchg>(kSettled,
                              [](TotemConfchg& it) {
                                  it.ring.seq = 0;
                                  return true;
                              })},
        {"a batch is lost on its way to the ring", "E3", lose_a_batch_to_the_ring},
    };
}

}  // namespace sim
