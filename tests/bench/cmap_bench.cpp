// What the keys of a node cost, by the public header alone, so that the same program runs on
// Corosync's library and on ours: sets, gets and counts a second, how long a tracker waits for a
// change, connections a second. One JSON object on standard output.
#include <corosync/cmap.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

void must(cs_error_t error, const char* what) {
    if (error == CS_OK) return;
    std::fprintf(stderr, "cmap_bench: %s: error %d\n", what, static_cast<int>(error));
    std::exit(1);
}

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

// How often `work` is done a second, over about `seconds`.
template <class Work>
double rate(double seconds, Work work) {
    const auto start = Clock::now();
    long done = 0;
    while (seconds_since(start) < seconds) {
        for (int i = 0; i < 100; ++i) {
            work(done++);
        }
    }
    return static_cast<double>(done) / seconds_since(start);
}

int heard = 0;
void hear(cmap_handle_t, cmap_track_handle_t, std::int32_t, const char*, cmap_notify_value,
          cmap_notify_value, void*) {
    ++heard;
}

struct Latency {
    double p50 = 0;
    double p99 = 0;
};

// From before the set to after the callback, by another handle, in µs.
Latency notification(cmap_handle_t setter, int count) {
    cmap_handle_t listener = 0;
    must(cmap_initialize(&listener), "initialize");
    cmap_track_handle_t track = 0;
    must(cmap_track_add(listener, "bench.told", CMAP_TRACK_MODIFY | CMAP_TRACK_ADD, hear, nullptr,
                        &track),
         "track_add");
    int fd = -1;
    must(cmap_fd_get(listener, &fd), "fd_get");
    std::vector<double> times;
    for (int i = 0; i < count; ++i) {
        const auto start = Clock::now();
        must(cmap_set_uint64(setter, "bench.told", static_cast<std::uint64_t>(i)), "set");
        pollfd watched{.fd = fd, .events = POLLIN, .revents = 0};
        if (::poll(&watched, 1, 10'000) != 1) must(CS_ERR_TIMEOUT, "a notification");
        must(cmap_dispatch(listener, CS_DISPATCH_ONE), "dispatch");
        times.push_back(seconds_since(start) * 1e6);
    }
    must(cmap_finalize(listener), "finalize");
    std::ranges::sort(times);
    return {.p50 = times[times.size() / 2], .p99 = times[times.size() * 99 / 100]};
}

// With arguments `hold N`: N connections, until standard input ends; for who measures the daemon.
int hold(int count) {
    std::vector<cmap_handle_t> handles(static_cast<std::size_t>(count));
    for (cmap_handle_t& handle : handles) {
        must(cmap_initialize(&handle), "initialize");
    }
    std::puts("held");
    (void)std::fflush(stdout);
    char byte = 0;
    while (::read(0, &byte, 1) > 0) {
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 3 && std::string(argv[1]) == "hold") return hold(std::atoi(argv[2]));
    const double seconds = argc > 1 ? std::atof(argv[1]) : 2;
    cmap_handle_t handle = 0;
    must(cmap_initialize(&handle), "initialize");
    std::vector<std::string> names;
    for (int i = 0; i < 1000; ++i) {
        names.push_back("bench.key." + std::to_string(i));
        must(cmap_set_uint64(handle, names.back().c_str(), 0), "set");
    }
    const auto name = [&](long i) {
        return names[static_cast<std::size_t>(i) % names.size()].c_str();
    };
    const double sets = rate(seconds, [&](long i) {
        must(cmap_set_uint64(handle, name(i), static_cast<std::uint64_t>(i)), "set");
    });
    const double gets = rate(seconds, [&](long i) {
        std::uint64_t value = 0;
        must(cmap_get_uint64(handle, name(i), &value), "get");
    });
    const double incs = rate(seconds, [&](long i) { must(cmap_inc(handle, name(i)), "inc"); });
    const double connections = rate(seconds, [&](long) {
        cmap_handle_t one = 0;
        must(cmap_initialize(&one), "initialize");
        must(cmap_finalize(one), "finalize");
    });
    const Latency told = notification(handle, 2000);
    std::printf(
        "{\"sets_s\": %.0f, \"gets_s\": %.0f, \"incs_s\": %.0f, \"connections_s\": %.0f, "
        "\"told_p50_us\": %.0f, \"told_p99_us\": %.0f}\n",
        sets, gets, incs, connections, told.p50, told.p99);
    (void)cmap_finalize(handle);
    return 0;
}
