// Random histories of whole clusters in time: no two sides are quorate at once, no node says that
// it is for longer than its lease without contact, all decide alike, and after a heal quorum is
// back within a bound. Prints how much was tried.
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>

#include "tests/unit/quorumd/toy_cluster.hpp"

namespace {

using namespace quorum_test;
using std::chrono::milliseconds;
using std::chrono::seconds;

ToyOptions options_of(std::uint64_t seed, base::Prng& random, bool& two_sides) {
    ToyOptions options;
    const std::size_t nodes = 2 + seed % 6;
    const bool is_weighed = random.below(3) == 0;
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < nodes; ++i) {
        options.votes.push_back(is_weighed ? static_cast<std::uint32_t>(random.below(4)) : 1);
        sum += options.votes.back();
    }
    if (sum == 0) sum = options.votes[0] = 1;
    quorum::Config& config = options.config;
    config.options.expected_votes = sum;
    config.lease = milliseconds(3000 + random.below(6000));
    config.renewal = milliseconds(500);
    config.last_man_standing_window = seconds(2);
    quorum::Rules& rules = config.options.rules;
    rules.wait_for_all = random.below(2) == 0;
    rules.two_node = nodes == 2 && random.below(2) == 0;
    if (!rules.two_node && random.below(3) == 0) rules.tie_breaker = quorum::LowestNode{};
    if (!rules.two_node && random.below(3) == 0) rules.tie_breaker = quorum::HighestNode{};
    rules.last_man_standing = !is_weighed && !rules.two_node && random.below(3) == 0;
    rules.allow_downscale = !rules.two_node && random.below(6) == 0;
    two_sides = rules.two_node || rules.allow_downscale;
    return options;
}

class Run {
  public:
    explicit Run(std::uint64_t seed)
        : random_(seed * 7919),
          options_(options_of(seed, random_, two_sides_)),
          cluster_(options_, seed) {
        cluster_.two_sides_are_allowed = two_sides_;
    }

    void go() {
        cluster_.run(seconds(5));
        for (int i = 0; i < 12; ++i) {
            act();
            cluster_.run(milliseconds(random_.below(4000)));
        }
        cluster_.heal();
        for (const std::uint32_t node : cluster_.ids()) {
            cluster_.power_on(node);
        }
        // Pauses last 15 s, then the ring forms, then the longest lease may have to end.
        cluster_.run(seconds(15) + seconds(5) + options_.config.lease);
        for (const std::uint32_t node : cluster_.ids()) {
            if (!cluster_.is_quorate(node))
                cluster_.faults.push_back("no quorum on node " + std::to_string(node) +
                                          " after the heal");
        }
        if (two_sides_) return;
        const auto standing = cluster_.status(1).standing;
        for (const std::uint32_t node : cluster_.ids()) {
            if (cluster_.status(node).standing != standing)
                cluster_.faults.push_back("different standings after the heal");
        }
    }
    ToyCluster& cluster() { return cluster_; }

  private:
    std::uint32_t some_node() {
        return 1 + static_cast<std::uint32_t>(random_.below(options_.votes.size()));
    }
    void act() {
        const std::uint32_t node = some_node();
        const auto time = milliseconds(random_.below(15'000));
        switch (random_.below(11)) {
            case 0:
            case 1:
            case 2:
                part();
                break;
            case 3:
                cluster_.heal();
                break;
            case 4:
                cluster_.pause_ringd(node, time);
                break;
            case 5:
                cluster_.pause_quorumd(node, time);
                break;
            case 6:
                cluster_.pause_ringd(node, time);
                cluster_.pause_quorumd(node, time);
                break;
            case 7:
                if (options_.config.options.rules.allow_downscale && random_.below(2) == 0) {
                    cluster_.leave(node);
                    cluster_.run(milliseconds(200));
                }
                cluster_.power_off(node);
                break;
            case 8:
                cluster_.power_on(node);
                break;
            case 9:
                cluster_.restart_quorumd(node);
                break;
            default:
                cluster_.restart_ringd(node);
        }
    }
    void part() {
        std::vector<unsigned> sides;
        const std::uint64_t count = 2 + random_.below(2);
        for (std::size_t i = 0; i < options_.votes.size(); ++i) {
            sides.push_back(static_cast<unsigned>(random_.below(count)));
        }
        cluster_.partition(sides);
    }

    bool two_sides_ = false;
    base::Prng random_;
    ToyOptions options_;
    ToyCluster cluster_;
};

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

TEST_CASE("whatever happens to nodes, daemons and the network, the rules hold") {
    const std::uint64_t first = from_environment("HALO_QUORUM_SEED", 1);
    const std::uint64_t count = from_environment("HALO_QUORUM_SEEDS", 2000);
    std::uint64_t decisions = 0;
    std::uint64_t gains = 0;
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        CAPTURE(seed);
        Run run(seed);
        run.go();
        for (const std::string& fault : run.cluster().faults) {
            FAIL_CHECK(fault);
            break;
        }
        decisions += run.cluster().decisions;
        gains += run.cluster().gains;
    }
    std::printf("%llu histories, %llu messages compared, quorum began %llu times\n",
                static_cast<unsigned long long>(count), static_cast<unsigned long long>(decisions),
                static_cast<unsigned long long>(gains));
    CHECK(gains >= count);
}

TEST_CASE("a healthy cluster keeps its quorum, and is all but silent") {
    for (const std::size_t nodes : {1u, 3u, 8u}) {
        ToyOptions options;
        options.votes.assign(nodes, 1);
        options.config.options.expected_votes = static_cast<std::uint32_t>(nodes);
        options.config.lease = milliseconds(4000);
        ToyCluster cluster(options, nodes);
        cluster.run(seconds(10));
        const auto before = cluster.status(1).counters;
        cluster.run(seconds(600));
        const auto after = cluster.status(1).counters;
        CHECK(cluster.is_quorate(1));
        CHECK(cluster.faults.empty());
        CHECK(after.leases_expired == before.leases_expired);
        // At most one a second and node, whoever's turn it is.
        CHECK(after.renewals - before.renewals <= 600 * nodes * 2);
        CHECK(after.renewals - before.renewals >= 300 * nodes);
    }
}
