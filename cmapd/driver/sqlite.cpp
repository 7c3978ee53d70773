#include "cmapd/driver/sqlite.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/base/invariant.hpp"

namespace cmapd {
namespace {

// With the system's word where SQLite has only "disk I/O error".
SqliteError error_of(sqlite3* connection) {
    SqliteError error{.code = sqlite3_extended_errcode(connection),
                      .text = sqlite3_errmsg(connection)};
    const int primary = error.code & 0xff;
    const int number = sqlite3_system_errno(connection);
    const bool is_of_system = primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN;
    if (is_of_system && number != 0) error.text += std::string(": ") + std::strerror(number);
    return error;
}

}  // namespace

// Binding fails for a wrong column, which is our bug, or without memory.
Statement& Statement::bind(int at, std::int64_t number) {
    INVARIANT(sqlite3_bind_int64(statement_.get(), at, number) == SQLITE_OK);
    return *this;
}
Statement& Statement::bind_text(int at, std::string_view text) {
    INVARIANT(sqlite3_bind_text(statement_.get(), at, text.data(), static_cast<int>(text.size()),
                                SQLITE_STATIC) == SQLITE_OK);
    return *this;
}
Statement& Statement::bind_blob(int at, std::string_view bytes) {
    // A null pointer would be NULL, and an empty value is none.
    const char* data = bytes.empty() ? "" : bytes.data();
    INVARIANT(sqlite3_bind_blob(statement_.get(), at, data, static_cast<int>(bytes.size()),
                                SQLITE_STATIC) == SQLITE_OK);
    return *this;
}
Statement& Statement::bind_null(int at) {
    INVARIANT(sqlite3_bind_null(statement_.get(), at) == SQLITE_OK);
    return *this;
}

SqliteResult<void> Statement::reset(int code) {
    SqliteError error{.code = code, .text = {}};
    if (code != SQLITE_DONE && code != SQLITE_ROW) {
        error = error_of(sqlite3_db_handle(statement_.get()));
    }
    // It says again what the step said.
    (void)sqlite3_reset(statement_.get());
    if (!error.text.empty()) return base::fail(std::move(error));
    return {};
}

SqliteResult<void> Statement::run() {
    return reset(sqlite3_step(statement_.get()));
}

SqliteResult<bool> Statement::step() {
    const int code = sqlite3_step(statement_.get());
    if (code == SQLITE_ROW) return true;
    if (auto done = reset(code); !done) return base::fail(std::move(done.error()));
    return false;
}

std::int64_t Statement::number(int column) const {
    return sqlite3_column_int64(statement_.get(), column);
}
std::string Statement::bytes(int column) const {
    const void* data = sqlite3_column_blob(statement_.get(), column);
    const int size = sqlite3_column_bytes(statement_.get(), column);
    if (data == nullptr) return {};
    return {static_cast<const char*>(data), static_cast<std::size_t>(size)};
}
bool Statement::is_null(int column) const {
    return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

SqliteResult<Sqlite> Sqlite::open(const std::string& path) {
    sqlite3* connection = nullptr;
    constexpr int kFlags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    const int code = sqlite3_open_v2(path.c_str(), &connection, kFlags, nullptr);
    Sqlite opened(connection);
    if (code != SQLITE_OK) return base::fail(opened.error());
    // SQLite would open it for reading, and fail at the first write without saying why.
    if (sqlite3_db_readonly(connection, "main") == 1 && ::access(path.c_str(), W_OK) != 0) {
        return base::fail(SqliteError{
            .code = SQLITE_READONLY, .text = std::string("cannot be written: ") + strerror(errno)});
    }
    return opened;
}

SqliteResult<void> Sqlite::execute(const std::string& sql) {
    const int code = sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return base::fail(error());
    return {};
}

SqliteResult<Statement> Sqlite::prepare(std::string_view sql) {
    sqlite3_stmt* statement = nullptr;
    const int code = sqlite3_prepare_v3(connection_.get(), sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (code != SQLITE_OK) return base::fail(error());
    return Statement(statement);
}

SqliteResult<std::string> Sqlite::ask(const std::string& sql) {
    auto statement = prepare(sql);
    if (!statement) return base::fail(statement.error());
    const auto row = statement->step();
    if (!row) return base::fail(row.error());
    return *row ? statement->bytes(0) : std::string();
}

SqliteError Sqlite::error() const {
    if (connection_ == nullptr) return {.code = SQLITE_NOMEM, .text = "no memory"};
    return error_of(connection_.get());
}

}  // namespace cmapd
