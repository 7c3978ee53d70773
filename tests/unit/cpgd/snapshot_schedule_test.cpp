// When the state is stored, life after life: it must hold what clients have not had, and not grow
// with the number of lives.
#include "cpgd/core/snapshot_schedule.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "common/base/pieces.hpp"
#include "tests/unit/cpgd/toy_cluster.hpp"

namespace {

using namespace cpg_test;
using namespace std::chrono_literals;

using Due = cpg::SnapshotSchedule::Due;

constexpr std::size_t kMessagesALife = 20;

// Members on node 1, whose cpgd is killed again and again; a sender on node 2.
struct Lives {
    explicit Lives(std::size_t of_a_message = 1000) : cluster({1, 2}), message_bytes(of_a_message) {
        cluster.partition({{1, 2}});
        cluster.settle();
        sender = &cluster.add_client(2, 20);
        cluster.join(*sender, "a");
        cluster.settle();
    }
    ToyClient& add_member(std::uint32_t pid) {
        ToyClient& member = cluster.add_client(1, pid);
        cluster.join(member, "a");
        cluster.settle();
        member.acknowledges = false;  // Only by coming back.
        snapshot = base::joined(cluster.core(1).snapshot());
        return member;
    }
    // As the driver does at the end of each turn.
    bool turn() {
        now += 1ms;
        const cpg::Core& core = cluster.core(1);
        if (draft && core.holds(*draft)) {
            snapshot = base::joined(draft->snapshot);
            draft.reset();
            schedule.draft_stored(snapshot->size());
            return true;
        }
        const Due due = schedule.due(now, core);
        if (due == Due::Draft) {
            draft = core.draft();
            schedule.drafted();
        }
        if (due != Due::Snapshot) return false;
        snapshot = base::joined(core.snapshot());
        draft.reset();
        schedule.stored(snapshot->size());
        return true;
    }
    void begin_life() {
        schedule = {};
        draft.reset();
        schedule.stored(snapshot->size());
        cluster.restart(1, snapshot);
        const protocol::Cursor from = cluster.core(1).applied();
        (void)turn();
        cluster.settle();  // The marker comes back.
        schedule.came(now, (cluster.core(1).applied().value() - from.value()) * message_bytes);
    }
    void send() {
        for (std::size_t i = 0; i < kMessagesALife; ++i) {
            cluster.send(*sender, std::string(message_bytes, 'x'));
            cluster.settle();
            schedule.came(now, message_bytes);
            (void)turn();
        }
    }
    // This life is over: the next one takes it in.
    void send_to_the_dead() {
        const std::optional<base::Buffer> before = snapshot;
        send();
        snapshot = before;
    }

    // Of a life's messages, with what each costs beside its payload.
    [[nodiscard]] std::size_t bytes_of_a_life() const {
        return kMessagesALife * (message_bytes + 200);
    }

    ToyCluster cluster;
    std::size_t message_bytes;
    ToyClient* sender = nullptr;
    cpg::SnapshotSchedule schedule;
    std::optional<base::Buffer> snapshot;
    std::optional<cpg::Core::Draft> draft;
    base::Instant now{};
};

}  // namespace

TEST_CASE("lives that are killed as soon as their clients are back do not add up") {
    Lives lives;
    ToyClient& member = lives.add_member(10);
    lives.send();
    for (int life = 0; life < 50; ++life) {
        lives.begin_life();
        CHECK_FALSE(lives.turn());  // Serving, and nobody is back.
        lives.cluster.connect(member);
        CHECK(lives.turn());
        CHECK(lives.snapshot->size() < 2 * lives.bytes_of_a_life());
        lives.send();
    }
    CHECK(lives.cluster.faults().empty());
    CHECK(member.received.size() >= 50 * kMessagesALife);
}

// It is stored for the absent one in any case: as much as that may be of the others', and no more.
TEST_CASE("a client that never comes back does not let what others had add up") {
    Lives lives(10'000);
    ToyClient& member = lives.add_member(10);
    (void)lives.add_member(11);
    lives.send();
    std::size_t most = 0;
    constexpr std::size_t kLives = 45;
    for (std::size_t life = 0; life < kLives; ++life) {
        lives.begin_life();
        (void)lives.turn();
        for (const cpg::SessionStatus& session : lives.cluster.core(1).status().sessions) {
            if (session.pid == 10) most = std::max(most, session.queued_bytes);
        }
        lives.cluster.connect(member);
        (void)lives.turn();
        lives.send_to_the_dead();
    }
    CHECK(most < cpg::SnapshotSchedule::kUnstoredBytesMax + 3 * lives.bytes_of_a_life());
    CHECK(member.received.size() >= kLives * kMessagesALife);
}

TEST_CASE("who does not come back is not waited for for ever") {
    Lives lives;
    (void)lives.add_member(10);
    lives.send();
    lives.begin_life();
    CHECK_FALSE(lives.turn());
    const auto deadline = lives.schedule.next_deadline(lives.cluster.core(1));
    REQUIRE(deadline);
    CHECK(*deadline <= lives.now + cpg::SnapshotSchedule::kReturnTime);
    lives.now = *deadline;
    CHECK(lives.turn());
}

TEST_CASE("what ringd keeps is bounded, whoever is waited for") {
    Lives lives;
    (void)lives.add_member(10);
    lives.send();
    lives.begin_life();
    lives.schedule.came(lives.now, cpg::SnapshotSchedule::kUnstoredBytesMax);
    CHECK(lives.turn());
}

TEST_CASE("a life without clients of a former one stores its state once it serves") {
    ToyCluster cluster({1});
    cpg::SnapshotSchedule schedule;
    CHECK(schedule.due({}, cluster.core(1)) == Due::Nothing);
    cluster.partition({{1}});
    cluster.settle();
    REQUIRE(cluster.core(1).is_serving());
    CHECK(schedule.due({}, cluster.core(1)) == Due::Snapshot);
    schedule.stored(100);
    CHECK(schedule.due({}, cluster.core(1)) == Due::Nothing);
    CHECK_FALSE(schedule.next_deadline(cluster.core(1)));
}

TEST_CASE("without a restart the state is stored after some bytes, or some time") {
    using Schedule = cpg::SnapshotSchedule;
    ToyCluster cluster({1});
    cluster.partition({{1}});
    cluster.settle();
    const cpg::Core& core = cluster.core(1);
    Schedule schedule;
    const base::Instant now{};
    REQUIRE(schedule.due(now, core) == Due::Snapshot);

    schedule.stored(1000);
    schedule.came(now, 2000);
    CHECK(schedule.next_deadline(core) == now + Schedule::kUnstoredTimeMin);
    CHECK(schedule.due(now + Schedule::kUnstoredTimeMin - 1ns, core) == Due::Nothing);
    CHECK(schedule.due(now + Schedule::kUnstoredTimeMin, core) == Due::Snapshot);
    schedule.came(now, Schedule::kUnstoredBytesMin);
    CHECK(schedule.due(now, core) == Due::Snapshot);
}

TEST_CASE("what clients have not acknowledged is waited for and not copied, within bounds") {
    using Schedule = cpg::SnapshotSchedule;
    Lives lives(2000);
    ToyClient& member = lives.add_member(10);
    lives.begin_life();
    lives.cluster.connect(member);
    (void)lives.turn();
    const cpg::Core& core = lives.cluster.core(1);
    const protocol::Cursor stored = core.applied();

    lives.send();
    lives.schedule.came(lives.now, Schedule::kUnstoredBytesMin);
    CHECK_FALSE(lives.turn());
    REQUIRE(lives.draft);
    CHECK(lives.schedule.due(lives.now, core) == Due::Nothing);
    const base::Instant latest = lives.now + Schedule::kUnstoredTimeMax;
    CHECK(lives.schedule.next_deadline(core) <= latest);

    SUBCASE("it is stored when they have, and has none of their events") {
        const protocol::Cursor drafted = core.applied();
        CHECK(drafted > stored);
        lives.cluster.acknowledge(member);
        lives.send();  // What comes later needs no acknowledgement.
        CHECK_FALSE(lives.draft);
        CHECK(lives.snapshot->size() < 2000);
        CHECK(cpg::Core::restore({}, *lives.snapshot, {}, 1)->applied() == drafted);
        lives.begin_life();
        lives.cluster.connect(member);
        lives.cluster.settle();
        CHECK(lives.cluster.faults().empty());
        CHECK(member.received.size() >= 2 * kMessagesALife);
    }
    SUBCASE("all is stored when they take too long") {
        lives.now = latest;
        CHECK(lives.turn());
        CHECK(lives.snapshot->size() > kMessagesALife * 2000);
    }
    SUBCASE("all is stored when ringd would have to keep too much") {
        lives.schedule.came(lives.now, Schedule::kUnstoredBytesMax);
        CHECK(lives.turn());
        CHECK(lives.snapshot->size() > kMessagesALife * 2000);
    }
    SUBCASE("who leaves is not waited for") {
        lives.cluster.kill(member);
        lives.cluster.settle();
        CHECK(lives.turn());
        CHECK(lives.snapshot->size() < 2000);
    }
}
