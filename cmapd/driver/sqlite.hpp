// SQLite's C interface with owners and results, as much as the database needs. One thread.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/base/result.hpp"

namespace cmapd {

struct SqliteError {
    int code = SQLITE_ERROR;  // Extended.
    std::string text;

    // The file is no database, or not whole.
    [[nodiscard]] bool is_damage() const {
        const int primary = code & 0xff;
        return primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB;
    }
};
template <class T>
using SqliteResult = base::Expected<T, SqliteError>;

// A prepared statement that is used again and again: bind, run or step, reset.
class Statement {
  public:
    Statement() = default;
    explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

    Statement& bind(int at, std::int64_t number);
    // As long as the statement is not reset.
    Statement& bind_text(int at, std::string_view text);
    Statement& bind_blob(int at, std::string_view bytes);
    Statement& bind_null(int at);

    // To its end, and ready to be bound again.
    SqliteResult<void> run();
    // True: a row is there. False: there is none, and it is ready to be bound again.
    SqliteResult<bool> step();

    [[nodiscard]] std::int64_t number(int column) const;
    [[nodiscard]] std::string bytes(int column) const;
    [[nodiscard]] bool is_null(int column) const;

  private:
    struct Finalizer {
        void operator()(sqlite3_stmt* statement) const { (void)sqlite3_finalize(statement); }
    };
    SqliteResult<void> reset(int code);

    std::unique_ptr<sqlite3_stmt, Finalizer> statement_;
};

class Sqlite {
  public:
    Sqlite() = default;
    static SqliteResult<Sqlite> open(const std::string& path);

    SqliteResult<void> execute(const std::string& sql);
    SqliteResult<Statement> prepare(std::string_view sql);
    // The first column of the first row.
    SqliteResult<std::string> ask(const std::string& sql);

    [[nodiscard]] bool is_open() const { return connection_ != nullptr; }
    [[nodiscard]] SqliteError error() const;

  private:
    struct Closer {
        void operator()(sqlite3* connection) const { (void)sqlite3_close_v2(connection); }
    };
    explicit Sqlite(sqlite3* connection) : connection_(connection) {}

    std::unique_ptr<sqlite3, Closer> connection_;
};

}  // namespace cmapd
