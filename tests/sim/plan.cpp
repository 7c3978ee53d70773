#include "tests/sim/plan.hpp"

#include <algorithm>

#include "tests/sim/nemesis.hpp"

namespace sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

std::vector<base::NodeId> draw_nodes(Random& random, std::size_t count) {
    std::vector<base::NodeId> nodes;
    std::uint32_t id = 0;
    const bool sparse = random.chance(300'000);
    for (std::size_t i = 0; i < count; ++i) {
        id += sparse ? static_cast<std::uint32_t>(random.between(1, 1'000'000)) : 1;
        nodes.emplace_back(id);
    }
    return nodes;
}

// The defaults, shrunk in proportion: logical time is free, but heartbeats are not.
totem::RingConfig draw_settings(Random& random) {
    totem::RingConfig settings;
    const auto divisor = static_cast<std::int64_t>(random.between(2, 10));
    for (base::Duration* duration :
         {&settings.token_timeout, &settings.token_retransmit, &settings.join_interval,
          &settings.consensus_timeout, &settings.merge_interval, &settings.heartbeat_interval,
          &settings.silence_min, &settings.silence_max}) {
        *duration /= divisor;
    }
    settings.accelerated = random.chance(800'000);
    settings.packet_bytes_max = random.between(600, 1400);
    if (random.chance(200'000)) settings.packet_bytes_max = 8900;
    if (random.chance(300'000)) {  // Windows that are soon full.
        settings.window_bytes = random.between(4, 16) * settings.packet_bytes_max;
        settings.visit_bytes = settings.window_bytes / 2;
        settings.accelerated_bytes = settings.visit_bytes / 2;
    }
    return settings;
}

PathRules draw_paths(Random& random, Profile profile) {
    PathRules paths;
    paths.delay_min = random.between(microseconds(20), microseconds(300));
    paths.delay_max = paths.delay_min + random.between(microseconds(10), microseconds(1500));
    const bool lossy = profile == Profile::Lossy || profile == Profile::Mixed;
    if (lossy && random.chance(700'000)) {
        paths.loss = static_cast<Ppm>(random.below(50'000));
        paths.duplicates = static_cast<Ppm>(random.below(20'000));
        paths.reorders = static_cast<Ppm>(random.below(50'000));
    }
    return paths;
}

Workload draw_workload(Random& random) {
    Workload work;
    work.interval_min = random.between(microseconds(200), milliseconds(5));
    work.interval_max = work.interval_min * 10;
    work.safe = random.chance(700'000) ? static_cast<Ppm>(random.below(600'000)) : 0;
    work.urgent = random.chance(400'000) ? 50'000 : 0;
    work.large = random.chance(400'000) ? 30'000 : 0;
    work.size_max = random.between(1'000, 30'000);
    work.in_partial_phase = random.chance(300'000);
    return work;
}

}  // namespace

std::string_view name_of(Profile profile) {
    switch (profile) {
        case Profile::Calm:
            return "calm";
        case Profile::Lossy:
            return "lossy";
        case Profile::Partitions:
            return "partitions";
        case Profile::Asymmetric:
            return "asymmetric";
        case Profile::Churn:
            return "churn";
        case Profile::Pauses:
            return "pauses";
        case Profile::Mixed:
            return "mixed";
    }
    return "";
}

std::optional<Profile> profile_named(std::string_view name) {
    const auto at = std::ranges::find(kProfiles, name, name_of);
    if (at == std::end(kProfiles)) return std::nullopt;
    return *at;
}

Plan draw_plan(const Wish& wish) {
    Random random(wish.seed, 1);
    Plan plan;
    plan.seed = wish.seed;
    const Profile drawn = random.pick(std::span<const Profile>(kProfiles));
    plan.profile = wish.profile.value_or(drawn);
    // Small clusters find most faults, and soonest.
    const std::size_t count = random.chance(700'000) ? random.between(3, 5) : random.between(3, 9);
    plan.nodes = draw_nodes(random, wish.nodes.value_or(count));
    plan.links = plan.profile == Profile::Asymmetric || random.chance(200'000) ? 2 : 1;
    plan.settings = draw_settings(random);
    plan.paths = draw_paths(random, plan.profile);
    plan.turn_latency = random.between(microseconds(2), microseconds(60));
    plan.store_min = random.between(microseconds(50), milliseconds(2));
    plan.store_max = plan.store_min * 4;
    plan.work = draw_workload(random);
    plan.chaos = random.between(plan.settings.token_timeout, 3 * plan.settings.token_timeout);
    Random nemesis(wish.seed, 2);
    if (wish.with_kills) {
        // With faults of the network alone: a node that dies for good has nothing to go on from.
        static constexpr Profile kOfNetwork[] = {Profile::Calm, Profile::Calm, Profile::Lossy,
                                                 Profile::Partitions, Profile::Asymmetric};
        plan.profile = wish.profile.value_or(random.pick(std::span<const Profile>(kOfNetwork)));
        plan.has_kills = true;
        draw_kills(nemesis, plan);
    }
    draw_faults(nemesis, plan);
    if (wish.with_services) {
        plan.has_services = true;
        plan.chaos *= 2;
        // They are judged when all is well.
        plan.partial.clear();
        plan.down = 0;
    }
    Random retime(wish.seed, 6);
    draw_retime(retime, plan);
    return plan;
}

base::Duration settle_bound(const Plan& plan) {
    const totem::RingConfig& it = plan.settings;
    return 2 * (it.token_timeout + it.silence_max) + 18 * it.consensus_timeout +
           4 * it.merge_interval + 8 * plan.store_max;
}

base::Duration quiet_time(const Plan& plan) {
    const totem::RingConfig& it = plan.settings;
    // Who was left out is tried again after ten rounds of consensus.
    return std::max({it.token_timeout, it.silence_max,
                     10 * it.consensus_timeout + 2 * it.merge_interval}) *
           5 / 4;
}

}  // namespace sim
