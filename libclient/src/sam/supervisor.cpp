#include "libclient/src/sam/supervisor.hpp"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <new>

namespace sam {
namespace {

// A warned worker of a process without an interval has this long.
constexpr std::chrono::milliseconds kAfterWarning{1000};
// How often a daemon that is gone is looked for.
constexpr std::chrono::milliseconds kReconnect{1000};

}  // namespace

cs_error_t Supervisor::connect() {
    if (settings_.needs_quorum) {
        if (const cs_error_t failed = quorum_.open(); failed != CS_OK) return failed;
    }
    return settings_.has_keys ? keys_.open() : CS_OK;
}

base::Expected<os::UniqueFd, cs_error_t> Supervisor::run() {
    for (;;) {
        settings_.life = settings_.life == INT_MAX ? 0 : settings_.life + 1;
        auto forked = fork_worker();
        // Without a first worker the caller may go on as it was; without a later one it has failed.
        if (!forked && settings_.life == 1) return base::fail(forked.error());
        if (!forked) std::exit(EXIT_FAILURE);
        if (*forked) return std::move(**forked);
        const int status = watch();
        if (!is_to_be_restarted()) std::exit(WIFEXITED(status) ? WEXITSTATUS(status) : 0);
    }
}

base::Expected<std::optional<os::UniqueFd>, cs_error_t> Supervisor::fork_worker() {
    auto ends = connected_ends();
    if (!ends) return base::fail(CS_ERR_LIBRARY);
    const pid_t child = ::fork();
    if (child < 0) return base::fail(CS_ERR_LIBRARY);
    if (child == 0) {
        // The supervisor of the life before is a copy that nobody runs any more.
        commands_.reset();
        process_.reset();
        return std::optional(std::move(ends->worker));
    }
    worker_ = child;
    commands_ = std::move(ends->supervisor);
    process_ = os::UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
    phase_ = Phase::Idle;
    was_running_ = is_warned_ = false;
    deadline_.reset();
    keys_.begin(child, settings_.restarts ? "restart" : "quit",
                static_cast<std::uint64_t>(settings_.interval.count()));
    return std::optional<os::UniqueFd>();
}

bool Supervisor::is_to_be_restarted() const {
    return was_running_ && settings_.restarts && !is_beyond_help_;
}

int Supervisor::watch() {
    for (;;) {
        std::array<pollfd, 3> watched{pollfd{.fd = process_.get(), .events = POLLIN, .revents = 0},
                                      pollfd{.fd = commands_.get(), .events = POLLIN, .revents = 0},
                                      pollfd{.fd = quorum_.fd(), .events = POLLIN, .revents = 0}};
        const int ready = ::poll(watched.data(), watched.size(), wait_ms());
        if (ready < 0 && errno != EINTR) kill_worker();
        // What it said last counts: before its end.
        if (watched[1].revents != 0) hear();
        if (watched[0].revents != 0 || (process_.get() < 0 && !commands_.is_open())) {
            int status = 0;
            while (::waitpid(worker_, &status, 0) < 0 && errno == EINTR) {
            }
            was_running_ = was_running_ || phase_ == Phase::Running;
            // Where the end is a failure that nobody mends, the keys stay: a watchdog acts on them.
            if (!was_running_) keys_.remove();
            return status;
        }
        if (settings_.needs_quorum && (watched[2].revents != 0 || !quorum_.is_open()))
            look_at_quorum();
        pass_deadline();
    }
}

void Supervisor::hear() {
    Message message;
    if (!receive_all(commands_.get(), &message, sizeof(message))) {
        commands_.reset();  // It has ended, or closed what it should not.
        return;
    }
    const cs_error_t result = obey(message);
    // A start is answered when there is quorum.
    if (has_answer(message.command) && message.command != Command::Start) answer(result);
}

cs_error_t Supervisor::obey(const Message& message) {
    switch (message.command) {
        case Command::Healthy:
            if (phase_ == Phase::Running && !is_warned_ && deadline_)
                deadline_ = Clock::now() + settings_.interval;
            keys_.set_healthy();
            return CS_OK;
        case Command::Unhealthy:
            if (phase_ == Phase::Running && !is_warned_) warn_or_kill();
            return CS_OK;
        case Command::Start:
            phase_ = Phase::WaitingForQuorum;
            keys_.set_state("waiting for quorum");
            look_at_quorum();
            return CS_OK;
        case Command::Stop:
        case Command::Finalize:
            phase_ = message.command == Command::Stop ? Phase::Idle : Phase::Finalized;
            deadline_.reset();
            if (phase_ == Phase::Finalized) {
                keys_.remove();
            } else {
                keys_.set_state("stopped");
            }
            return CS_OK;
        case Command::WarnSignal:
            settings_.warn_signal = static_cast<int>(message.value);
            return CS_OK;
        case Command::StoreData:
            // The worker has the same memory free that it asks for; without it we lose the socket's
            // place, and with it the worker.
            settings_.data.resize(message.value);
            return receive_all(commands_.get(), settings_.data.data(), settings_.data.size())
                       ? CS_OK
                       : CS_ERR_LIBRARY;
        case Command::MarkFailed:
            keys_.set_state("failed");
            is_beyond_help_ = was_running_ = true;
            kill_worker();
            return CS_OK;
    }
    return CS_ERR_LIBRARY;
}

void Supervisor::answer(cs_error_t result) {
    const auto value = static_cast<std::uint32_t>(result);
    (void)send_all(commands_.get(), &value, sizeof(value));  // Its end is seen by poll().
}

void Supervisor::look_at_quorum() {
    if (settings_.needs_quorum) quorum_.dispatch();
    const bool is_allowed = !settings_.needs_quorum || quorum_.is_quorate();
    if (phase_ == Phase::WaitingForQuorum && is_allowed) {
        phase_ = Phase::Running;
        keys_.set_state("running");
        if (settings_.interval.count() > 0) deadline_ = Clock::now() + settings_.interval;
        answer(CS_OK);
    } else if (phase_ == Phase::Running && !is_allowed && !is_warned_) {
        warn_or_kill();
    }
}

void Supervisor::pass_deadline() {
    if (deadline_ && Clock::now() >= *deadline_) warn_or_kill();
}

void Supervisor::warn_or_kill() {
    if (is_warned_ || settings_.warn_signal == SIGKILL) return kill_worker();
    is_warned_ = true;
    was_running_ = true;
    // It is our child and not waited for: the number is its own.
    (void)::kill(worker_, settings_.warn_signal);
    deadline_ =
        Clock::now() + (settings_.interval.count() > 0 ? settings_.interval : kAfterWarning);
}

void Supervisor::kill_worker() {
    was_running_ = was_running_ || phase_ == Phase::Running;
    (void)::kill(worker_, SIGKILL);
    deadline_.reset();
}

int Supervisor::wait_ms() const {
    std::optional<std::chrono::milliseconds> wait;
    if (deadline_) {
        wait = std::max(std::chrono::ceil<std::chrono::milliseconds>(*deadline_ - Clock::now()),
                        std::chrono::milliseconds(0));
    }
    // Without a pidfd, or a daemon, there is nothing to be woken by.
    const bool is_blind = (settings_.needs_quorum && !quorum_.is_open());
    if (is_blind) wait = wait ? std::min(*wait, kReconnect) : kReconnect;
    return wait ? static_cast<int>(wait->count()) : -1;
}

}  // namespace sam
