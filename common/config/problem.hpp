// What is wrong with a configuration file, and where.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace config {

// A line of a file; line 0 is the file as a whole.
struct Position {
    std::string file;
    int line = 0;

    friend bool operator==(const Position&, const Position&) = default;
};

struct Problem {
    enum class Severity : std::uint8_t {
        Error,    // The file cannot be used.
        Warning,  // It can, and something in it does not do what its author may think.
    };
    Severity severity = Severity::Error;
    Position at;
    std::string text;

    // "/etc/halo/halo.conf:12: error: unknown directive …"
    [[nodiscard]] std::string line() const {
        const std::string where = at.line == 0 ? at.file : at.file + ":" + std::to_string(at.line);
        return where + (severity == Severity::Error ? ": error: " : ": warning: ") + text;
    }
};

// Collects the problems of a file, so that all are told at once.
class Problems {
  public:
    void error(const Position& at, std::string text) {
        all_.push_back({Problem::Severity::Error, at, std::move(text)});
        has_errors_ = true;
    }
    void warning(const Position& at, std::string text) {
        all_.push_back({Problem::Severity::Warning, at, std::move(text)});
    }

    [[nodiscard]] bool has_errors() const { return has_errors_; }
    [[nodiscard]] const std::vector<Problem>& all() const { return all_; }

  private:
    std::vector<Problem> all_;
    bool has_errors_ = false;
};

}  // namespace config
