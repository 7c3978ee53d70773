// The log of the run's keys: what was added is there after a kill at any moment, and its records
// say all of a commit that the run's database takes.
#include "cmapd/driver/run_log.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <string>
#include <vector>

#include "cmapd/driver/keys_store.hpp"
#include "cmapd/driver/run_record.hpp"
#include "tests/unit/common/zmtp/support.hpp"

namespace {

using namespace cmapd;
namespace api = protocol::cmap;

std::vector<std::string> texts_in(const RunLog& log) {
    std::vector<std::string> texts;
    log.each([&](std::span<const std::byte> record) {
        texts.emplace_back(reinterpret_cast<const char*>(record.data()), record.size());
    });
    return texts;
}

RunLog opened(const std::string& path) {
    auto log = RunLog::open(path);
    REQUIRE(log);
    return *std::move(log);
}

bool append(RunLog& log, const std::string& text) {
    return log.append(std::as_bytes(std::span(text)));
}

cmap::Change change(std::uint64_t revision, const std::string& key, const cmap::Value& value) {
    return {.revision = cmap::Revision{revision},
            .key = key,
            .old_value = std::nullopt,
            .new_value = value};
}

cmap::Commit whole_commit() {
    cmap::Commit commit;
    commit.run_time.changes = {change(3, "a.key", api::text("x")), change(4, "b.key", api::u8(1))};
    commit.run_time.changes.back().old_value = api::u16(7);
    commit.run_time.answered[cmap::SessionId{9}] = {
        .number = 5,
        .error = cmap::CsError::NotExist,
        .payload = api::encode(api::Answer{api::Refusal{.reason = "no such key"}})};
    commit.forgotten = {cmap::SessionId{1}, cmap::SessionId{2}};
    commit.configured = {"a.key", "c.key"};
    commit.journal_floor = cmap::Revision{2};
    return commit;
}

bool same(const base::Buffer& one, const base::Buffer& other) {
    return std::ranges::equal(one.bytes(), other.bytes());
}

TEST_CASE("records are there for the next life, in their order, until the log is cleared") {
    const zmtp::test::TemporaryFolder folder;
    const std::string path = folder.file("log");
    {
        RunLog log = opened(path);
        CHECK(log.is_empty());
        CHECK(append(log, "one"));
        CHECK(append(log, "a longer one"));
    }
    RunLog log = opened(path);
    CHECK(texts_in(log) == std::vector<std::string>{"one", "a longer one"});
    log.clear();
    CHECK(log.is_empty());
    CHECK(append(log, "2"));
    CHECK(texts_in(opened(path)) == std::vector<std::string>{"2"});
}

TEST_CASE("a log that is full takes no more, and keeps what it has") {
    const zmtp::test::TemporaryFolder folder;
    RunLog log = opened(folder.file("log"));
    CHECK_FALSE(append(log, std::string(RunLog::kBytes, 'x')));
    std::size_t count = 0;
    while (append(log, std::string(1000 + count % 8, 'x'))) {
        ++count;
    }
    CHECK(count > 60);
    for (std::size_t rest = 512; rest > 0; --rest) {  // To the last byte.
        if (append(log, std::string(rest, 'y'))) ++count;
    }
    CHECK(texts_in(log).size() == count);
    CHECK(texts_in(opened(folder.file("log"))).size() == count);
}

TEST_CASE("a log of another version, or of nobody, is begun anew") {
    const zmtp::test::TemporaryFolder folder;
    const std::string path = folder.file("log");
    std::ofstream(path) << std::string(300, 'z');
    RunLog log = opened(path);
    CHECK(log.is_empty());
    CHECK(append(log, "one"));
    CHECK(texts_in(opened(path)).size() == 1);
}

TEST_CASE("a commit of the run comes back as it was, and no part of it is another") {
    const base::Buffer bytes = encode_run_record(whole_commit());
    const auto decoded = decode_run_record(bytes);
    REQUIRE(decoded);
    CHECK(same(encode_run_record(*decoded), bytes));
    CHECK(decoded->run_time.changes == whole_commit().run_time.changes);
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        CAPTURE(length);
        REQUIRE_FALSE(decode_run_record(bytes.slice(0, length)));
    }
}

TEST_CASE("of two commits the later word counts") {
    cmap::Commit all = whole_commit();
    cmap::Commit next;
    next.run_time.changes = {change(5, "a.key", api::u8(2))};
    next.run_time.answered[cmap::SessionId{2}].number = 1;
    next.forgotten = {cmap::SessionId{9}};
    next.journal_floor = cmap::Revision{3};
    add_run_record(all, next);
    CHECK(all.run_time.changes.size() == 3);
    CHECK(all.run_time.answered.size() == 1);
    CHECK(all.run_time.answered.contains(cmap::SessionId{2}));
    CHECK(all.forgotten == std::vector{cmap::SessionId{1}, cmap::SessionId{9}});
    CHECK(all.configured->size() == 2);
    CHECK(all.journal_floor == cmap::Revision{3});
}

TEST_CASE("keys of the run outlive a life that moved nothing to the database, and many that did") {
    const zmtp::test::TemporaryFolder folder;
    logging::Log log{"cmapd", {.journal = false, .to_stderr = false, .file = ""}};
    std::uint64_t revision = 1;
    for (int life = 0; life < 3; ++life) {
        auto store = KeysStore::open({.run_path = folder.file("run"),
                                      .state_path = folder.file("state"),
                                      .is_same_run = life > 0},
                                     log);
        REQUIRE(store);
        cmap::Core::Stored stored = store->load();
        CHECK(store->is_fresh() == (life == 0));
        CHECK(stored.keys.size() == (life == 0 ? 0 : 10));
        CHECK(stored.journal.size() == revision - 1);
        for (const auto& [key, entry] : stored.keys) {
            const auto value = api::as<std::uint64_t>(entry.value);
            CHECK(value == entry.revision.value());
        }
        cmap::Keys keys;
        for (int i = 0; i < (life == 1 ? 3000 : 10); ++i, ++revision) {
            cmap::Commit commit;
            const std::string key = "run.key" + std::to_string(revision % 10);
            commit.run_time.changes = {change(revision, key, api::u64(revision))};
            commit.run_time.answered[cmap::SessionId{5}].number = revision;
            CHECK_FALSE(store->store(commit, keys));
        }
        if (life == 2) store->close();
    }
    CHECK(opened(folder.file("run.log")).is_empty());
    auto last = KeysStore::open(
        {.run_path = folder.file("run"), .state_path = folder.file("state"), .is_same_run = true},
        log);
    REQUIRE(last);
    const cmap::Core::Stored stored = last->load();
    CHECK(stored.journal.size() == 3020);
    CHECK(stored.answered.at(cmap::SessionId{5}).number == 3020);
}

}  // namespace
