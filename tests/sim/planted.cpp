// halo_sim_planted: each planted fault must be found by the checker that answers for it.
#include "tests/sim/planted.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include "tests/sim/checkers/checkers.hpp"
#include "tests/sim/run.hpp"

namespace sim {
namespace {

// Enough that every fault finds a run with a place for it.
constexpr std::uint64_t kSeedsMax = 300;

enum class Verdict : std::uint8_t { NoPlace, Missed, Caught };

std::string rules_of(const Report& report) {
    std::string rules;
    for (const Violation& violation : report.violations()) {
        const std::string rule = std::string(" ") + violation.rule;
        if (rules.find(rule) == std::string::npos) rules += rule;
    }
    return rules;
}

Verdict judge(const char* what, const char* rule, std::uint64_t seed, const Report& report) {
    if (report.empty()) return Verdict::NoPlace;
    std::printf("%-58s seed %-3llu caught by%s\n", what, static_cast<unsigned long long>(seed),
                rules_of(report).c_str());
    std::fflush(stdout);
    return report.has(rule) ? Verdict::Caught : Verdict::Missed;
}

// A mutated trace that no checker minds is a miss: the fault is there for certain.
Verdict try_trace(const PlantedInTrace& planted, std::uint64_t seed) {
    const Plan plan = draw_plan({.seed = seed, .profile = Profile::Mixed, .nodes = {}});
    Run clean = run(plan);
    if (!clean.report.empty()) return Verdict::NoPlace;
    if (!planted.plant(clean.trace)) return Verdict::NoPlace;
    const Verdict verdict = judge(planted.what, planted.rule, seed, check(clean.trace));
    return verdict == Verdict::NoPlace ? Verdict::Missed : verdict;
}

// In a process of its own: a core that is lied to may break an invariant first, and then another
// seed has to show it.
Verdict try_apart(const char* what, const char* rule, std::uint64_t seed,
                  const std::function<Run()>& tampered) {
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
        (void)std::freopen("/dev/null", "w", stderr);  // Says which invariant broke.
        alarm(20);
        const Verdict verdict = judge(what, rule, seed, tampered().report);
        _exit(verdict == Verdict::Caught ? 2 : 0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 2 ? Verdict::Caught : Verdict::NoPlace;
}

Verdict try_actions(const PlantedInActions& planted, std::uint64_t seed) {
    return try_apart(planted.what, planted.rule, seed, [&] {
        return run(draw_plan({.seed = seed, .profile = Profile::Mixed, .nodes = {}}),
                   planted.plant());
    });
}

Verdict try_groups(const PlantedInGroups& planted, std::uint64_t seed) {
    return try_apart(planted.what, planted.rule, seed, [&] {
        return run(
            draw_plan(
                {.seed = seed, .profile = Profile::Mixed, .nodes = {}, .with_services = true}),
            {}, planted.plant());
    });
}

Verdict try_resume(const PlantedInResume& planted, std::uint64_t seed) {
    return try_apart(planted.what, planted.rule, seed, [&] {
        Plan plan =
            draw_plan({.seed = seed, .profile = Profile::Calm, .nodes = {}, .with_kills = true});
        plan.wrong = planted.wrong;
        return run(plan);
    });
}

template <class Planted, class Try>
int run_each(const std::vector<Planted>& list, const Try& attempt) {
    int missed = 0;
    for (const Planted& planted : list) {
        Verdict verdict = Verdict::NoPlace;
        for (std::uint64_t seed = 1; seed <= kSeedsMax && verdict == Verdict::NoPlace; ++seed) {
            verdict = attempt(planted, seed);
        }
        if (verdict == Verdict::Caught) continue;
        ++missed;
        std::printf("MISSED by %s: %s\n", planted.rule, planted.what);
    }
    return missed;
}

int main() {
    int missed = 0;
    std::size_t count = 0;
    for (const auto& list : {planted_deliveries(), planted_configurations(), planted_packets()}) {
        missed += run_each(list, try_trace);
        count += list.size();
    }
    const auto in_actions = planted_in_actions();
    missed += run_each(in_actions, try_actions);
    count += in_actions.size();
    const std::vector<PlantedInResume> in_resume = {
        {"acts first, then lets the input count", "D3", Plan::Wrong::ActsFirst},
        {"goes on without the inputs", "P4", Plan::Wrong::ForgetsInputs},
        {"does again what was done", "B2", Plan::Wrong::DoesAllAgain},
        {"goes on as another member", "P4", Plan::Wrong::NewSelf},
    };
    missed += run_each(in_resume, try_resume);
    count += in_resume.size();
    const auto in_groups = planted_in_groups();
    missed += run_each(in_groups, try_groups);
    count += in_groups.size();
    std::printf("%d of %zu planted faults missed\n", missed, count);
    return missed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace sim

int main() {
    return sim::main();
}
