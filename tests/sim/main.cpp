// halo_sim: runs seeds, in parallel and each isolated, and says which broke what.
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "tests/sim/commit.hpp"
#include "tests/sim/pool.hpp"
#include "tests/sim/run.hpp"
#include "tests/sim/shrink.hpp"

namespace sim {
namespace {

constexpr char kUsage[] =
    "usage: halo_sim --seeds A..B [--jobs N] [--profile P] [--nodes N]\n"
    "       halo_sim --seed N [--trace] [--shrink] [--profile P] [--nodes N]\n"
    "       halo_sim --replay FILE     seeds that once failed, each line: seed [profile[:nodes]] "
    "why\n"
    "       halo_sim --same A..B       each seed twice, and the traces must be equal\n"
    "       halo_sim --archived A..B   the same, and the cores of the second run go on from their\n"
    "                                  own bytes again and again\n"
    "--kills: processes are killed in the midst of a step, and others go on from their journals\n"
    "--services: stream, cpgd and programs in groups on top, judged by the groups' rules\n"
    "profiles: calm lossy partitions asymmetric churn pauses mixed\n";

struct Options {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    bool has_seeds = false;
    bool same = false;
    bool archived = false;
    bool trace = false;
    bool shrink = false;
    std::size_t jobs = 2;
    std::string replay;
    Wish wish;
};

std::optional<std::uint64_t> number(const std::string& text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

bool parse_range(const std::string& text, Options& options) {
    const std::size_t dots = text.find("..");
    const auto first = number(text.substr(0, dots));
    const auto last = dots == std::string::npos ? first : number(text.substr(dots + 2));
    if (!first || !last || *last < *first) return false;
    options.first = *first;
    options.last = *last;
    options.has_seeds = true;
    return true;
}

bool parse_value(const std::string& name, const std::string& value, Options& options) {
    if (name == "--seeds" || name == "--seed") return parse_range(value, options);
    if (name == "--same" || name == "--archived") {
        options.same = true;
        options.archived = name == "--archived";
        return parse_range(value, options);
    }
    if (name == "--replay") {
        options.replay = value;
        return true;
    }
    if (name == "--profile") {
        options.wish.profile = profile_named(value);
        return options.wish.profile.has_value();
    }
    const auto count = number(value);
    if (!count || *count == 0) return false;
    if (name == "--jobs") {
        options.jobs = *count;
        return true;
    }
    if (name != "--nodes" || *count < 2 || *count > kNodesMax) return false;
    options.wish.nodes = *count;
    return true;
}

std::optional<Options> parse(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string name = argv[i];
        if (name == "--services") {
            options.wish.with_services = true;
        } else if (name == "--kills") {
            options.wish.with_kills = true;
        } else if (name == "--trace") {
            options.trace = true;
        } else if (name == "--shrink") {
            options.shrink = true;
        } else if (i + 1 == argc || !parse_value(name, argv[++i], options)) {
            return std::nullopt;
        }
    }
    if (!options.has_seeds && options.replay.empty()) return std::nullopt;
    return options;
}

// One seed, here and now, with all that there is to say about it.
int run_one(const Options& options) {
    Plan plan = draw_plan(options.wish);
    const std::string cause = run_apart(plan).cause();
    if (options.shrink && !cause.empty()) {
        plan = shrink(plan, cause);
        std::printf("shrunk while it fails with: %s\n", cause.c_str());
    }
    if (cause == "crash" || cause == "time") {
        print(plan);
        std::printf("%s\n", cause.c_str());
        if (!options.trace) return 1;
    }
    print(plan, run(plan), options.trace);
    return cause.empty() ? 0 : 1;
}

int run_many(const Options& options) {
    std::map<std::string, std::uint64_t> causes;
    std::uint64_t clean = 0;
    std::uint64_t deliveries = 0;
    std::uint64_t configurations = 0;
    const auto plan_of = [&](std::uint64_t seed) {
        Wish wish = options.wish;
        wish.seed = seed;
        return draw_plan(wish);
    };
    run_all(options.first, options.last, options.jobs, plan_of, [&](const Outcome& outcome) {
        deliveries += outcome.deliveries;
        configurations += outcome.configurations;
        if (outcome.is_clean()) {
            ++clean;
            return;
        }
        ++causes[outcome.cause()];
        const Plan plan = plan_of(outcome.seed);
        std::printf("seed %llu fails: %s (profile %s, %zu nodes)\n",
                    static_cast<unsigned long long>(outcome.seed), outcome.cause().c_str(),
                    std::string(name_of(plan.profile)).c_str(), plan.nodes.size());
        std::fflush(stdout);
    });
    std::printf("%llu of %llu seeds clean, %llu deliveries, %llu configurations\n",
                static_cast<unsigned long long>(clean),
                static_cast<unsigned long long>(options.last - options.first + 1),
                static_cast<unsigned long long>(deliveries),
                static_cast<unsigned long long>(configurations));
    for (const auto& [cause, count] : causes) {
        std::printf("  %s: %llu\n", cause.c_str(), static_cast<unsigned long long>(count));
    }
    return causes.empty() ? 0 : 1;
}

int run_same(const Options& options) {
    int failures = 0;
    for (std::uint64_t seed = options.first; seed <= options.last; ++seed) {
        Wish wish = options.wish;
        wish.seed = seed;
        const Plan plan = draw_plan(wish);
        const Outcome one = run_apart(plan);
        Plan again = plan;
        again.archives = options.archived;
        const Outcome two = run_apart(again);
        if (one.crashed || (one.trace_hash == two.trace_hash && one.entries == two.entries))
            continue;
        std::printf("seed %llu: two runs differ\n", static_cast<unsigned long long>(seed));
        ++failures;
    }
    std::printf("%d of %llu seeds differ between two runs\n", failures,
                static_cast<unsigned long long>(options.last - options.first + 1));
    return failures == 0 ? 0 : 1;
}

int run_replay(const Options& options) {
    std::ifstream file(options.replay);
    if (!file) {
        std::fprintf(stderr, "cannot read %s\n", options.replay.c_str());
        return 2;
    }
    int failures = 0;
    int count = 0;
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        Wish wish = options.wish;
        std::string word;
        if (!(words >> wish.seed)) continue;  // A comment, or nothing.
        if (words >> word) {
            const std::size_t colon = word.find(':');
            wish.profile = profile_named(word.substr(0, colon));
            if (colon != std::string::npos) wish.nodes = number(word.substr(colon + 1));
        }
        ++count;
        const std::string cause = run_apart(draw_plan(wish)).cause();
        if (cause.empty()) continue;
        ++failures;
        std::printf("fails again with %s: %s\n", cause.c_str(), line.c_str());
    }
    std::printf("%d of %d kept seeds fail\n", failures, count);
    return failures == 0 ? 0 : 1;
}

int main(int argc, char** argv) {
    std::optional<Options> options = parse(argc, argv);
    if (!options) {
        std::fputs(kUsage, stderr);
        return 2;
    }
    std::printf("halo_sim seeds %llu..%llu of commit %s\n",
                static_cast<unsigned long long>(options->first),
                static_cast<unsigned long long>(options->last), kCommit);
    std::fflush(stdout);
    if (!options->replay.empty()) return run_replay(*options);
    if (options->same) return run_same(*options);
    options->wish.seed = options->first;
    return options->first == options->last ? run_one(*options) : run_many(*options);
}

}  // namespace
}  // namespace sim

int main(int argc, char** argv) {
    return sim::main(argc, argv);
}
