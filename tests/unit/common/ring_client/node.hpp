// A node: ringd's stream and its services, each in a loop of its own, in turn.
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>

#include "common/os/clock.hpp"
#include "tests/unit/common/ring_client/one_node_ring.hpp"
#include "tests/unit/common/ring_client/relay.hpp"
#include "tests/unit/common/ring_client/service.hpp"
#include "tests/unit/common/zmtp/support.hpp"

// What must happen soon; far longer than it takes on a machine with nothing to spare.
inline constexpr base::Duration kSoon = std::chrono::seconds(20);

struct Node {
    explicit Node(const stream::SwitchConfig& config = {}) : config_(config) { start_ring(); }

    [[nodiscard]] std::string path() const { return folder_.file("ring"); }
    [[nodiscard]] std::string relay_path() const { return folder_.file("relay"); }
    void start_ring() { ring = std::make_unique<OneNodeRing>(path(), config_, ++lives_); }

    template <class Condition>
    bool wait(Condition condition, std::initializer_list<Service*> services) {
        const base::Instant until = os::now() + kSoon;
        while (!condition()) {
            if (os::now() > until) return false;
            if (relay) relay->turn();
            if (ring) ring->turn();
            for (Service* service : services) {
                service->turn();
            }
        }
        return true;
    }
    // Until the service has got back as many numbers as it said.
    bool wait_for_own(Service& service) {
        return wait([&] { return service.numbers().size() == service.next_number - 1; },
                    {&service});
    }

    std::unique_ptr<OneNodeRing> ring;
    std::optional<Relay> relay;

  private:
    zmtp::test::TemporaryFolder folder_;
    stream::SwitchConfig config_;
    std::uint64_t lives_ = 0;
};
