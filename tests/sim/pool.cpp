#include "tests/sim/pool.hpp"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <vector>

namespace sim {
namespace {

constexpr std::uint64_t kShare = 64;  // Seeds that a worker gets at a time.

struct Worker {
    pid_t pid = 0;
    int results = -1;
    std::uint64_t next = 0;  // The seed whose outcome comes next.
    std::uint64_t last = 0;
};

// In the worker's process: an Outcome (smaller than PIPE_BUF, hence whole) for each seed.
[[noreturn]] void work(const Worker& worker, const std::function<Plan(std::uint64_t)>& plan_of) {
    for (std::uint64_t seed = worker.next; seed <= worker.last; ++seed) {
        limit_processor_time();
        const Plan plan = plan_of(seed);
        const Outcome outcome = outcome_of(plan, run(plan));
        if (write(worker.results, &outcome, sizeof outcome) != ssize_t{sizeof outcome}) _exit(1);
    }
    _exit(0);
}

class Pool {
  public:
    Pool(std::uint64_t first, std::uint64_t last, const std::function<Plan(std::uint64_t)>& plan_of,
         const std::function<void(const Outcome&)>& done)
        : next_(first), last_(last), plan_of_(plan_of), done_(done) {}

    void run(std::size_t jobs) {
        while (true) {
            while (workers_.size() < jobs && next_ <= last_) {
                const std::uint64_t end = std::min(last_, next_ + kShare - 1);
                start(next_, end);
                next_ = end + 1;
            }
            if (workers_.empty()) return;
            wait();
        }
    }

  private:
    void start(std::uint64_t first, std::uint64_t last) {
        int ends[2];
        if (pipe(ends) != 0) {
            std::perror("pipe");
            std::exit(1);
        }
        std::fflush(nullptr);
        Worker worker{.pid = 0, .results = ends[1], .next = first, .last = last};
        const pid_t pid = fork();
        if (pid == 0) work(worker, plan_of_);
        close(ends[1]);
        worker.pid = pid;
        worker.results = ends[0];
        workers_.push_back(worker);
    }

    void wait() {
        std::vector<pollfd> ready;
        for (const Worker& worker : workers_) {
            ready.push_back({.fd = worker.results, .events = POLLIN, .revents = 0});
        }
        if (poll(ready.data(), ready.size(), -1) < 0) return;
        for (std::size_t i = ready.size(); i > 0; --i) {
            if (ready[i - 1].revents != 0) read_from(i - 1);
        }
    }

    void read_from(std::size_t index) {
        Worker& worker = workers_[index];
        Outcome outcome;
        if (read(worker.results, &outcome, sizeof outcome) == ssize_t{sizeof outcome}) {
            worker.next = outcome.seed + 1;
            done_(outcome);
            return;
        }
        close(worker.results);
        int status = 0;
        waitpid(worker.pid, &status, 0);
        const Worker ended = worker;
        workers_.erase(workers_.begin() + static_cast<std::ptrdiff_t>(index));
        if (ended.next > ended.last) return;
        Outcome lost;
        lost.seed = ended.next;
        lost.timed_out = WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF;
        lost.crashed = !lost.timed_out;
        done_(lost);
        if (ended.next < ended.last) start(ended.next + 1, ended.last);
    }

    std::uint64_t next_;
    std::uint64_t last_;
    const std::function<Plan(std::uint64_t)>& plan_of_;
    const std::function<void(const Outcome&)>& done_;
    std::vector<Worker> workers_;
};

}  // namespace

void run_all(std::uint64_t first, std::uint64_t last, std::size_t jobs,
             const std::function<Plan(std::uint64_t)>& plan_of,
             const std::function<void(const Outcome&)>& done) {
    Pool(first, last, plan_of, done).run(jobs);
}

}  // namespace sim
