// One run of a plan, and the same in a process of its own: a broken invariant ends only that.
#pragma once

#include <string>
#include <vector>

#include "tests/sim/checkers/report.hpp"
#include "tests/sim/cluster.hpp"
#include "tests/sim/cpg_services.hpp"

namespace sim {

struct Run {
    Trace trace;
    Report report;
};

[[nodiscard]] Run run(const Plan& plan, Tamper tamper = {}, CpgTamper cpg_tamper = {});

// What is left of a run when its process has ended.
struct Outcome {
    std::uint64_t seed = 0;
    bool crashed = false;    // By a broken invariant, or worse; it said why on stderr.
    bool timed_out = false;  // Took more processor time than any run should.
    std::uint64_t trace_hash = 0;
    std::uint64_t entries = 0;
    std::uint64_t deliveries = 0;
    std::uint64_t configurations = 0;
    char rule[8] = "";  // The first rule broken, or empty.

    [[nodiscard]] bool is_clean() const { return !crashed && !timed_out && rule[0] == '\0'; }
    // The broken rule, "crash", "time" or empty.
    [[nodiscard]] std::string cause() const;
};

[[nodiscard]] Outcome outcome_of(const Plan& plan, const Run& run);
[[nodiscard]] Outcome run_apart(const Plan& plan);

// From now on this process has as much processor time as one run may take, then SIGPROF ends it.
void limit_processor_time();

// To stdout: the plan in words, the violations, and the part of the trace that leads up to the
// first. With `whole_trace` all of it.
void print(const Plan& plan, const Run& run, bool whole_trace);
void print(const Plan& plan);

}  // namespace sim
