// Random histories: nodes that split, merge and restart, services that die, hang, come back and
// start afresh, under load. The seed is printed with what broke.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/unit/ringd/stream/toy_cluster.hpp"

using namespace stream;
using test::ToyCluster;
using test::ToyService;

namespace {

using std::chrono::seconds;

constexpr std::uint32_t kNodes = 4;
constexpr int kActions = 400;

SwitchConfig small() {
    return {.window_bytes = 600,
            .retention_bytes_max = 24'000,
            .retention_bytes_hard = 40'000,
            .in_flight_bytes_max = 1500,
            .waiting_bytes_max = 4000,
            .grace = seconds(10),
            .stall_max = seconds(5)};
}

class History {
  public:
    explicit History(std::uint64_t seed)
        : cluster_(
              kNodes,
              [] {
                  SwitchConfig config = small();
                  config.self = base::NodeId{1};
                  return config;
              }(),
              seed) {
        for (std::uint32_t node = 1; node <= kNodes; ++node) {
            (void)cluster_.service(node, "a");
            (void)cluster_.service(node, "b");
        }
    }

    void act() {
        base::Prng& random = cluster_.random();
        ToyService& service = *cluster_.services()[random.below(cluster_.services().size())];
        const bool is_connected = service.connection().has_value();
        switch (random.below(16)) {
            case 0:
                return split();
            case 1:
                if (random.below(4) == 0)
                    restart(1 + static_cast<std::uint32_t>(random.below(kNodes)));
                return;
            case 2:
                if (is_connected && random.below(2) == 0) cluster_.kill(service);
                return;
            case 3:
                if (is_connected && random.below(8) == 0) cluster_.detach(service);
                return;
            case 4:
                if (random.below(4) == 0) cluster_.pass_time(seconds(random.below(7)));
                return;
            case 5:
            case 6:
                if (is_connected) cluster_.acknowledge(service);
                return;
            case 7:
            case 8:
            case 9:
                if (!is_connected) return reconnect(service);
                return;
            case 10:
            case 11:
            case 12:
                (void)cluster_.submit(service, random.below(150), random.below(4) == 0);
                return;
            default:
                for (std::uint64_t steps = random.below(10); steps > 0; --steps) {
                    (void)cluster_.step_ring();
                }
        }
    }

    // All together, all back: what is alive must get on.
    void heal() {
        std::vector<std::uint32_t> all;
        for (std::uint32_t node = 1; node <= kNodes; ++node) {
            all.push_back(node);
        }
        cluster_.form_rings({all});
        cluster_.settle();
        for (int tries = 0; tries < 3; ++tries) {  // Refused once, it starts afresh.
            for (const auto& service : cluster_.services()) {
                if (!service->connection()) cluster_.connect(*service);
            }
            cluster_.settle();
        }
    }

    void check() {
        const auto broken = test::broken_rule(cluster_.lives());
        REQUIRE_MESSAGE(!broken, broken.value_or(""));
        for (const auto& service : cluster_.services()) {
            const test::LifeRecord& life = service->life();
            CAPTURE(service->node().value());
            REQUIRE(service->is_attached());
            CHECK(service->window_bytes() == small().window_bytes);
            CHECK(life.taken == life.submitted);
            const protocol::View* last = nullptr;
            std::uint64_t own = 0;
            for (const protocol::Event& event : life.events) {
                if (const auto* view = std::get_if<protocol::View>(&event.what)) last = view;
                const auto* batch = std::get_if<protocol::Batch>(&event.what);
                if (batch != nullptr && batch->sender == life.node) ++own;
            }
            CHECK(own == life.submitted);  // Nothing of it was lost or doubled.
            REQUIRE(last != nullptr);
            CHECK(last->members.size() == kNodes);
        }
        for (std::uint32_t node = 1; node <= kNodes; ++node) {
            const Status status = cluster_.switch_of(node).status();
            CHECK(status.awaited.empty());
            CHECK(status.held_items == 0);
            CHECK(status.counters.malformed_items == 0);
            for (const ChannelStatus& channel : status.channels) {
                CHECK(channel.services.size() == 1);
            }
        }
    }

  private:
    void split() {
        std::vector<std::vector<std::uint32_t>> groups(2);
        for (std::uint32_t node = 1; node <= kNodes; ++node) {
            groups[cluster_.random().below(2)].push_back(node);
        }
        std::erase_if(groups, [](const auto& group) { return group.empty(); });
        cluster_.form_rings(groups);
    }

    void restart(std::uint32_t node) {
        cluster_.restart_node(node);
        cluster_.form_rings({{node}});
    }

    void reconnect(ToyService& service) {
        base::Prng& random = cluster_.random();
        if (random.below(3) == 0) service.lose_memory();
        cluster_.connect(service, random.below(6) == 0);
    }

    ToyCluster cluster_;
};

}  // namespace

TEST_CASE("whatever happens, the rules hold and what is alive gets on") {
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
        CAPTURE(seed);
        History history(seed);
        for (int i = 0; i < kActions; ++i) {
            history.act();
        }
        history.heal();
        history.check();
    }
}
