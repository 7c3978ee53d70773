// What the token of a ring without load does after a message: how soon it rests, and who gets it
// from there without time passing.
#include <doctest/doctest.h>

#include <array>
#include <deque>

#include "ringd/totem/ring.hpp"

namespace {

using std::chrono::milliseconds;
using totem::Guarantee;

constexpr std::size_t kNodes = 3;

base::NodeId node(std::size_t index) {
    return base::NodeId{static_cast<std::uint32_t>(index + 1)};
}

totem::RingConfig config_of(std::size_t index) {
    totem::RingConfig config;
    config.self = node(index);
    for (std::size_t other = 0; other < kNodes; ++other) {
        if (other != index)
            config.peers.push_back({.node = node(other), .links = {totem::LinkId{0}}});
    }
    return config;
}

// Three members, between whom packets take no time and keep their order. Each is read before the
// next arrives.
class Ring {
  public:
    Ring() {
        for (std::size_t i = 0; i < kNodes; ++i) {
            members_.push_back({.core = totem::Ring(config_of(i), {}, i, now_)});
        }
        for (std::size_t i = 0; i < kNodes; ++i) {
            step(i, totem::DeadlinePassed{});
        }
        pass(milliseconds(5000));
        for (const Member& member : members_) {
            REQUIRE(member.core.status().members.size() == kNodes);
        }
    }

    void submit(std::size_t from, Guarantee guarantee) {
        step(from, totem::Submitted{.number = ++members_[from].submitted,
                                    .guarantee = guarantee,
                                    .urgent = false,
                                    .payload = base::Buffer::copy_of(std::array{std::byte{7}})});
        settle();
    }
    void pass(base::Duration length) {
        for (const base::Instant end = now_ + length; now_ < end;) {
            settle();
            now_ += milliseconds(1);
            for (std::size_t i = 0; i < kNodes; ++i) {
                const auto deadline = members_[i].core.next_deadline();
                if (deadline && *deadline <= now_) step(i, totem::DeadlinePassed{});
            }
        }
        settle();
    }

    [[nodiscard]] std::uint64_t visits() const {
        return sum([](const totem::RingStats& stats) { return stats.tokens_visited; });
    }
    [[nodiscard]] std::uint64_t parked() const {
        return sum([](const totem::RingStats& stats) { return stats.tokens_parked; });
    }
    [[nodiscard]] bool rests_at(std::size_t index) const {
        return members_[index].core.status().holds_token;
    }
    // At each member.
    [[nodiscard]] std::array<std::size_t, kNodes> delivered() const {
        return {members_[0].delivered, members_[1].delivered, members_[2].delivered};
    }

  private:
    struct Member {
        totem::Ring core;
        std::uint64_t submitted = 0;
        std::size_t delivered = 0;
    };
    struct Packet {
        std::size_t from = 0;
        std::size_t to = 0;
        base::Buffer bytes;
    };

    void settle() {
        while (!packets_.empty()) {
            const Packet packet = std::move(packets_.front());
            packets_.pop_front();
            step(packet.to,
                 totem::PacketArrived{
                     .from = node(packet.from), .link = totem::LinkId{0}, .packet = packet.bytes});
            step(packet.to, totem::Drained{});
        }
    }
    void step(std::size_t index, const totem::Event& event) {
        Member& member = members_[index];
        std::vector<totem::Action> actions;
        member.core.step(now_, event, actions);
        for (const totem::Action& action : actions) {
            if (const auto* one = std::get_if<totem::SendTo>(&action)) {
                packets_.push_back(
                    {.from = index, .to = one->to.value() - 1, .bytes = one->packet});
            } else if (const auto* all = std::get_if<totem::SendToAll>(&action)) {
                for (std::size_t to = 0; to < kNodes; ++to) {
                    if (to != index)
                        packets_.push_back({.from = index, .to = to, .bytes = all->packet});
                }
            } else if (const auto* store = std::get_if<totem::StoreRing>(&action)) {
                step(index, totem::RingStored{store->ring});
            } else if (std::holds_alternative<totem::Deliver>(action)) {
                ++member.delivered;
            }
        }
    }
    template <class Count>
    [[nodiscard]] std::uint64_t sum(Count count) const {
        std::uint64_t total = 0;
        for (const Member& member : members_) {
            total += count(member.core.stats());
        }
        return total;
    }

    base::Instant now_{milliseconds(1)};
    std::vector<Member> members_;
    std::deque<Packet> packets_;
};

using Counts = std::array<std::size_t, kNodes>;

}  // namespace

TEST_CASE("the token rests at the sender after one round, and is parked for good a moment later") {
    Ring ring;
    ring.submit(0, Guarantee::Agreed);
    ring.pass(milliseconds(100));
    const std::uint64_t visits = ring.visits();
    const std::uint64_t parked = ring.parked();
    ring.submit(0, Guarantee::Agreed);
    CHECK(ring.delivered() == Counts{2, 2, 2});
    CHECK(ring.visits() - visits == kNodes + 1);
    CHECK(ring.rests_at(0));
    CHECK(ring.parked() == parked);
    ring.pass(milliseconds(30));
    CHECK(ring.parked() == parked + 1);
    CHECK(ring.rests_at(0));
    const std::uint64_t settled = ring.visits();
    ring.pass(milliseconds(1000));
    CHECK(ring.visits() == settled);
}

TEST_CASE("who has something to send while the token rests elsewhere asks for it") {
    Ring ring;
    ring.submit(0, Guarantee::Agreed);
    REQUIRE(ring.rests_at(0));
    ring.submit(1, Guarantee::Agreed);  // No time passes.
    CHECK(ring.delivered() == Counts{2, 2, 2});
    CHECK(ring.rests_at(1));
    ring.submit(2, Guarantee::Agreed);
    CHECK(ring.delivered() == Counts{3, 3, 3});
}

TEST_CASE("the token does not rest before all have delivered what is safe") {
    Ring ring;
    ring.submit(0, Guarantee::Safe);
    CHECK(ring.delivered() == Counts{1, 1, 1});
    ring.submit(1, Guarantee::Agreed);
    ring.submit(0, Guarantee::Safe);
    CHECK(ring.delivered() == Counts{3, 3, 3});
}
