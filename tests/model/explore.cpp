// halo_model: all orders of events for two and three members, to a depth that it prints. Every
// story ends well, whatever was chosen before, and must then obey each rule of the simulator's
// checkers.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/model/world.hpp"
#include "tests/sim/checkers/checkers.hpp"

namespace model {
namespace {

// What may be chosen, and how often in one story.
struct Budget {
    std::size_t submits = 0;
    std::size_t losses = 0;
    std::size_t waits = 0;
    std::size_t crashes = 0;
    std::size_t restarts = 0;
    std::size_t cuts = 0;
};

struct Task {
    const char* name = "";
    std::size_t nodes = 2;
    bool is_formed = true;  // Else they have just been started.
    Budget budget;
    std::size_t depth = 0;
    std::size_t long_depth = 0;
};

constexpr Task kTasks[] = {
    {.name = "two form a ring",
     .nodes = 2,
     .is_formed = false,
     .budget = {.losses = 1, .waits = 2},
     .depth = 8,
     .long_depth = 11},
    {.name = "two send, one packet is lost",
     .nodes = 2,
     .budget = {.submits = 2, .losses = 1, .waits = 1},
     .depth = 9,
     .long_depth = 13},
    {.name = "three send, one packet is lost",
     .nodes = 3,
     .budget = {.submits = 2, .losses = 1, .waits = 1},
     .depth = 6,
     .long_depth = 8},
    {.name = "one of two crashes and comes back",
     .nodes = 2,
     .budget = {.submits = 1, .waits = 2, .crashes = 1, .restarts = 1},
     .depth = 7,
     .long_depth = 10},
    {.name = "one of three crashes while they send",
     .nodes = 3,
     .budget = {.submits = 2, .waits = 1, .crashes = 1},
     .depth = 6,
     .long_depth = 8},
    {.name = "one of three is cut off while they send",
     .nodes = 3,
     .budget = {.submits = 2, .waits = 1, .cuts = 1},
     .depth = 6,
     .long_depth = 8},
};

class Explorer {
  public:
    Explorer(const Task& task, std::size_t depth) : task_(task), depth_(depth) {}

    bool run() {
        World world(task_.nodes, record_);
        if (task_.is_formed) world.let_settle();
        explore(world, task_.budget);
        std::printf("%-42s depth %2zu: %8zu steps, %7zu stories, %s\n", task_.name, depth_, steps_,
                    stories_, failed_ ? "BROKEN" : "all obey the rules");
        std::fflush(stdout);
        return !failed_;
    }

  private:
    void explore(const World& world, const Budget& left) {
        if (failed_) return;
        const auto choices = choices_of(world, left);
        if (chosen_.size() == depth_ || choices.empty()) {
            judge(world);
            return;
        }
        for (const auto& [choice, then] : choices) {
            const std::size_t length = record_.trace.size();
            World next = world;
            next.take(choice);
            ++steps_;
            chosen_.push_back(choice);
            explore(next, then);
            chosen_.pop_back();
            record_.trace.resize(length);
        }
    }

    [[nodiscard]] std::vector<std::pair<Choice, Budget>> choices_of(const World& world,
                                                                    const Budget& left) const {
        using What = Choice::What;
        std::vector<std::pair<Choice, Budget>> all;
        const auto may = [&](const Choice& choice, std::size_t Budget::*which) {
            if (left.*which == 0) return;
            Budget then = left;
            --(then.*which);
            all.emplace_back(choice, then);
        };
        for (const Choice& arrival : world.arrivals()) {
            all.emplace_back(arrival, left);
            may({.what = What::Lose, .at = arrival.at, .to = arrival.to}, &Budget::losses);
        }
        may({.what = What::Wait}, &Budget::waits);
        for (std::size_t node = 0; node < world.size(); ++node) {
            if (!world.is_running(node)) {
                may({.what = What::Restart, .at = node}, &Budget::restarts);
                continue;
            }
            may({.what = What::Submit, .at = node, .safe = left.submits % 2 == 0},
                &Budget::submits);
            may({.what = What::Crash, .at = node}, &Budget::crashes);
            may({.what = What::Cut, .at = node}, &Budget::cuts);
        }
        return all;
    }

    void judge(const World& world) {
        ++stories_;
        const std::size_t length = record_.trace.size();
        World last = world;
        last.end_well();
        const sim::Report report = sim::check(record_.trace);
        if (!report.empty()) tell(report);
        record_.trace.resize(length);
    }

    void tell(const sim::Report& report) {
        failed_ = true;
        std::printf("%s: a story breaks the rules\n", task_.name);
        for (const Choice& choice : chosen_)
            std::printf("  %s\n", to_text(choice).c_str());
        for (const sim::Violation& violation : report.violations())
            std::printf("rule %s: %s\n", violation.rule, violation.text.c_str());
        for (const sim::Entry& entry : record_.trace)
            std::printf("%s\n", sim::to_text(entry).c_str());
    }

    const Task& task_;
    std::size_t depth_;
    Record record_;
    std::vector<Choice> chosen_;
    std::size_t steps_ = 0;
    std::size_t stories_ = 0;
    bool failed_ = false;
};

int main(bool goes_deep) {
    bool is_clean = true;
    for (const Task& task : kTasks) {
        is_clean = Explorer(task, goes_deep ? task.long_depth : task.depth).run() && is_clean;
    }
    return is_clean ? 0 : 1;
}

}  // namespace
}  // namespace model

int main(int argc, char** argv) {
    const bool goes_deep = argc == 2 && std::string(argv[1]) == "--long";
    if (argc > 1 && !goes_deep) {
        std::fputs("usage: halo_model [--long]\n", stderr);
        return 2;
    }
    return model::main(goes_deep);
}
