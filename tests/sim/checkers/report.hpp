// What a checker found: the rule, in the words of docs/testing.md, and where in the trace.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace sim {

struct Violation {
    const char* rule = "";  // "D4", "P2", …
    std::string text;
    std::size_t entry = 0;  // Index in the trace.
};

// Keeps the first few of each rule: one fault breaks many.
class Report {
  public:
    static constexpr std::size_t kEachMax = 3;

    void add(const char* rule, std::size_t entry, std::string text);

    [[nodiscard]] const std::vector<Violation>& violations() const { return violations_; }
    [[nodiscard]] bool empty() const { return violations_.empty(); }
    [[nodiscard]] bool has(const std::string& rule) const;

  private:
    std::vector<Violation> violations_;
};

}  // namespace sim
