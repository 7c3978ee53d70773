// The two files of keys: what is stored is there again, what is damaged is set aside, and a folder
// that can't be written costs the writes alone.
#include "cmapd/driver/database.hpp"

#include <doctest/doctest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "cmapd/driver/keys_store.hpp"
#include "tests/unit/common/zmtp/support.hpp"

namespace {

using namespace cmapd;
using cmap::Change;
using cmap::Commit;
using cmap::Core;
using cmap::Revision;
namespace api = protocol::cmap;

Commit commit_of(std::vector<Change> run_time, std::vector<Change> state) {
    Commit commit;
    commit.run_time.changes = std::move(run_time);
    commit.state.changes = std::move(state);
    return commit;
}

Change set(std::uint64_t revision, const char* key, cmap::Value value,
           std::optional<cmap::Value> before = {}) {
    return {.revision = Revision{revision},
            .key = key,
            .old_value = std::move(before),
            .new_value = std::move(value)};
}

Core::Stored stored_in(Database& database) {
    Core::Stored stored;
    REQUIRE(database.load(stored));
    return stored;
}

Database opened(const std::string& path, Database::Kind kind = Database::Kind::State) {
    auto database = Database::open(path, kind);
    REQUIRE(database);
    CHECK_FALSE(database->set_aside);
    return std::move(database->database);
}

TEST_CASE("what was stored is there again, as it was") {
    const zmtp::test::TemporaryFolder folder;
    const std::string path = folder.file("keys.db");
    const std::vector<cmap::Value> values{
        api::u8(1),
        api::u64(UINT64_MAX),
        api::text("t\xff"),
        api::text(""),
        {.type = api::Type::Binary, .bytes = std::string("\0x\0", 3)},
        {.type = api::Type::Binary, .bytes = ""}};
    {
        Database database = opened(path);
        Commit commit;
        std::uint64_t revision = 0;
        for (const cmap::Value& value : values) {
            ++revision;
            commit.state.changes.push_back({.revision = Revision{revision},
                                            .key = "local." + std::to_string(revision),
                                            .old_value = std::nullopt,
                                            .new_value = value});
        }
        commit.state.answered.emplace(
            cmap::SessionId{UINT64_MAX},
            cmap::Answered{.number = 7, .error = cmap::CsError::Exist, .payload = {}});
        commit.replica = base::Buffer::copy_of(std::as_bytes(std::span("blob")));
        REQUIRE(database.store(commit.state, commit, {}, nullptr));
    }
    Database database = opened(path);
    const auto stored = stored_in(database);
    REQUIRE(stored.keys.size() == values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        CHECK(stored.keys[i].second.value == values[i]);
        CHECK(stored.keys[i].second.revision == Revision{i + 1});
    }
    CHECK(stored.journal.size() == values.size());
    CHECK(stored.answered.at(cmap::SessionId{UINT64_MAX}).number == 7);
    REQUIRE(stored.replica);
    CHECK(stored.replica->size() == 5);
}

TEST_CASE("deleting, forgetting, trimming and rewriting leave nothing of the old") {
    const zmtp::test::TemporaryFolder folder;
    Database database = opened(folder.file("keys.db"));
    Commit first = commit_of({}, {set(1, "cluster.a", api::u8(1)), set(2, "local.a", api::u8(1)),
                                  set(3, "cluster.b", api::u8(1))});
    first.state.answered.emplace(cmap::SessionId{5}, cmap::Answered{});
    REQUIRE(database.store(first.state, first, {}, nullptr));
    Commit second = commit_of({}, {{.revision = Revision{4},
                                    .key = "local.a",
                                    .old_value = api::u8(1),
                                    .new_value = std::nullopt}});
    second.forgotten = {cmap::SessionId{5}};
    second.journal_floor = Revision{2};
    const cmap::Keys::Map now{{"cluster.c", {.value = api::u8(9), .revision = Revision{3}}},
                              {"other.key", {.value = api::u8(9), .revision = Revision{3}}}};
    REQUIRE(database.store(second.state, second, {}, &now));
    const auto stored = stored_in(database);
    REQUIRE(stored.keys.size() == 1);
    CHECK(stored.keys[0].first == "cluster.c");
    CHECK(stored.answered.empty());
    REQUIRE(stored.journal.size() == 2);
    CHECK(stored.journal[0].revision == Revision{3});
    CHECK(stored.journal_floor == Revision{2});
}

TEST_CASE("a damaged file is set aside, not emptied, and a new one begins") {
    const zmtp::test::TemporaryFolder folder;
    const std::string path = folder.file("keys.db");
    {
        Database database = opened(path);
        for (std::uint64_t i = 1; i < 200; ++i) {
            const std::string key = "local." + std::to_string(i);
            const Commit commit = commit_of({}, {set(i, key.c_str(), api::text("some value"))});
            REQUIRE(database.store(commit.state, commit, {}, nullptr));
        }
    }
    const auto size = std::filesystem::file_size(path);
    SUBCASE("all of it is something else") {
        std::ofstream(path, std::ios::trunc) << std::string(size, 'x');
    }
    SUBCASE("a page in the middle is garbage") {
        std::fstream file(path, std::ios::in | std::ios::out);
        file.seekp(static_cast<std::streamoff>(4096 * 3));
        file << std::string(4096, '\x5a');
    }
    SUBCASE("the end is cut off") {
        std::filesystem::resize_file(path, size / 2);
    }
    auto database = Database::open(path, Database::Kind::State);
    REQUIRE(database);
    REQUIRE(database->set_aside);
    const std::string aside = database->set_aside->substr(0, database->set_aside->find(' '));
    CHECK(std::filesystem::file_size(aside) > 0);
    CHECK(stored_in(database->database).keys.empty());
    const Commit commit = commit_of({}, {set(1, "local.key", api::u8(1))});
    CHECK(database->database.store(commit.state, commit, {}, nullptr));
}

TEST_CASE("a file of a newer cmapd, or that another process has, is left alone") {
    const zmtp::test::TemporaryFolder folder;
    const std::string path = folder.file("keys.db");
    {
        const Database database = opened(path);
        const auto second = Database::open(path, Database::Kind::State);
        REQUIRE_FALSE(second);
        CHECK(second.error().find("locked") != std::string::npos);
    }
    {
        auto raw = Sqlite::open(path);
        REQUIRE(raw);
        REQUIRE(raw->execute("PRAGMA user_version=99"));
    }
    const auto newer = Database::open(path, Database::Kind::State);
    REQUIRE_FALSE(newer);
    CHECK(newer.error().find("newer cmapd") != std::string::npos);
    CHECK(std::filesystem::exists(path));
}

// ---------------------------------------------------------------- both of them

struct Folders {
    zmtp::test::TemporaryFolder run;
    zmtp::test::TemporaryFolder state;
    logging::Log log{"cmapd", {.journal = false, .to_stderr = false, .file = ""}};

    std::optional<KeysStore> open(bool is_same_run) {
        return KeysStore::open({.run_path = run.file("cmapd.keys"),
                                .state_path = state.file("keys.db"),
                                .is_same_run = is_same_run},
                               log);
    }
};

TEST_CASE("keys of the run outlive cmapd, and not the node; lasting keys outlive both") {
    Folders folders;
    const cmap::Keys keys;
    {
        auto store = folders.open(false);
        REQUIRE(store);
        CHECK(store->is_fresh());
        CHECK_FALSE(store->store(
            commit_of({set(1, "run.key", api::u8(1))}, {set(2, "local.key", api::u8(2))}), keys));
    }
    {
        auto store = folders.open(true);
        CHECK_FALSE(store->is_fresh());
        const auto stored = store->load();
        CHECK(stored.keys.size() == 2);
        CHECK(stored.journal.size() == 2);
    }
    auto store = folders.open(false);
    const auto stored = store->load();
    REQUIRE(stored.keys.size() == 1);
    CHECK(stored.keys[0].first == "local.key");
    CHECK(stored.journal.empty());
    CHECK(stored.revision == Revision{2});
}

TEST_CASE("of a session that changed both kinds, the answer to the later request is kept") {
    Folders folders;
    const cmap::Keys keys;
    const auto answer = [](std::uint64_t number) {
        return cmap::Answered{.number = number, .error = cmap::CsError::Ok, .payload = {}};
    };
    const cmap::SessionId both{1};
    const cmap::SessionId gone{2};
    {
        auto store = folders.open(false);
        Commit of_run = commit_of({set(1, "run.key", api::u8(1))}, {});
        of_run.run_time.answered = {{both, answer(6)}};
        Commit of_state = commit_of({}, {set(2, "local.key", api::u8(2))});
        of_state.state.answered = {{both, answer(7)}, {gone, answer(3)}};
        CHECK_FALSE(store->store(of_run, keys));
        CHECK_FALSE(store->store(of_state, keys));
        Commit forgets;
        forgets.forgotten = {gone};
        CHECK_FALSE(store->store(forgets, keys));
    }
    {
        auto store = folders.open(true);
        const auto stored = store->load();
        CHECK(stored.answered.at(both).number == 7);
        // It goes with the next change that lasts.
        CHECK(stored.answered.contains(gone));
        Commit forgets;
        forgets.forgotten = {gone};
        CHECK_FALSE(store->store(forgets, keys));
        CHECK_FALSE(store->store(commit_of({}, {set(3, "local.key", api::u8(3))}), keys));
    }
    auto store = folders.open(true);
    CHECK_FALSE(store->load().answered.contains(gone));
}

// A disk of a few pages, in a mount namespace of this process.
class SmallDisk {
  public:
    explicit SmallDisk(const std::string& path) : path_(path) {
        std::filesystem::create_directory(path);
        is_mounted_ = ::mount("none", path.c_str(), "tmpfs", 0, "size=200k") == 0;
    }
    ~SmallDisk() {
        if (is_mounted_) (void)::umount2(path_.c_str(), MNT_DETACH);
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;
    SmallDisk(SmallDisk&&) = delete;
    SmallDisk& operator=(SmallDisk&&) = delete;
    [[nodiscard]] bool is_mounted() const { return is_mounted_; }
    void read_only(bool is) {
        REQUIRE(::mount("none", path_.c_str(), "tmpfs",
                        MS_REMOUNT | (is ? static_cast<unsigned long>(MS_RDONLY) : 0),
                        "size=200k") == 0);
    }

  private:
    std::string path_;
    bool is_mounted_ = false;
};

TEST_CASE("a full disk is told, changes nothing, and is over when there is room") {
    Folders folders;
    SmallDisk disk(folders.state.file("disk"));
    if (!disk.is_mounted()) {
        MESSAGE("skipped: this user may not mount");
        return;
    }
    auto store = KeysStore::open({.run_path = folders.run.file("cmapd.keys"),
                                  .state_path = folders.state.file("disk/keys.db"),
                                  .is_same_run = false},
                                 folders.log);
    REQUIRE(store);
    const cmap::Keys keys;
    REQUIRE_FALSE(store->store(commit_of({}, {set(1, "local.first", api::u8(1))}), keys));
    const std::string filler = folders.state.file("disk/filler");
    std::ofstream(filler) << std::string(1 << 20, 'x');
    std::optional<std::string> problem;
    const cmap::Value large = api::text(std::string(16'000, 'x'));
    for (std::uint64_t i = 2; i < 30 && !problem; ++i) {
        problem = store->store(
            commit_of({set(100 + i, "run.key", api::u64(i))}, {set(i, "local.large", large)}),
            keys);
    }
    REQUIRE(problem);
    CHECK(problem->find("full") != std::string::npos);
    // What is of the run alone goes on.
    CHECK_FALSE(store->store(commit_of({set(200, "run.key", api::u8(1))}, {}), keys));
    std::filesystem::remove(filler);
    CHECK_FALSE(store->store(commit_of({}, {set(50, "local.second", api::u8(1))}), keys));
    CHECK(store->state_problem().empty());
    store.reset();
    auto again = KeysStore::open({.run_path = folders.run.file("cmapd.keys"),
                                  .state_path = folders.state.file("disk/keys.db"),
                                  .is_same_run = true},
                                 folders.log);
    REQUIRE(again);
    const auto stored = again->load();
    const auto has = [&](const char* key) {
        return std::ranges::any_of(stored.keys,
                                   [&](const auto& each) { return each.first == key; });
    };
    CHECK(has("local.first"));
    CHECK(has("local.second"));
    CHECK(has("run.key"));
}

TEST_CASE(
    "on a read-only file system lasting keys are read, and can't be changed until it is over") {
    Folders folders;
    SmallDisk disk(folders.state.file("disk"));
    if (!disk.is_mounted()) {
        MESSAGE("skipped: this user may not mount");
        return;
    }
    const auto open = [&](bool is_same_run) {
        return KeysStore::open({.run_path = folders.run.file("cmapd.keys"),
                                .state_path = folders.state.file("disk/keys.db"),
                                .is_same_run = is_same_run},
                               folders.log);
    };
    const cmap::Keys keys;
    {
        auto store = open(false);
        REQUIRE(store);
        REQUIRE_FALSE(store->store(commit_of({}, {set(1, "local.key", api::u8(7))}), keys));
    }
    disk.read_only(true);
    {
        auto store = open(true);
        REQUIRE(store);
        const auto stored = store->load();
        REQUIRE(stored.keys.size() == 1);
        CHECK(stored.keys[0].second.value == api::u8(7));
        const auto problem = store->store(commit_of({}, {set(2, "local.key", api::u8(8))}), keys);
        REQUIRE(problem);
        CHECK_FALSE(store->store(commit_of({set(3, "run.key", api::u8(1))}, {}), keys));
        disk.read_only(false);
        CHECK_FALSE(store->store(commit_of({}, {set(4, "local.key", api::u8(9))}), keys));
    }
}

}  // namespace
