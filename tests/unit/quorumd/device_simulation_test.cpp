// Random histories of clusters with a quorum device: links between nodes and to the arbiter are
// cut, noticed late, mended; programs are paused, killed and started. No two sides are quorate at
// once, and after a heal quorum is back. HALO_QUORUM_SEED and HALO_QUORUM_SEEDS choose the
// histories, as in simulation_test.cpp.
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>

#include "tests/unit/quorumd/toy_arbiter.hpp"

namespace {

using namespace quorum_test;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr base::Duration kDeviceTimeout = seconds(4);
constexpr base::Duration kSyncTimeout = seconds(8);

ToyOptions options_of(std::uint64_t seed, base::Prng& random) {
    ToyOptions options;
    options.votes.assign(2 + seed % 3, 1);
    quorum::Config& config = options.config;
    config.options.device_votes = 1;
    config.options.expected_votes = static_cast<std::uint32_t>(options.votes.size()) + 1;
    config.options.rules.wait_for_all = random.below(3) == 0;
    config.device_timeout = kDeviceTimeout;
    config.device_sync_timeout = kSyncTimeout;
    config.lease = milliseconds(3000 + random.below(7000));
    config.renewal = milliseconds(500);
    return options;
}

class Run {
  public:
    explicit Run(std::uint64_t seed)
        : random_(seed * 6131),
          options_(options_of(seed, random_)),
          cluster_(options_, seed),
          arbiter_(cluster_, kDeviceTimeout, seed) {}

    void go() {
        run(seconds(15));
        for (int i = 0; i < 12; ++i) {
            act();
            run(milliseconds(random_.below(8000)));
        }
        cluster_.heal();
        arbiter_.mend_all();
        for (const std::uint32_t node : cluster_.ids()) {
            cluster_.power_on(node);
            arbiter_.start_program(node);
        }
        // Pauses last 10 s, then the ring forms, the device may not have spoken yet, and the
        // longest lease may have to end.
        run(seconds(10) + seconds(5) + kSyncTimeout + options_.config.lease);
        for (const std::uint32_t node : cluster_.ids()) {
            if (!cluster_.is_quorate(node))
                cluster_.faults.push_back("no quorum on node " + std::to_string(node) +
                                          " after the heal");
        }
    }
    ToyCluster& cluster() { return cluster_; }

  private:
    void run(base::Duration time) {
        for (const base::Instant end = cluster_.now() + time; cluster_.now() < end;) {
            cluster_.run(options_.tick);
            arbiter_.tick();
        }
    }
    void act() {
        const auto node = 1 + static_cast<std::uint32_t>(random_.below(options_.votes.size()));
        switch (random_.below(13)) {
            case 0:
            case 1:
            case 2:
                part();
                break;
            case 3:
                cluster_.heal();
                break;
            case 4:
            case 5:
                arbiter_.cut(node);
                break;
            case 6:
                arbiter_.mend_all();
                break;
            case 7:  // Both links of a node at once.
                arbiter_.cut(node);
                part();
                break;
            case 8:
                arbiter_.kill_program(node);
                break;
            case 9:
                arbiter_.start_program(node);
                break;
            case 10:
                cluster_.pause_quorumd(node, milliseconds(random_.below(10'000)));
                break;
            case 11:
                cluster_.power_off(node);
                break;
            default:
                cluster_.power_on(node);
        }
    }
    void part() {
        std::vector<unsigned> sides;
        for (std::size_t i = 0; i < options_.votes.size(); ++i) {
            sides.push_back(static_cast<unsigned>(random_.below(2)));
        }
        cluster_.partition(sides);
    }

    base::Prng random_;
    ToyOptions options_;
    ToyCluster cluster_;
    ToyArbiter arbiter_;
};

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

TEST_CASE("with a quorum device no two sides are quorate at once, whatever is cut and when") {
    const std::uint64_t first = from_environment("HALO_QUORUM_SEED", 1);
    const std::uint64_t count = from_environment("HALO_QUORUM_SEEDS", 500);
    std::uint64_t decided = 0;
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        CAPTURE(seed);
        Run run(seed);
        run.go();
        for (const std::string& fault : run.cluster().faults) {
            FAIL_CHECK(fault);
            break;
        }
        decided += run.cluster().decided_by_device;
    }
    std::printf("%llu histories with a device, its vote decided in %llu rings\n",
                static_cast<unsigned long long>(count), static_cast<unsigned long long>(decided));
    CHECK(decided >= count);
}
