// Planted faults between core and world: what the core wants is not what is done.
#include <algorithm>
#include <memory>

#include "tests/sim/planted.hpp"

namespace sim {
namespace {

using Actions = std::vector<totem::Action>;
constexpr int kSettled = 40;  // By then there is a ring at work.

// Calls `change` on each step's actions with how often the victim, the first process that acts,
// has delivered so far.
std::function<Tamper()> on_one(const std::function<void(Actions&, int&)>& change) {
    return [change] {
        auto victim = std::make_shared<Process>();
        auto count = std::make_shared<int>(0);
        return [=](Process who, Actions& actions) {
            if (victim->life == 0) *victim = who;
            if (who == *victim) change(actions, *count);
        };
    };
}

template <class What>
auto find(Actions& actions) {
    return std::ranges::find_if(
        actions, [](const totem::Action& action) { return std::holds_alternative<What>(action); });
}

// Once, when `kSettled` steps with a delivery are past.
std::function<Tamper()> at_one_delivery(
    const std::function<void(Actions&, Actions::iterator)>& change) {
    return on_one([change](Actions& actions, int& count) {
        const auto at = find<totem::Deliver>(actions);
        if (at != actions.end() && ++count == kSettled) change(actions, at);
    });
}

bool is_data(const base::Buffer& packet) {
    return packet.size() > 64 && std::to_integer<int>(packet.bytes()[0]) == 2;
}

void damage_packets(Actions& actions, int& count) {
    for (totem::Action& action : actions) {
        auto* sent = std::get_if<totem::SendToAll>(&action);
        if (sent == nullptr || !is_data(sent->packet) || ++count < kSettled) continue;
        base::MutableBuffer damaged(sent->packet.size());
        std::ranges::copy(sent->packet.bytes(), damaged.bytes().begin());
        damaged.bytes().back() ^= std::byte{1};
        sent->packet = std::move(damaged).freeze();
    }
}

void deliver_after_install(Actions& actions, int&) {
    const auto delivery = find<totem::Deliver>(actions);
    const auto regular = std::ranges::find_if(actions, [](const totem::Action& action) {
        const auto* it = std::get_if<totem::InstallConfiguration>(&action);
        return it != nullptr && it->kind == totem::InstallConfiguration::Kind::Regular;
    });
    if (delivery == actions.end() || regular == actions.end() || regular < delivery) return;
    std::rotate(delivery, delivery + 1, regular + 1);
}

void swap_configurations(Actions& actions, int&) {
    const auto first = find<totem::InstallConfiguration>(actions);
    if (first == actions.end()) return;
    const auto second = std::find_if(first + 1, actions.end(), [](const totem::Action& action) {
        return std::holds_alternative<totem::InstallConfiguration>(action);
    });
    if (second != actions.end()) std::swap(*first, *second);
}

void oversize(Actions& actions, int& count) {
    const auto at = find<totem::SendToAll>(actions);
    if (at == actions.end() || ++count < kSettled) return;
    auto& packet = std::get<totem::SendToAll>(*at).packet;
    base::MutableBuffer larger(70'000);
    std::ranges::fill(larger.bytes(), std::byte{0});
    std::ranges::copy(packet.bytes(), larger.bytes().begin());
    packet = std::move(larger).freeze();
}

}  // namespace

std::vector<PlantedInActions> planted_in_actions() {
    return {
        {"a delivery is swallowed", "D4",
         at_one_delivery([](Actions& actions, Actions::iterator at) { actions.erase(at); })},
        {"a delivery is done twice", "B2",
         at_one_delivery([](Actions& actions, Actions::iterator at) {
             const totem::Action copy = *at;
             actions.insert(at, copy);
         })},
        {"a payload is cut short", "B1", at_one_delivery([](Actions&, Actions::iterator at) {
             auto& payload = std::get<totem::Deliver>(*at).payload;
             payload = payload.slice(0, payload.size() - 1);
         })},
        {"data packets are damaged on the way", "B1", on_one(damage_packets)},
        {"a delivery slips behind the next configuration", "B1", on_one(deliver_after_install)},
        {"regular before transitional", "C3", on_one(swap_configurations)},
        {"ring ids never reach the disk", "C7", on_one([](Actions& actions, int&) {
             std::erase_if(actions, [](const totem::Action& action) {
                 return std::holds_alternative<totem::StoreRing>(action);
             });
         })},
        {"packets larger than the path", "W1", on_one(oversize)},
    };
}

}  // namespace sim
