#include "tests/scenario/tale.hpp"

#include "tests/sim/checkers/checkers.hpp"

namespace scenario {
namespace {

constexpr int kRoundsMax = 2'000;

std::string line_of(const sim::Entry& entry) {
    const std::string who = std::to_string(entry.who.node.value());
    if (const auto* sent = std::get_if<sim::Sent>(&entry.what)) {
        const bool is_safe = sent->guarantee == totem::Guarantee::Safe;
        return who + " sends " + who + "." + std::to_string(sent->number) +
               (is_safe ? " safe\n" : "\n");
    }
    if (const auto* delivered = std::get_if<sim::Delivered>(&entry.what)) {
        return who + " delivers " + std::to_string(delivered->message.sender.node.value()) + "." +
               std::to_string(delivered->message.number) + "\n";
    }
    if (const auto* installed = std::get_if<sim::Installed>(&entry.what)) {
        const auto& it = installed->configuration;
        const bool is_regular = it.kind == totem::InstallConfiguration::Kind::Regular;
        return who + (is_regular ? " regular " : " transitional ") + sim::to_text(it.members) +
               "\n";
    }
    if (std::holds_alternative<sim::Ended>(entry.what)) return who + " crashes\n";
    if (const auto* started = std::get_if<sim::Started>(&entry.what)) {
        return who + " starts with ring " + std::to_string(started->durable.seq) + "\n";
    }
    return "";
}

}  // namespace

void Tale::take(Choice::What what, std::size_t member) {
    world_.take({.what = what, .at = member - 1});
}

void Tale::send(std::size_t member, bool safe) {
    world_.take({.what = Choice::What::Submit, .at = member - 1, .safe = safe});
}

bool Tale::go_on(const IsEnough& is_enough, const IsLost& is_lost) {
    for (int round = 0; round < kRoundsMax; ++round) {
        if (is_enough(world_)) return true;
        const auto arrivals = world_.arrivals();
        if (arrivals.empty()) world_.take({.what = Choice::What::Wait});
        for (Choice choice : arrivals) {
            const auto what = world_.first_on_line(choice.at, choice.to);
            const bool lost = is_lost && what && is_lost(choice.at + 1, choice.to + 1, *what);
            if (lost) choice.what = Choice::What::Lose;
            world_.take(choice);
            if (is_enough(world_)) return true;
        }
    }
    return false;
}

std::string Tale::heard() {
    std::string lines;
    for (; told_ < record_.trace.size(); ++told_)
        lines += line_of(record_.trace[told_]);
    return lines;
}

std::string Tale::broken_rules() {
    world_.end_well();
    std::string rules;
    const sim::Report report = sim::check(record_.trace);
    for (const sim::Violation& violation : report.violations())
        rules += std::string(violation.rule) + ": " + violation.text + "\n";
    return rules;
}

}  // namespace scenario
