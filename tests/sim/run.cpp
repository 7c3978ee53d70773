#include "tests/sim/run.hpp"

#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>

#include "tests/sim/checkers/checkers.hpp"

namespace sim {
namespace {

constexpr time_t kRunSecondsMax = 60;  // A run takes milliseconds; this one hangs.
constexpr std::size_t kLeadUpEntries = 60;

bool is_packet(const Entry& entry) {
    return std::holds_alternative<DataReceived>(entry.what) ||
           std::holds_alternative<DataSent>(entry.what) ||
           std::holds_alternative<TokenSent>(entry.what);
}

// Membership, faults and the like: they tell how it came to it however long ago.
bool is_landmark(const Entry& entry) {
    return std::holds_alternative<Installed>(entry.what) ||
           std::holds_alternative<Started>(entry.what) ||
           std::holds_alternative<Ended>(entry.what) ||
           std::holds_alternative<FaultBegan>(entry.what) ||
           std::holds_alternative<FaultEnded>(entry.what) ||
           std::holds_alternative<PhaseBegan>(entry.what);
}

void print_lead_up(const Trace& trace, std::size_t last) {
    std::vector<std::size_t> lines;
    for (std::size_t i = last + 1; i > 0 && lines.size() < kLeadUpEntries; --i) {
        const Entry& entry = trace[i - 1];
        const bool close = last + 1 - i < kLeadUpEntries / 3;
        if (is_landmark(entry) || (close && !is_packet(entry))) lines.push_back(i - 1);
    }
    std::ranges::reverse(lines);
    for (const std::size_t line : lines)
        std::printf("  %s\n", to_text(trace[line]).c_str());
}

// Where nothing fails but processes that go on, a ring of all nodes stays for ever.
void check_kills(const Plan& plan, const Trace& trace, Report& report) {
    if (!plan.has_kills || plan.profile != Profile::Calm) return;
    std::map<base::NodeId, bool> is_whole;
    for (std::size_t i = 0; i < trace.size(); ++i) {
        const auto* installed = std::get_if<Installed>(&trace[i].what);
        if (installed == nullptr) continue;
        bool& whole = is_whole[trace[i].who.node];
        if (whole) report.add("P4", i, "a kill changed the configuration");
        whole = installed->configuration.kind == totem::InstallConfiguration::Kind::Regular &&
                installed->configuration.members == plan.nodes;
    }
}

}  // namespace

Run run(const Plan& plan, Tamper tamper, CpgTamper cpg_tamper) {
    Run run;
    if (!plan.has_services) {
        Cluster(plan, run.trace, std::move(tamper)).run();
        run.report = check(run.trace);
        check_kills(plan, run.trace, run.report);
        return run;
    }
    Cluster cluster(plan, run.trace, std::move(tamper), [&](const Plan& of, Stage& stage) {
        return std::make_unique<CpgServices>(of, stage, std::move(cpg_tamper));
    });
    cluster.run();
    cluster.judge_services(run.report);
    return run;
}

std::string Outcome::cause() const {
    if (timed_out) return "time";
    if (crashed) return "crash";
    return rule;
}

Outcome outcome_of(const Plan& plan, const Run& run) {
    Outcome outcome;
    outcome.seed = plan.seed;
    outcome.trace_hash = hash_of(run.trace);
    outcome.entries = run.trace.size();
    for (const Entry& entry : run.trace) {
        if (std::holds_alternative<Delivered>(entry.what)) ++outcome.deliveries;
        if (std::holds_alternative<Installed>(entry.what)) ++outcome.configurations;
    }
    if (!run.report.empty()) {
        std::strncpy(outcome.rule, run.report.violations().front().rule, sizeof outcome.rule - 1);
    }
    return outcome;
}

void limit_processor_time() {
    const itimerval limit{.it_interval = {}, .it_value = {.tv_sec = kRunSecondsMax, .tv_usec = 0}};
    (void)setitimer(ITIMER_PROF, &limit, nullptr);
}

Outcome run_apart(const Plan& plan) {
    Outcome outcome;
    outcome.seed = plan.seed;
    int ends[2];
    if (pipe(ends) != 0) {
        std::perror("pipe");
        std::exit(1);
    }
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        limit_processor_time();
        const Outcome mine = outcome_of(plan, run(plan));
        const bool told = write(ends[1], &mine, sizeof mine) == ssize_t{sizeof mine};
        _exit(told ? 0 : 1);
    }
    close(ends[1]);
    Outcome theirs;
    const bool told = read(ends[0], &theirs, sizeof theirs) == ssize_t{sizeof theirs};
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    if (told) return theirs;
    outcome.timed_out = WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF;
    outcome.crashed = !outcome.timed_out;
    return outcome;
}

void print(const Plan& plan) {
    std::printf("seed %llu, profile %s, %zu nodes, %zu links, %zu faults\n",
                static_cast<unsigned long long>(plan.seed),
                std::string(name_of(plan.profile)).c_str(), plan.nodes.size(), plan.links,
                plan.faults.size());
    std::printf("nodes by index: %s\n", to_text(plan.nodes).c_str());
    for (const Fault& fault : plan.faults)
        std::printf("  %s\n", to_text(fault).c_str());
}

void print(const Plan& plan, const Run& run, bool whole_trace) {
    print(plan);
    if (whole_trace) {
        for (const Entry& entry : run.trace)
            std::printf("%s\n", to_text(entry).c_str());
    }
    for (const Violation& violation : run.report.violations()) {
        std::printf("rule %s broken: %s\n    at %s\n", violation.rule, violation.text.c_str(),
                    to_text(run.trace[violation.entry]).c_str());
    }
    if (!whole_trace && !run.report.empty()) {
        print_lead_up(run.trace, run.report.violations().front().entry);
    }
    std::printf("trace %016llx, %zu entries\n", static_cast<unsigned long long>(hash_of(run.trace)),
                run.trace.size());
}

}  // namespace sim
