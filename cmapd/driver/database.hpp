// One of cmapd's two files of keys: those of the node's run, in the run folder (memory), and those
// that stay, in the state folder. What was stored is there after a kill at any moment; the second
// kind also after the power went, but for what was stored in the last moments.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "cmapd/core/core.hpp"
#include "cmapd/driver/sqlite.hpp"

namespace cmapd {

class Database {
  public:
    enum class Kind : std::uint8_t { RunTime, State };

    // Opens or makes it. A file that is damaged is set aside, `set_aside` says how it is called
    // now, and a new one takes its place; one of a newer cmapd, or that another process has, is
    // left alone and is an error.
    struct Opened;
    static base::Expected<Opened, std::string> open(const std::string& path, Kind kind);

    // Adds what is in it.
    SqliteResult<void> load(cmap::Core::Stored& stored);

    // A new run of the node: no client has lived through it, and what is kept for them goes.
    SqliteResult<void> begin_run();

    // One transaction. `forgotten`: beside those of the commit. `rewrite`: first all keys below
    // "cluster." are replaced by those of it.
    SqliteResult<void> store(const cmap::Stores& stores, const cmap::Commit& commit,
                             const std::set<cmap::SessionId>& forgotten,
                             const cmap::Keys::Map* rewrite);

    // Moves what the log of the database holds into it, as far as nothing waits for that.
    void tidy_up();

  private:
    Database(Sqlite connection, Kind kind) : connection_(std::move(connection)), kind_(kind) {}
    static SqliteResult<Database> open_whole(const std::string& path, Kind kind);
    SqliteResult<void> set_up();
    SqliteResult<void> prepare_statements();
    SqliteResult<void> store_parts(const cmap::Stores& stores, const cmap::Commit& commit,
                                   const std::set<cmap::SessionId>& forgotten,
                                   const cmap::Keys::Map* rewrite);
    SqliteResult<void> forget(cmap::SessionId session);
    SqliteResult<void> store_change(const cmap::Change& change);
    SqliteResult<void> put(const std::string& key, const cmap::Value& value,
                           cmap::Revision revision);
    SqliteResult<void> put_meta(std::string_view name, std::string_view value);

    Sqlite connection_;
    Kind kind_ = Kind::RunTime;
    Statement begin_, commit_, rollback_;
    Statement put_key_, delete_key_, delete_cluster_;
    Statement put_journal_, trim_journal_;
    Statement put_answered_, delete_answered_;
    Statement put_meta_;
    cmap::Revision trimmed_{};
};

struct Database::Opened {
    Database database;
    std::optional<std::string> set_aside;  // The damaged file's new name, and why.
};

}  // namespace cmapd
