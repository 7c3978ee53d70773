#include "common/log/log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION  // We give the caller's location ourselves.
#include <systemd/sd-journal.h>

#include <array>
#include <cctype>
#include <cstdlib>
#include <ctime>

namespace logging {
namespace {

// Priorities of syslog(3), by Level.
constexpr std::array<int, 5> kPriorities{3, 4, 5, 6, 7};
constexpr std::array<std::string_view, 5> kLevelNames{"error", "warning", "notice", "info",
                                                      "debug"};

std::size_t index_of(Level level) {
    return static_cast<std::size_t>(level);
}

bool is_plain(char c) {
    return c > ' ' && c < 127 && c != '"' && c != '\\' && c != '=';
}

void append_quoted(std::string& out, std::string_view value) {
    bool plain = !value.empty();
    for (const char c : value) {
        plain = plain && is_plain(c);
    }
    if (plain) {
        out += value;
        return;
    }
    out += '"';
    for (const char c : value) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < ' ' || byte == 127) {
            out += fmt::format("\\x{:02x}", byte);
        } else {
            out += c;
        }
    }
    out += '"';
}

// "2026-03-01T12:00:00.123456Z"
std::string timestamp() {
    timespec time{};
    // CLOCK_REALTIME exists everywhere and the pointer is good: no failure.
    (void)::clock_gettime(CLOCK_REALTIME, &time);
    std::tm parts{};
    (void)::gmtime_r(&time.tv_sec, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", parts.tm_year + 1900,
                       parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                       time.tv_nsec / 1000);
}

}  // namespace

Destinations default_destinations() {
    const char* stream = std::getenv("JOURNAL_STREAM");
    struct stat status {};
    const bool connected =
        stream != nullptr && ::fstat(STDERR_FILENO, &status) == 0 &&
        fmt::format("{}:{}", status.st_dev, status.st_ino) == std::string_view(stream);
    return {.journal = connected, .to_stderr = !connected, .file = {}};
}

std::string fields_text(Fields fields) {
    std::string text;
    for (const Field& field : fields) {
        text += ' ';
        for (const char c : field.name) {
            text += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        }
        text += '=';
        append_quoted(text, field.value);
    }
    return text;
}

Log::Log(std::string program, Destinations destinations)
    : program_(std::move(program)), destinations_(std::move(destinations)) {}

void Log::redirect(Destinations destinations) {
    if (destinations.file != destinations_.file) file_ = {};
    destinations_ = std::move(destinations);
}

os::Result<void> Log::reopen_file() {
    if (destinations_.file.empty()) return {};
    os::UniqueFd opened(
        ::open(destinations_.file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
    if (!opened.is_open()) return os::last_error("open log file " + destinations_.file);
    // Daemons of several users share a file through their group, whatever the umask.
    struct stat status {};
    if (::fstat(opened.get(), &status) == 0 && status.st_size == 0 &&
        status.st_uid == ::geteuid() && ::fchmod(opened.get(), 0660) != 0)
        return os::last_error("chmod log file " + destinations_.file);
    file_ = std::move(opened);
    return {};
}

void Log::write(Level level, Message message, Fields fields) {
    if (level > level_) return;
    const std::string text = std::string(message.text) + fields_text(fields);
    if (destinations_.journal) to_journal(level, message, fields, text);
    if (!destinations_.to_stderr && !file_.is_open()) return;
    const std::string line =
        fmt::format("{} {} {}: {}\n", timestamp(), program_, kLevelNames.at(index_of(level)), text);
    if (destinations_.to_stderr) to_descriptor(STDERR_FILENO, line);
    if (file_.is_open()) to_descriptor(file_.get(), line);
}

void Log::to_descriptor(int fd, std::string_view line) {
    // One write: lines of several daemons on one terminal do not mix. A log that cannot be written
    // stops no daemon; it is counted.
    if (::write(fd, line.data(), line.size()) != static_cast<ssize_t>(line.size())) ++lost_;
}

void Log::to_journal(Level level, const Message& message, Fields fields, std::string_view text) {
    std::vector<std::string> entries{
        fmt::format("MESSAGE={}", text),
        fmt::format("PRIORITY={}", kPriorities.at(index_of(level))),
        fmt::format("SYSLOG_IDENTIFIER={}", program_),
        fmt::format("CODE_FILE={}", message.location.file_name()),
        fmt::format("CODE_LINE={}", message.location.line()),
        fmt::format("HALO_MESSAGE={}", message.text),
    };
    for (const Field& field : fields) {
        // The prefix keeps our fields apart from those that the journal gives a meaning.
        entries.push_back(fmt::format("HALO_{}={}", field.name, field.value));
    }
    std::vector<iovec> vectors;
    vectors.reserve(entries.size());
    for (std::string& entry : entries) {
        vectors.push_back({.iov_base = entry.data(), .iov_len = entry.size()});
    }
    if (::sd_journal_sendv(vectors.data(), static_cast<int>(vectors.size())) < 0) ++lost_;
}

}  // namespace logging
