#include "cmapd/driver/database.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>

#include "common/os/clock.hpp"

namespace cmapd {
namespace {

// "Halo", so that file(1) and we know whose it is.
constexpr std::int64_t kApplicationId = 0x48616c6f;

// From each version to the next. Never changed once released: a new one is added.
constexpr std::array kMigrations{R"(
CREATE TABLE keys(key TEXT PRIMARY KEY, type INTEGER NOT NULL, value BLOB NOT NULL,
                  revision INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE journal(revision INTEGER PRIMARY KEY, key TEXT NOT NULL, old_type INTEGER,
                     old_value BLOB, new_type INTEGER, new_value BLOB) STRICT;
CREATE TABLE answered(session INTEGER PRIMARY KEY, number INTEGER NOT NULL, error INTEGER NOT NULL,
                      payload BLOB NOT NULL) STRICT;
CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
)"};

constexpr const char* kReplica = "replica";
constexpr const char* kConfigured = "configured";
constexpr const char* kJournalFloor = "journal_floor";

std::string_view view_of(const base::Buffer& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

SqliteError error_of(const std::string& text) {
    return {.code = SQLITE_ERROR, .text = text};
}

std::string joined(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) {
        text += name + "\n";
    }
    return text;
}

std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        lines.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

// A value of a row; what is none of ours is damage.
SqliteResult<std::optional<cmap::Value>> value_in(const Statement& row, int type, int value) {
    if (row.is_null(type)) return std::nullopt;
    cmap::Value found{.type = static_cast<protocol::cmap::Type>(row.number(type)),
                      .bytes = row.bytes(value)};
    if (row.number(type) < 1 || row.number(type) > 12 || !protocol::cmap::is_valid(found)) {
        return base::fail(SqliteError{.code = SQLITE_CORRUPT, .text = "a value is of no type"});
    }
    return found;
}

std::string set_aside(const std::string& path) {
    const std::string aside = path + ".damaged-" + std::to_string(os::epoch_ns());
    // Each may not be there; and what can't be moved fails again when a new one is made.
    for (const char* part : {"", "-wal", "-shm"}) {
        (void)std::rename((path + part).c_str(), (aside + part).c_str());
    }
    return aside;
}

}  // namespace

base::Expected<Database::Opened, std::string> Database::open(const std::string& path, Kind kind) {
    auto opened = open_whole(path, kind);
    if (opened) return Opened{.database = *std::move(opened), .set_aside = {}};
    if (!opened.error().is_damage()) return base::fail(path + ": " + opened.error().text);
    const std::string why = opened.error().text;
    const std::string aside = set_aside(path);
    auto fresh = open_whole(path, kind);
    if (!fresh) return base::fail(path + ": " + fresh.error().text);
    return Opened{.database = *std::move(fresh), .set_aside = aside + " (" + why + ")"};
}

SqliteResult<Database> Database::open_whole(const std::string& path, Kind kind) {
    auto connection = Sqlite::open(path);
    if (!connection) return base::fail(connection.error());
    Database database(*std::move(connection), kind);
    if (auto done = database.set_up(); !done) return base::fail(done.error());
    if (auto done = database.prepare_statements(); !done) return base::fail(done.error());
    // All of it is read once here, so that damage shows now and not in the midst of work.
    cmap::Core::Stored all;
    if (auto done = database.load(all); !done) return base::fail(done.error());
    return database;
}

SqliteResult<void> Database::set_up() {
    // Exclusive: the log needs no shared memory then, and another process gets "locked".
    const std::string pragmas = std::string("PRAGMA locking_mode=EXCLUSIVE;") +
                                "PRAGMA journal_mode=WAL; PRAGMA synchronous=" +
                                (kind_ == Kind::State ? "NORMAL;" : "OFF;");
    if (auto done = connection_.execute(pragmas); !done) return done;
    const auto check = connection_.ask("PRAGMA quick_check(1)");
    if (!check) return base::fail(check.error());
    if (*check != "ok") return base::fail(SqliteError{.code = SQLITE_CORRUPT, .text = *check});

    const auto id = connection_.ask("PRAGMA application_id");
    const auto version_text = connection_.ask("PRAGMA user_version");
    if (!id) return base::fail(id.error());
    if (!version_text) return base::fail(version_text.error());
    const std::size_t version = std::stoul(*version_text);
    if (version > kMigrations.size()) {
        return base::fail(error_of("it was made by a newer cmapd (format " + *version_text + ")"));
    }
    if (version > 0 && *id != std::to_string(kApplicationId)) {
        return base::fail(error_of("it is a database of another program"));
    }
    for (std::size_t at = version; at < kMigrations.size(); ++at) {
        const std::string migration = "BEGIN IMMEDIATE;" + std::string(kMigrations.at(at)) +
                                      "PRAGMA application_id=" + std::to_string(kApplicationId) +
                                      "; PRAGMA user_version=" + std::to_string(at + 1) +
                                      "; COMMIT;";
        if (auto done = connection_.execute(migration); !done) return done;
    }
    return {};
}

SqliteResult<void> Database::prepare_statements() {
    struct Wanted {
        Statement& statement;
        const char* sql;
    };
    const std::array wanted{
        Wanted{begin_, "BEGIN IMMEDIATE"}, Wanted{commit_, "COMMIT"}, Wanted{rollback_, "ROLLBACK"},
        Wanted{put_key_, "INSERT OR REPLACE INTO keys VALUES(?1, ?2, ?3, ?4)"},
        Wanted{delete_key_, "DELETE FROM keys WHERE key = ?1"},
        // '/' is the byte after '.'.
        Wanted{delete_cluster_, "DELETE FROM keys WHERE key >= 'cluster.' AND key < 'cluster/'"},
        Wanted{put_journal_, "INSERT OR REPLACE INTO journal VALUES(?1, ?2, ?3, ?4, ?5, ?6)"},
        Wanted{trim_journal_, "DELETE FROM journal WHERE revision <= ?1"},
        Wanted{put_answered_, "INSERT OR REPLACE INTO answered VALUES(?1, ?2, ?3, ?4)"},
        Wanted{delete_answered_, "DELETE FROM answered WHERE session = ?1"},
        Wanted{put_meta_, "INSERT OR REPLACE INTO meta VALUES(?1, ?2)"}};
    for (const Wanted& each : wanted) {
        auto prepared = connection_.prepare(each.sql);
        if (!prepared) return base::fail(prepared.error());
        each.statement = *std::move(prepared);
    }
    return {};
}

// ---------------------------------------------------------------- reading

SqliteResult<void> Database::load(cmap::Core::Stored& stored) {
    using cmap::Revision;
    const auto each_row = [&](const char* sql, auto take) -> SqliteResult<void> {
        auto rows = connection_.prepare(sql);
        if (!rows) return base::fail(rows.error());
        for (;;) {
            const auto row = rows->step();
            if (!row) return base::fail(row.error());
            if (!*row) return {};
            if (SqliteResult<void> taken = take(*rows); !taken) return taken;
        }
    };
    auto done = each_row(
        "SELECT key, type, value, revision FROM keys",
        [&](const Statement& row) -> SqliteResult<void> {
            auto value = value_in(row, 1, 2);
            if (!value) return base::fail(value.error());
            stored.keys.emplace_back(
                row.bytes(0),
                cmap::Entry{.value = **std::move(value),
                            .revision = Revision{static_cast<std::uint64_t>(row.number(3))}});
            return {};
        });
    if (!done) return done;
    done = each_row("SELECT * FROM journal", [&](const Statement& row) -> SqliteResult<void> {
        auto before = value_in(row, 2, 3);
        auto after = value_in(row, 4, 5);
        if (!before) return base::fail(before.error());
        if (!after) return base::fail(after.error());
        stored.journal.push_back({.revision = Revision{static_cast<std::uint64_t>(row.number(0))},
                                  .key = row.bytes(1),
                                  .old_value = *std::move(before),
                                  .new_value = *std::move(after)});
        return {};
    });
    if (!done) return done;
    std::ranges::sort(stored.journal, {}, &cmap::Change::revision);
    done = each_row("SELECT * FROM answered", [&](const Statement& row) -> SqliteResult<void> {
        const std::string payload = row.bytes(3);
        const auto number = static_cast<std::uint64_t>(row.number(1));
        // Each database has the answer to the last request that changed something in it: of a
        // session that changed both, the later one is the one that it may ask for again.
        cmap::Answered& last =
            stored.answered[cmap::SessionId{static_cast<std::uint64_t>(row.number(0))}];
        if (number <= last.number) return {};
        last = {.number = number,
                .error = static_cast<cmap::CsError>(row.number(2)),
                .payload = base::Buffer::copy_of(std::as_bytes(std::span(payload)))};
        return {};
    });
    if (!done) return done;
    return each_row("SELECT name, value FROM meta",
                    [&](const Statement& row) -> SqliteResult<void> {
                        const std::string name = row.bytes(0);
                        const std::string value = row.bytes(1);
                        if (name == kReplica) {
                            stored.replica = base::Buffer::copy_of(std::as_bytes(std::span(value)));
                        } else if (name == kConfigured) {
                            stored.configured = lines_of(value);
                        } else if (name == kJournalFloor) {
                            const Revision floor{std::strtoull(value.c_str(), nullptr, 10)};
                            stored.journal_floor = std::max(stored.journal_floor, floor);
                        }
                        return {};
                    });
}

// ---------------------------------------------------------------- writing

SqliteResult<void> Database::begin_run() {
    return connection_.execute("BEGIN; DELETE FROM answered; DELETE FROM journal; COMMIT;");
}

SqliteResult<void> Database::store(const cmap::Stores& stores, const cmap::Commit& commit,
                                   const std::set<cmap::SessionId>& forgotten,
                                   const cmap::Keys::Map* rewrite) {
    if (auto begun = begin_.run(); !begun) return begun;
    auto done = store_parts(stores, commit, forgotten, rewrite);
    if (done) done = commit_.run();
    // After some errors SQLite has rolled back by itself; then this one fails, and all is well.
    if (!done) (void)rollback_.run();
    return done;
}

SqliteResult<void> Database::store_parts(const cmap::Stores& stores, const cmap::Commit& commit,
                                         const std::set<cmap::SessionId>& forgotten,
                                         const cmap::Keys::Map* rewrite) {
    if (rewrite != nullptr) {
        if (auto done = delete_cluster_.run(); !done) return done;
        for (auto at = rewrite->lower_bound(std::string_view("cluster."));
             at != rewrite->end() && at->first.starts_with("cluster."); ++at) {
            if (auto done = put(at->first, at->second.value, at->second.revision); !done)
                return done;
        }
    }
    for (const cmap::Change& change : stores.changes) {
        if (auto done = store_change(change); !done) return done;
    }
    for (const auto& [session, answered] : stores.answered) {
        auto done = put_answered_.bind(1, static_cast<std::int64_t>(session.value()))
                        .bind(2, static_cast<std::int64_t>(answered.number))
                        .bind(3, static_cast<std::int64_t>(answered.error))
                        .bind_blob(4, view_of(answered.payload))
                        .run();
        if (!done) return done;
    }
    for (const cmap::SessionId session : commit.forgotten) {
        if (auto done = forget(session); !done) return done;
    }
    for (const cmap::SessionId session : forgotten) {
        if (auto done = forget(session); !done) return done;
    }
    if (commit.journal_floor > trimmed_) {
        const auto floor = static_cast<std::int64_t>(commit.journal_floor.value());
        if (auto done = trim_journal_.bind(1, floor).run(); !done) return done;
        if (auto done = put_meta(kJournalFloor, std::to_string(floor)); !done) return done;
        trimmed_ = commit.journal_floor;
    }
    if (kind_ == Kind::State) {
        return commit.replica ? put_meta(kReplica, view_of(*commit.replica)) : SqliteResult<void>{};
    }
    return commit.configured ? put_meta(kConfigured, joined(*commit.configured))
                             : SqliteResult<void>{};
}

SqliteResult<void> Database::forget(cmap::SessionId session) {
    return delete_answered_.bind(1, static_cast<std::int64_t>(session.value())).run();
}

SqliteResult<void> Database::store_change(const cmap::Change& change) {
    auto done = change.new_value ? put(change.key, *change.new_value, change.revision)
                                 : delete_key_.bind_text(1, change.key).run();
    if (!done) return done;
    put_journal_.bind(1, static_cast<std::int64_t>(change.revision.value()));
    put_journal_.bind_text(2, change.key);
    const auto bind_value = [&](int at, const std::optional<cmap::Value>& value) {
        if (value) {
            put_journal_.bind(at, static_cast<std::int64_t>(value->type))
                .bind_blob(at + 1, value->bytes);
        } else {
            put_journal_.bind_null(at).bind_null(at + 1);
        }
    };
    bind_value(3, change.old_value);
    bind_value(5, change.new_value);
    return put_journal_.run();
}

SqliteResult<void> Database::put(const std::string& key, const cmap::Value& value,
                                 cmap::Revision revision) {
    return put_key_.bind_text(1, key)
        .bind(2, static_cast<std::int64_t>(value.type))
        .bind_blob(3, value.bytes)
        .bind(4, static_cast<std::int64_t>(revision.value()))
        .run();
}

SqliteResult<void> Database::put_meta(std::string_view name, std::string_view value) {
    return put_meta_.bind_text(1, name).bind_blob(2, value).run();
}

void Database::tidy_up() {
    // It stops by itself where it would have to wait.
    (void)connection_.execute("PRAGMA wal_checkpoint(PASSIVE)");
}

}  // namespace cmapd
