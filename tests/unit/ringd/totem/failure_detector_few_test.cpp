// The detectors of a few members that take turns: how often they speak, and whom they convict.
#include <doctest/doctest.h>

#include <functional>
#include <queue>
#include <random>

#include "ringd/totem/failure_detector.hpp"
#include "tests/unit/ringd/totem/detector_world.hpp"

using namespace detector_world;

namespace {

// All members of a ring, with a network of half a millisecond that loses what it is told to. A
// paused member reads what has come when it goes on.
class Members {
  public:
    enum class Beats { FullRate, ByTurns, WithLifelines };
    struct Sent {
        Instant at{};
        std::uint32_t from = 0;
        std::uint32_t to = 0;
    };

    explicit Members(std::uint32_t count, Beats beats = Beats::ByTurns) : count_(count) {
        totem::NodeSet members;
        for (std::uint32_t node = 1; node <= count; ++node)
            members.insert(NodeId{node});
        for (std::uint32_t self = 1; self <= count; ++self) {
            totem::RingConfig settings;
            settings.self = NodeId{self};
            for (const NodeId peer : members.without(NodeId{self}))
                settings.peers.push_back({.node = peer, .links = {kLink}});
            detectors_.emplace_back(settings, now);
            for (const NodeId peer : members.without(NodeId{self}))
                hear(self, {.at = now, .from = peer.value(), .to = self}, {});
            const totem::NodeSet near =
                beats == Beats::FullRate ? totem::NodeSet{} : members.without(NodeId{self});
            detectors_.back().watch(NodeId{self}, members, near, now);
            if (beats != Beats::WithLifelines) continue;
            for (const NodeId peer : near)
                detectors_.back().lifeline_up(peer, kLink, now);
        }
        paused_until_.resize(count);
    }

    // Somebody was convicted by anybody: the run ends then.
    bool run(Duration length) {
        for (const Instant end = now + length; now < end; now += std::chrono::microseconds(500)) {
            for (std::uint32_t node = 1; node <= count_; ++node) {
                if (now >= paused_until_[node - 1]) turn(node);
            }
            if (someone_is_missed()) return true;
        }
        return false;
    }
    // As the driver does: what has come is read first, and the own pause is taken off.
    void pause(std::uint32_t node, Duration length) { paused_until_[node - 1] = now + length; }
    void stop(std::uint32_t node) { pause(node, std::chrono::hours(1)); }

    FailureDetector& operator[](std::uint32_t node) { return detectors_[node - 1]; }

    std::function<bool()> is_lost = [] { return false; };
    std::vector<Sent> sent;
    std::size_t wake_ups = 0;
    Instant now{milliseconds(1000)};

  private:
    struct Packet {
        Sent sent;
        FailureDetector::Beat beat;
    };

    void hear(std::uint32_t node, const Sent& what, const FailureDetector::Beat& beat) {
        totem::Heartbeat words = heartbeat();
        words.row.node = NodeId{what.from};
        words.row.hears = {NodeId{what.from}};
        words.reply_wanted = beat.reply_wanted;
        words.promise = beat.promise;
        detectors_[node - 1].heartbeat_arrived(words.row.node, kLink, words, now);
    }

    void turn(std::uint32_t node) {
        FailureDetector& detector = detectors_[node - 1];
        bool is_woken = now >= detector.next_tick();
        Instant& paused_until = paused_until_[node - 1];
        if (paused_until != Instant{}) {
            detector.paused(now - std::max(detector.next_tick(), Instant{}));
            paused_until = {};
        }
        for (auto& packet : std::exchange(in_flight_[node], {})) {
            if (packet.sent.at < now) {
                hear(node, packet.sent, packet.beat);
                is_woken = true;
            } else {
                in_flight_[node].push_back(packet);
            }
        }
        wake_ups += is_woken ? 1 : 0;
        std::vector<FailureDetector::Beat> beats;
        detector.tick(now, beats);
        for (const FailureDetector::Beat& beat : beats) {
            const Sent what{.at = now, .from = node, .to = beat.peer.value()};
            sent.push_back(what);
            if (!is_lost()) in_flight_[what.to].push_back({what, beat});
        }
    }

    bool someone_is_missed() {
        for (std::uint32_t node = 1; node <= count_; ++node) {
            if (now < paused_until_[node - 1]) continue;
            for (const NodeId peer : detectors_[node - 1].peers()) {
                if (!detectors_[node - 1].hears(peer, now)) return true;
            }
        }
        return false;
    }

    std::uint32_t count_;
    std::vector<FailureDetector> detectors_;
    std::vector<Instant> paused_until_;
    std::map<std::uint32_t, std::vector<Packet>> in_flight_;
};

using Beats = Members::Beats;

// Runs that end with a conviction, of `runs` of a minute.
int convictions(Members::Beats beats, double loss, int runs) {
    int count = 0;
    for (int run = 0; run < runs; ++run) {
        Members members(3, beats);
        std::mt19937 random(static_cast<unsigned>(run));
        members.run(std::chrono::seconds(2));
        members.is_lost = [&] { return std::bernoulli_distribution(loss)(random); };
        count += members.run(std::chrono::minutes(1)) ? 1 : 0;
    }
    return count;
}

}  // namespace

TEST_CASE("few members take turns: somebody speaks to each as often as in a ring of two") {
    for (const std::uint32_t count : {2u, 3u, 4u, 5u, 8u}) {
        CAPTURE(count);
        Members members(count);
        CHECK_FALSE(members.run(std::chrono::seconds(3)));
        members.sent.clear();
        members.wake_ups = 0;
        CHECK_FALSE(members.run(std::chrono::seconds(6)));
        const std::size_t intervals = count == 2 ? 60 : 30;
        CHECK(members.sent.size() <= count * (count - 1) * (intervals + 2));
        CHECK(members.sent.size() >= count * (count - 1) * (intervals - 2));
        CHECK(members.wake_ups <= count * count * (intervals + 2));
        for (std::uint32_t node = 1; node <= count; ++node) {
            Instant last = members.now - std::chrono::seconds(6);
            Duration longest{};
            for (const Members::Sent& packet : members.sent) {
                if (packet.to != node) continue;
                longest = std::max(longest, packet.at - last);
                last = packet.at;
            }
            CHECK(longest <= milliseconds(155));
        }
    }
}

TEST_CASE("members with lifelines beat every 350 ms, and more often as soon as one is gone") {
    for (const std::uint32_t count : {2u, 3u, 5u, 8u}) {
        CAPTURE(count);
        Members members(count, Beats::WithLifelines);
        CHECK_FALSE(members.run(std::chrono::seconds(5)));
        const auto beats_of_7_s = [&](std::uint32_t from) {
            members.sent.clear();
            CHECK_FALSE(members.run(std::chrono::seconds(7)));
            return static_cast<std::uint32_t>(std::ranges::count(
                members.sent, from, [](const Members::Sent& packet) { return packet.from; }));
        };
        CHECK(beats_of_7_s(1) <= (count - 1) * 22);
        CHECK(beats_of_7_s(1) >= (count - 1) * 18);
        members[1].lifeline_down(NodeId{2}, members.now);
        CHECK_FALSE(members.run(std::chrono::seconds(2)));
        CHECK(beats_of_7_s(1) >= (count - 1) * (count == 2 ? 68u : 33u));
        members[1].lifeline_up(NodeId{2}, kLink, members.now);
        CHECK_FALSE(members.run(std::chrono::seconds(2)));
        CHECK(beats_of_7_s(1) <= (count - 1) * 22);
    }
}

namespace {

// Clusters that have run for 4 s and up to a round of beats more, each to another point of it.
void at_each_point(std::initializer_list<std::uint32_t> counts,
                   const std::function<void(Members&, std::uint32_t count, bool turns)>& tried) {
    for (const Beats beats : {Beats::ByTurns, Beats::WithLifelines}) {
        for (const std::uint32_t count : counts) {
            const bool turns = beats == Beats::ByTurns;
            for (int begin = 0; begin < (turns ? 400 : 700); begin += 20) {
                CAPTURE(turns);
                CAPTURE(count);
                CAPTURE(begin);
                Members members(count, beats);
                members.run(milliseconds(4000 + begin));
                tried(members, count, turns);
            }
        }
    }
}

}  // namespace

TEST_CASE("few members: no pause of half a second is a death, whenever it begins") {
    at_each_point({2u, 3u, 5u}, [](Members& members, std::uint32_t count, bool turns) {
        members.pause(count, milliseconds{turns ? (count == 2 ? 490 : 590) : 540});
        CHECK_FALSE(members.run(milliseconds(3000)));
    });
}

TEST_CASE("few members: who falls silent is known within 0.8 s, or 0.9 s with lifelines") {
    at_each_point({2u, 3u, 5u, 8u}, [](Members& members, std::uint32_t count, bool turns) {
        members.stop(count);
        const Instant since = members.now;
        CHECK(members.run(milliseconds(3000)));
        CHECK(members.now - since <= milliseconds(turns ? 805 : 905));
    });
}

TEST_CASE("few members that take turns are convicted by loss no sooner than by full rate") {
    for (const double loss : {0.2, 0.3, 0.4}) {
        CAPTURE(loss);
        const int turns = convictions(Beats::ByTurns, loss, 40);
        const int lifelines = convictions(Beats::WithLifelines, loss, 40);
        const int full = convictions(Beats::FullRate, loss, 40);
        MESSAGE(loss << ": by turns " << turns << ", with lifelines " << lifelines
                     << ", at the full rate " << full << " of 40 minutes");
        CHECK(2 * turns <= full);
        CHECK(3 * lifelines <= 2 * full);
    }
}
