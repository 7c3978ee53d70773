// Log lines: a constant message plus fields, to the journal as real fields, or as key=value text.
//
// Only programs log; cores and the other folders of common return errors (docs/STYLE.md).
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <initializer_list>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "common/os/error.hpp"
#include "common/os/unique_fd.hpp"

namespace logging {

enum class Level : std::uint8_t {
    Error,    // Someone must act.
    Warning,  // We go on, and the message says how ("ignoring", "retrying").
    Notice,   // Membership, quorum and life of the daemon: one line each.
    Info,
    Debug,  // Off unless switched on.
};

// The constant part of a line, and where it stands. A text that is put together at run time does
// not compile here: what varies belongs into a field, so that the message can be searched for.
struct Message {
    template <std::size_t N>
    consteval Message(const char (&constant)[N],  // NOLINT: conversion is what makes calls short.
                      std::source_location where = std::source_location::current())
        : text(constant, N - 1), location(where) {}

    std::string_view text;
    std::source_location location;
};

// One named value. Names are written in capitals: "PEER", "RING". No secret, no payload.
struct Field {
    template <class T>
    Field(std::string_view field_name, const T& field_value)
        : name(field_name), value(fmt::format("{}", field_value)) {}

    std::string_view name;  // A constant.
    std::string value;
};
using Fields = std::initializer_list<Field>;

// Where the lines go. Each that is set gets every line; with none set, nothing is written.
struct Destinations {
    bool journal = false;
    bool to_stderr = true;
    std::string file;  // Appended to; empty: none.
};

// The destination that the surroundings ask for: the journal when stderr is connected to it (a
// systemd service), else stderr.
[[nodiscard]] Destinations default_destinations();

// One thread's log. Copies no state of the program: a daemon makes one in main and hands out
// references.
class Log {
  public:
    // `program` is the name in front of each line.
    explicit Log(std::string program, Destinations destinations = default_destinations());

    // Opens the file of the destinations again (after rotation), or for the first time. Without a
    // file it does nothing. On failure the other destinations still work.
    os::Result<void> reopen_file();

    // Other destinations from now on; a file is opened by reopen_file().
    void redirect(Destinations destinations);

    // Lines above this level are dropped. Default Info.
    void set_level(Level level) { level_ = level; }
    [[nodiscard]] Level level() const { return level_; }
    [[nodiscard]] bool is_debug() const { return level_ == Level::Debug; }

    void error(Message message, Fields fields = {}) { write(Level::Error, message, fields); }
    void warning(Message message, Fields fields = {}) { write(Level::Warning, message, fields); }
    void notice(Message message, Fields fields = {}) { write(Level::Notice, message, fields); }
    void info(Message message, Fields fields = {}) { write(Level::Info, message, fields); }
    void debug(Message message, Fields fields = {}) { write(Level::Debug, message, fields); }

    void write(Level level, Message message, Fields fields);

    // Lines that no destination took (full disk, journal away). Shown in the daemon's status.
    [[nodiscard]] std::uint64_t lost() const { return lost_; }

  private:
    void to_descriptor(int fd, std::string_view line);
    void to_journal(Level level, const Message& message, Fields fields, std::string_view text);

    std::string program_;
    Destinations destinations_;
    os::UniqueFd file_;
    Level level_ = Level::Info;
    std::uint64_t lost_ = 0;
};

// The text form of fields: ` peer=3 cause="no answer"`. Values with spaces, quotes or control
// characters are quoted and escaped, so that one line stays one line whatever a peer sent.
[[nodiscard]] std::string fields_text(Fields fields);

}  // namespace logging
