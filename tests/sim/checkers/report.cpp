#include "tests/sim/checkers/report.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace sim {

void Report::add(const char* rule, std::size_t entry, std::string text) {
    const auto same = std::ranges::count_if(violations_, [&](const Violation& violation) {
        return std::strcmp(violation.rule, rule) == 0;
    });
    if (static_cast<std::size_t>(same) >= kEachMax) return;
    violations_.push_back({.rule = rule, .text = std::move(text), .entry = entry});
}

bool Report::has(const std::string& rule) const {
    return std::ranges::any_of(violations_,
                               [&](const Violation& violation) { return rule == violation.rule; });
}

}  // namespace sim
