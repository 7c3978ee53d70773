// What cmapd answers and tells, by the rules of cmap.
#include "cmapd/core/core.hpp"

#include <doctest/doctest.h>

#include "tests/unit/cmapd/one_core.hpp"

namespace {

using namespace cmap;
using cmap::test::OneCore;
namespace api = protocol::cmap;

constexpr SessionId kOne{1};
constexpr SessionId kTwo{2};

TEST_CASE("a key has the value and type that were set last, until it is deleted") {
    OneCore cmapd;
    CHECK_FALSE(cmapd.get(kOne, "some.key"));
    CHECK(cmapd.set(kOne, "some.key", api::u32(7)) == CsError::Ok);
    CHECK(cmapd.get(kTwo, "some.key") == api::u32(7));
    CHECK(cmapd.set(kTwo, "some.key", api::text("seven")) == CsError::Ok);
    CHECK(cmapd.get(kOne, "some.key") == api::text("seven"));
    CHECK(cmapd.ask(kOne, api::Delete{.key = "some.key"}).error == CsError::Ok);
    CHECK(cmapd.ask(kOne, api::Delete{.key = "some.key"}).error == CsError::NotExist);
    CHECK(cmapd.ask(kOne, api::Get{.key = "some.key"}).error == CsError::NotExist);
}

TEST_CASE("names and values are checked, and read-only keys are for the daemon alone") {
    OneCore cmapd;
    const std::string longest(255, 'k');
    CHECK(cmapd.set(kOne, longest, api::u8(1)) == CsError::Ok);
    for (const char* bad : {"", "ab", "with blank", "uml\xe4ut", "semi;colon"}) {
        CAPTURE(bad);
        CHECK(cmapd.set(kOne, bad, api::u8(1)) == CsError::NameTooLong);
    }
    for (const char* key : {"nodelist.node.0.nodeid", "totem.cluster_name", "runtime.config.x",
                            "uidgid.config.uid.7", "quorum.wait_for_all"}) {
        CAPTURE(key);
        CHECK(cmapd.set(kOne, key, api::u8(1)) == CsError::Access);
        CHECK(cmapd.ask(kOne, api::Delete{.key = key}).error == CsError::Access);
        CHECK(cmapd.ask(kOne, api::Step{.key = key, .step = 1}).error == CsError::Access);
        cmapd.step(OwnWrites{{{.key = key, .value = api::u8(3)}}});
        cmapd.end_turn();
        CHECK(cmapd.get(kOne, key) == api::u8(3));
    }
    for (const char* key : {"totem.token", "uidgid.gid.189", "quorum.two_node"}) {
        CHECK(cmapd.set(kOne, key, api::u8(1)) == CsError::Ok);
    }
}

TEST_CASE("what is no request is refused, and costs nobody anything") {
    OneCore cmapd;
    cmapd.step(Asked{.session = kOne, .number = 1, .payload = {}});
    REQUIRE(cmapd.answers.size() == 1);
    CHECK(cmapd.answers[0].error == CsError::InvalidParam);
    CHECK(cmapd.core.counters().malformed == 1);
}

TEST_CASE("integers count in their width and wrap; nothing else counts") {
    OneCore cmapd;
    const auto step = [&](int by) {
        return cmapd.ask(kOne, api::Step{.key = "some.key", .step = by}).error;
    };
    CHECK(step(1) == CsError::NotExist);
    for (const auto& [before, by, after] :
         {std::tuple{api::u8(255), 1, api::u8(0)}, std::tuple{api::u8(0), -1, api::u8(255)},
          std::tuple{api::number(api::Type::Int8, std::int8_t{127}), 1,
                     api::number(api::Type::Int8, std::int8_t{-128})},
          std::tuple{api::u16(65'535), 1, api::u16(0)},
          std::tuple{api::u32(0), -1, api::u32(UINT32_MAX)},
          std::tuple{api::u64(UINT64_MAX), 2, api::u64(1)},
          std::tuple{api::number(api::Type::Int64, std::int64_t{-1}), 1,
                     api::number(api::Type::Int64, std::int64_t{0})}}) {
        REQUIRE(cmapd.set(kOne, "some.key", before) == CsError::Ok);
        CHECK(step(by) == CsError::Ok);
        CHECK(cmapd.get(kOne, "some.key") == after);
    }
    for (const Value& none : {api::text("1"), api::number(api::Type::Float, 1.0f),
                              api::number(api::Type::Double, 1.0)}) {
        REQUIRE(cmapd.set(kOne, "some.key", none) == CsError::Ok);
        CHECK(step(1) == CsError::InvalidParam);
    }
}

TEST_CASE("an iteration goes in byte order and lives with every change") {
    OneCore cmapd;
    for (const char* key : {"b.two", "a.one", "b.one", "b.three", "c.one", "b"}) {
        cmapd.step(OwnWrites{{{.key = key, .value = api::u8(1)}}});
    }
    cmapd.end_turn();
    std::string after;
    const auto next = [&](const char* prefix) -> std::string {
        const auto answer = cmapd.ask(kOne, api::Iterate{.prefix = prefix, .after = after});
        if (answer.error == CsError::NoSections) return "(end)";
        after = std::get<api::Next>(*api::decode_answer(answer.payload)).key;
        return after;
    };
    CHECK(next("b.") == "b.one");
    CHECK(cmapd.ask(kTwo, api::Delete{.key = "b.one"}).error == CsError::Ok);
    CHECK(cmapd.ask(kTwo, api::Delete{.key = "b.three"}).error == CsError::Ok);
    CHECK(cmapd.set(kTwo, "b.zero", api::u8(1)) == CsError::Ok);
    CHECK(next("b.") == "b.two");
    CHECK(next("b.") == "b.zero");
    CHECK(next("b.") == "(end)");
    after.clear();
    CHECK(next("") == "a.one");
    CHECK(next("") == "b");
    after.clear();
    CHECK(next("none.") == "(end)");
    CHECK(cmapd.ask(kOne, api::Iterate{.prefix = "bad prefix", .after = ""}).error ==
          CsError::NameTooLong);
}

TEST_CASE("a list comes in pages that hold any values") {
    OneCore cmapd;
    const Value large = api::text(std::string(16'000, 'x'));
    for (int i = 100; i < 200; ++i) {
        REQUIRE(cmapd.set(kOne, "page." + std::to_string(i), large) == CsError::Ok);
    }
    std::size_t count = 0;
    int pages = 0;
    std::string after;
    for (bool more = true; more; ++pages) {
        const auto answer = cmapd.ask(kOne, api::List{.prefix = "page.", .after = after});
        const auto listed = std::get<api::Listed>(*api::decode_answer(answer.payload));
        count += listed.items.size();
        more = listed.more;
        if (more) after = listed.items.back().key;
    }
    CHECK(count == 100);
    CHECK(pages > 3);
}

// ---------------------------------------------------------------- tracking

api::TrackAdd track(std::uint64_t id, const char* key, bool prefix, std::uint8_t events,
                    Map map = Map::Icmap) {
    return {.map = map, .track = api::TrackId{id}, .key = key, .prefix = prefix, .events = events};
}

TEST_CASE("trackers hear of what they asked for, with old and new value") {
    OneCore cmapd;
    CHECK(cmapd.ask(kOne, track(1, "a.key", false, api::kAdd | api::kModify)).error == CsError::Ok);
    CHECK(cmapd.ask(kOne, track(2, "a.", true, api::kEventBits)).error == CsError::Ok);
    CHECK(cmapd.ask(kTwo, track(1, "", true, api::kDelete)).error == CsError::Ok);
    REQUIRE(cmapd.set(kTwo, "a.key", api::u8(1)) == CsError::Ok);
    REQUIRE(cmapd.set(kTwo, "a.key", api::u8(1)) == CsError::Ok);  // Unchanged: nothing.
    REQUIRE(cmapd.set(kTwo, "a.key", api::u16(1)) == CsError::Ok);
    REQUIRE(cmapd.set(kTwo, "b.key", api::u8(9)) == CsError::Ok);
    REQUIRE(cmapd.ask(kTwo, api::Delete{.key = "a.key"}).error == CsError::Ok);
    const auto one = cmapd.told(kOne);
    REQUIRE(one.size() == 5);
    CHECK(one[0].track == api::TrackId{1});
    CHECK(one[0].kind == api::kAdd);
    CHECK_FALSE(one[0].old_value);
    CHECK(one[0].new_value == api::u8(1));
    CHECK(one[1].track == api::TrackId{2});
    CHECK(one[2].kind == api::kModify);
    CHECK(one[2].old_value == api::u8(1));
    CHECK(one[2].new_value == api::u16(1));
    CHECK(one[4].kind == api::kDelete);
    CHECK(one[4].track == api::TrackId{2});
    CHECK(one[4].old_value == api::u16(1));
    const auto two = cmapd.told(kTwo);
    REQUIRE(two.size() == 1);
    CHECK(two[0].key == "a.key");
}

TEST_CASE("a tracker that is deleted, or whose session is over, hears nothing") {
    OneCore cmapd;
    REQUIRE(cmapd.ask(kOne, track(1, "a.", true, api::kEventBits)).error == CsError::Ok);
    REQUIRE(cmapd.ask(kTwo, track(1, "a.", true, api::kEventBits)).error == CsError::Ok);
    CHECK(cmapd.ask(kOne, api::TrackDelete{.track = api::TrackId{1}}).error == CsError::Ok);
    CHECK(cmapd.ask(kOne, api::TrackDelete{.track = api::TrackId{1}}).error == CsError::NotExist);
    cmapd.step(SessionClosed{.session = kTwo, .for_good = true});
    CHECK(cmapd.core.trackers() == 0);
    REQUIRE(cmapd.set(SessionId{3}, "a.key", api::u8(1)) == CsError::Ok);
    CHECK(cmapd.tells.empty());
}

TEST_CASE("what can't be tracked is refused") {
    OneCore cmapd;
    CHECK(cmapd.ask(kOne, track(1, "a", false, api::kAdd)).error == CsError::NameTooLong);
    CHECK(cmapd.ask(kOne, track(1, "b b", true, api::kAdd)).error == CsError::NameTooLong);
    CHECK(cmapd.ask(kOne, track(1, "a.b", false, 0)).error == CsError::InvalidParam);
    CHECK(cmapd.ask(kOne, track(1, "stats.", true, api::kModify, Map::Stats)).error ==
          CsError::NotSupported);
    for (std::uint64_t i = 0; i < api::kTracksASessionMax; ++i) {
        REQUIRE(cmapd.ask(kOne, track(i, "a.b", false, api::kAdd)).error == CsError::Ok);
    }
    CHECK(cmapd.ask(kOne, track(9'999, "a.b", false, api::kAdd)).error == CsError::NoResources);
}

// ---------------------------------------------------------------- restarts

TEST_CASE("after a restart all keys are there, and a request that was done is not done again") {
    OneCore before;
    REQUIRE(before.set(kOne, "run.key", api::u8(1)) == CsError::Ok);
    REQUIRE(before.set(kOne, "local.key", api::u8(1)) == CsError::Ok);
    const api::Request inc = api::Step{.key = "run.key", .step = 1};
    REQUIRE(before.ask(kTwo, inc).error == CsError::Ok);

    OneCore after(before.stored());
    CHECK(after.core.keys().all() == before.core.keys().all());
    CHECK(after.core.keys().revision() == before.core.keys().revision());
    after.step(SessionOpened{.session = kTwo, .came_back = true});
    after.step(Asked{.session = kTwo, .number = 1, .payload = api::encode(inc)});
    after.end_turn();
    REQUIRE(after.answers.size() == 1);
    CHECK(after.answers[0].error == CsError::Ok);
    CHECK(after.core.counters().repeats_answered == 1);
    after.step(Asked{.session = kTwo, .number = 2, .payload = api::encode(inc)});
    after.end_turn();
    CHECK(after.get(kOne, "run.key") == api::u8(3));
}

TEST_CASE("a request that is asked again before it is stored is done once") {
    OneCore cmapd;
    REQUIRE(cmapd.set(kOne, "some.key", api::u32(1)) == CsError::Ok);
    const Asked asked{
        .session = kOne,
        .number = ++cmapd.numbers[kOne],
        .payload = api::encode(api::Request{api::Step{.key = "some.key", .step = 1}})};
    cmapd.step(asked);
    cmapd.step(SessionClosed{.session = kOne, .for_good = false});
    cmapd.step(SessionOpened{.session = kOne, .came_back = true});
    cmapd.step(asked);
    cmapd.end_turn();
    CHECK(cmapd.answered(kOne).error == CsError::Ok);
    CHECK(cmapd.get(kTwo, "some.key") == api::u32(2));
}

TEST_CASE("a tracker that comes back is told what it missed, each change once") {
    OneCore before;
    REQUIRE(before.ask(kOne, track(1, "a.", true, api::kEventBits)).error == CsError::Ok);
    REQUIRE(before.set(kTwo, "a.key", api::u8(1)) == CsError::Ok);
    const auto heard = before.told(kOne);
    REQUIRE(heard.size() == 1);
    REQUIRE(before.set(kTwo, "a.key", api::u8(2)) == CsError::Ok);  // Told, and lost with the life.
    REQUIRE(before.ask(kTwo, api::Delete{.key = "a.key"}).error == CsError::Ok);

    OneCore after(before.stored());
    REQUIRE(after.set(kTwo, "a.other", api::u8(5)) == CsError::Ok);
    api::TrackAdd again = track(1, "a.", true, api::kEventBits);
    again.since = heard[0].revision;
    REQUIRE(after.ask(kOne, again).error == CsError::Ok);
    REQUIRE(after.set(kTwo, "a.other", api::u8(6)) == CsError::Ok);
    const auto told = after.told(kOne);
    REQUIRE(told.size() == 4);
    CHECK(told[0].old_value == api::u8(1));
    CHECK(told[0].new_value == api::u8(2));
    CHECK(told[1].kind == api::kDelete);
    CHECK(told[2].key == "a.other");
    CHECK(told[2].kind == api::kAdd);
    CHECK(told[3].new_value == api::u8(6));
}

TEST_CASE("what is older than the journal is told as it is now") {
    OneCore cmapd;
    REQUIRE(cmapd.set(kTwo, "a.first", api::u8(1)) == CsError::Ok);
    const Value large = api::text(std::string(16'000, 'x'));
    for (int i = 0; i < 400; ++i) {  // More than the journal holds.
        REQUIRE(cmapd.set(kTwo, "b." + std::to_string(i), large) == CsError::Ok);
    }
    api::TrackAdd late = track(1, "", true, api::kEventBits);
    late.since = Revision{2};  // That of a.first.
    REQUIRE(cmapd.ask(kOne, late).error == CsError::Ok);
    CHECK(cmapd.told(kOne).size() == 400);
}

TEST_CASE("answers of sessions that are gone for good are forgotten, of others the last thousand") {
    OneCore cmapd;
    for (std::uint64_t i = 1; i <= Core::kGoneMax + 10; ++i) {
        REQUIRE(cmapd.set(SessionId{i}, "some.key", api::u64(i)) == CsError::Ok);
        cmapd.step(SessionClosed{.session = SessionId{i}, .for_good = i == 5});
    }
    cmapd.end_turn();
    const auto stored = cmapd.stored();
    CHECK(stored.answered.size() == Core::kGoneMax);
    CHECK_FALSE(stored.answered.contains(SessionId{5}));
    CHECK_FALSE(stored.answered.contains(SessionId{1}));
    CHECK(stored.answered.contains(SessionId{Core::kGoneMax + 10}));
}

// ---------------------------------------------------------------- the file

TEST_CASE("a new file replaces what the old one said, in one step, and leaves the rest") {
    OneCore cmapd;
    cmapd.step(Configured{{{"totem.token", api::u32(1'000)}, {"totem.old", api::text("x")}}});
    REQUIRE(cmapd.set(kOne, "totem.mine", api::u8(1)) == CsError::Ok);
    REQUIRE(cmapd.ask(kOne, track(1, "totem.", true, api::kEventBits)).error == CsError::Ok);
    cmapd.step(Configured{{{"totem.token", api::u32(2'000)}, {"totem.new", api::text("y")}}});
    const std::size_t commits = cmapd.commits.size();
    cmapd.end_turn();
    CHECK(cmapd.commits.size() == commits + 1);
    CHECK(cmapd.told(kOne).size() == 3);
    CHECK_FALSE(cmapd.get(kOne, "totem.old"));
    CHECK(cmapd.get(kOne, "totem.mine") == api::u8(1));

    OneCore after(cmapd.stored());  // Which knows what the last file said.
    after.step(Configured{{{"totem.token", api::u32(2'000)}}});
    after.end_turn();
    CHECK_FALSE(after.get(kOne, "totem.new"));
}

// ---------------------------------------------------------------- a database that fails

TEST_CASE("a full disk refuses what lasts, changes nothing, and the rest goes on") {
    OneCore cmapd;
    REQUIRE(cmapd.set(kOne, "local.key", api::u8(1)) == CsError::Ok);
    REQUIRE(cmapd.ask(kOne, track(1, "", true, api::kEventBits)).error == CsError::Ok);
    cmapd.state_fails = true;
    CHECK(cmapd.set(kTwo, "local.key", api::u8(2)) == CsError::NoSpace);
    const auto refusal = std::get<api::Refusal>(*api::decode_answer(cmapd.answered(kTwo).payload));
    CHECK(refusal.reason == "disk full");
    CHECK(cmapd.get(kOne, "local.key") == api::u8(1));
    CHECK(cmapd.told(kOne).empty());
    CHECK(cmapd.set(kTwo, "run.key", api::u8(2)) == CsError::Ok);
    CHECK(cmapd.told(kOne).size() == 1);

    cmapd.state_fails = false;
    cmapd.now += Core::kStateRetry;
    CHECK(cmapd.set(kTwo, "local.key", api::u8(3)) == CsError::Ok);
    CHECK(cmapd.get(kOne, "local.key") == api::u8(3));
}

// ---------------------------------------------------------------- transactions

TEST_CASE("a transaction is done whole, or not at all and says which condition failed") {
    OneCore cmapd;
    REQUIRE(cmapd.set(kOne, "run.a", api::u8(1)) == CsError::Ok);
    const auto transact = [&](std::vector<api::Condition> conditions,
                              std::vector<api::Write> writes) {
        return cmapd.ask(kOne, api::Transaction{.conditions = std::move(conditions),
                                                .writes = std::move(writes)});
    };
    CHECK(transact({{.key = "run.a", .value = api::u8(1)}, {.key = "run.b", .value = {}}},
                   {{.key = "run.a", .value = api::u8(2)}, {.key = "run.b", .value = api::u8(3)}})
              .error == CsError::Ok);
    CHECK(cmapd.get(kOne, "run.a") == api::u8(2));
    const auto failed =
        transact({{.key = "run.a", .value = api::u8(2)}, {.key = "run.b", .value = {}}},
                 {{.key = "run.a", .value = {}}});
    CHECK(failed.error == CsError::Exist);
    CHECK(std::get<api::Done>(*api::decode_answer(failed.payload)).failed_condition == 1);
    CHECK(cmapd.get(kOne, "run.a") == api::u8(2));
    CHECK(transact({}, {{.key = "run.a", .value = {}}, {.key = "local.b", .value = {}}}).error ==
          CsError::InvalidParam);
    CHECK(transact({}, {}).error == CsError::InvalidParam);
    CHECK(transact({}, {{.key = "nodelist.x", .value = {}}}).error == CsError::Access);
    CHECK(transact({}, {{.key = "x", .value = {}}}).error == CsError::NameTooLong);
}

// ---------------------------------------------------------------- statistics

TEST_CASE("statistics are asked for when somebody wants them, once for all who wait") {
    OneCore cmapd;
    const auto collects = [&] {
        return std::ranges::count_if(cmapd.others, [](const Action& action) {
            return std::holds_alternative<CollectStats>(action);
        });
    };
    for (const SessionId session : {kOne, kTwo}) {
        cmapd.step(Asked{.session = session,
                         .number = ++cmapd.numbers[session],
                         .payload = api::encode(api::Request{
                             api::Get{.map = Map::Stats, .key = "stats.srp.mcast_tx"}})});
    }
    CHECK(collects() == 1);
    CHECK(cmapd.answers.empty());
    cmapd.step(StatsCollected{{{"stats.srp.mcast_tx", api::u64(5)}}});
    CHECK(cmapd.answers.size() == 2);
    CHECK(cmapd.get(kOne, "stats.srp.mcast_tx", Map::Stats) == api::u64(5));  // Fresh.
    CHECK(collects() == 1);
    cmapd.now += Core::kStatsFresh * 2;
    CHECK_FALSE(cmapd.get(kOne, "stats.srp.mcast_tx", Map::Stats));  // Waits.
    CHECK(collects() == 2);
    CHECK_FALSE(cmapd.get(kTwo, "stats.srp.mcast_tx"));  // Not in the other map.
}

TEST_CASE("trackers of statistics hear of differences every so often") {
    OneCore cmapd;
    REQUIRE(cmapd.ask(kOne, track(1, "stats.", true, api::kEventBits, Map::Stats)).error ==
            CsError::Ok);
    cmapd.step(StatsCollected{{{"stats.a", api::u64(1)}, {"stats.b", api::u64(1)}}});
    CHECK(cmapd.told(kOne).empty());
    REQUIRE(cmapd.core.next_deadline());
    CHECK(*cmapd.core.next_deadline() == cmapd.now + Core::kStatsPeriod);
    cmapd.now = *cmapd.core.next_deadline();
    cmapd.step(TimePassed{});
    cmapd.step(StatsCollected{{{"stats.a", api::u64(2)}, {"stats.c", api::u64(1)}}});
    const auto told = cmapd.told(kOne);
    REQUIRE(told.size() == 3);
    CHECK(told[0].kind == api::kDelete);
    CHECK(told[1].kind == api::kModify);
    CHECK(told[2].kind == api::kAdd);
}

TEST_CASE("of statistics only stats.clear is set, and nothing is deleted") {
    OneCore cmapd;
    const auto set = [&](const char* key) {
        return cmapd.ask(kOne, api::Set{.map = Map::Stats, .key = key, .value = api::u32(1)}).error;
    };
    CHECK(set("stats.clear.knet") == CsError::Ok);
    REQUIRE(cmapd.others.size() == 1);
    CHECK(std::get<ClearStats>(cmapd.others[0]).which == "knet");
    CHECK(set("stats.clear.everything") == CsError::NotSupported);
    CHECK(set("stats.srp.mcast_tx") == CsError::NotSupported);
    CHECK(cmapd.ask(kOne, api::Delete{.map = Map::Stats, .key = "stats.a"}).error ==
          CsError::NotSupported);
    CHECK(cmapd.ask(kOne, api::Step{.map = Map::Stats, .key = "stats.a", .step = 1}).error ==
          CsError::NotSupported);
}

TEST_CASE(
    "a read of the cluster waits for its place, and not for ever; one of the node's own keys does "
    "not") {
    OneCore cmapd;
    cmapd.step(SessionOpened{.session = kOne});
    CHECK(cmapd.ask(kOne, api::Get{.key = "cluster.key", .own = true}).error == CsError::NotExist);
    CHECK(cmapd.ask(kOne, api::List{.prefix = "cluster.", .after = {}, .own = true}).error ==
          CsError::Ok);
    CHECK(cmapd.ask(kOne, api::List{.prefix = "clus", .after = {}}).error == CsError::Ok);
    for (const api::Request& read : {api::Request{api::Get{.key = "cluster.key"}},
                                     api::Request{api::List{.prefix = "cluster.", .after = {}}}}) {
        CHECK(cmapd.ask(kOne, read).number == 0);  // No answer.
        REQUIRE(cmapd.core.next_deadline());
        cmapd.now = *cmapd.core.next_deadline() - std::chrono::milliseconds{1};
        cmapd.step(TimePassed{});
        CHECK(cmapd.answered(kOne).number == 0);
        cmapd.now += std::chrono::milliseconds{1};
        cmapd.step(TimePassed{});
        CHECK(cmapd.answered(kOne).error == CsError::Timeout);
    }
    CHECK_FALSE(cmapd.core.next_deadline());
}

}  // namespace
