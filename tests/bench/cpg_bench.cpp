// One member of the benchmark's group. It uses nothing but libcpg's ABI, so that one binary runs on
// Halo's library and on Corosync's; tests/bench/run tells it by lines on stdin what to do, and
// it answers each with a line of JSON.
//
//   flood PHASE ENDS SENDS SAFE SIZE SECONDS        as fast as the library takes it
//   paced PHASE ENDS SENDS SAFE SIZE SECONDS RATE   RATE messages a second
//   ping  PHASE ENDS SENDS SAFE SIZE COUNT PAUSE_US one in flight, then a pause
//     answers {"armed"}, starts at the line "go", ends when the end marks of ENDS members have
//     been delivered, so whatever was queued anywhere counts in the time
//   pulse PAUSE_US    sends until a line `until N` or `stop` comes; with the first, on until the
//     ring has N nodes and messages sent in it came back
//   members N         until the group has that many
//   connect SECONDS   opens and closes sessions
//   churn SECONDS GROUP   a second handle joins and leaves the group again and again
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <sstream>

#include "tests/bench/member.hpp"

namespace bench {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// Own messages that may be under way: more than any engine's window, less than would fill memory.
constexpr std::uint64_t kOutstandingBytesMax = 16u << 20;
constexpr int kSendsBetweenDispatches = 64;
constexpr std::size_t kEndBytes = 64;
constexpr std::uint64_t kPulsesToWork = 5;

double cpu_seconds() {
    rusage usage{};
    (void)getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void begin_phase(std::uint32_t number, std::size_t size, bool keeps_latency, bool is_safe) {
    member.phase = Phase{};
    member.phase.number = number;
    member.phase.keeps_latency = keeps_latency;
    member.sent = 0;
    member.refused = 0;
    member.guarantee = is_safe ? CPG_TYPE_SAFE : CPG_TYPE_AGREED;
    member.payload.assign(std::max(size, kEndBytes), std::byte{0x5a});
}

bool may_send(std::size_t size) {
    return (member.sent - member.phase.own_delivered) * size < kOutstandingBytesMax;
}

void flood(std::size_t size, std::chrono::duration<double> length) {
    const auto until = Clock::now() + length;
    while (Clock::now() < until) {
        bool refused = !may_send(size);
        for (int i = 0; i < kSendsBetweenDispatches && !refused; ++i) {
            refused = !may_send(size) || !member.try_send(false, size, 0);
            // A large message takes long: look at what came in after each.
            if (size >= 16384) break;
        }
        if (refused) member.wait(milliseconds(1));
        member.dispatch();
    }
}

// A message is as old as it is late: what an engine that stalls makes wait counts. Who is late goes
// on taking what comes in.
void paced(std::size_t size, std::chrono::duration<double> length, double rate) {
    const auto begin = Clock::now();
    int late = 0;
    const auto count = static_cast<std::uint64_t>(rate * length.count());
    for (std::uint64_t i = 0; i < count; ++i) {
        const auto due = begin + std::chrono::duration_cast<nanoseconds>(
                                     std::chrono::duration<double>(static_cast<double>(i) / rate));
        for (auto now = Clock::now(); now < due; now = Clock::now()) {
            member.wait(due - now);
            member.dispatch();
            late = 0;
        }
        member.send(false, size, due.time_since_epoch().count());
        if (++late % kSendsBetweenDispatches == 0) member.dispatch();
    }
}

void ping(std::size_t size, std::uint64_t count, microseconds pause) {
    for (std::uint64_t i = 0; i < count; ++i) {
        member.send(false, size, now_ns());
        while (member.phase.own_delivered < member.sent) {
            member.wait(milliseconds(100));
            member.dispatch();
        }
        for (auto until = Clock::now() + pause, now = Clock::now(); now < until;
             now = Clock::now()) {
            member.wait(until - now);
            member.dispatch();
        }
    }
}

std::string latency_json(std::vector<std::int64_t>& all) {
    if (all.empty()) return "null";
    std::sort(all.begin(), all.end());
    std::ostringstream text;
    text << "{\"n\":" << all.size();
    const auto add = [&](const char* name, double share) {
        const auto index = static_cast<std::size_t>(share * static_cast<double>(all.size() - 1));
        text << ",\"" << name << "\":" << static_cast<double>(all[index]) / 1000.0;
    };
    add("p50", 0.5);
    add("p90", 0.9);
    add("p99", 0.99);
    add("p999", 0.999);
    add("max", 1.0);
    text << "}";
    return text.str();
}

void run_phase(const std::string& kind, std::istringstream& words) {
    std::uint32_t number = 0;
    std::size_t ends = 0;
    bool sends = false;
    bool is_safe = false;
    std::size_t size = 0;
    double amount = 0;
    double extra = 0;
    words >> number >> ends >> sends >> is_safe >> size >> amount >> extra;
    begin_phase(number, size, kind != "flood", is_safe);
    const double cpu_before = cpu_seconds();
    // All members know of the phase before the first message: each answers, the harness then says
    // go.
    std::cout << "{\"armed\":" << number << "}" << std::endl;
    std::string go;
    std::getline(std::cin, go);
    if (sends) {
        if (kind == "flood") {
            flood(size, std::chrono::duration<double>(amount));
        } else if (kind == "paced") {
            paced(size, std::chrono::duration<double>(amount), extra);
        } else {
            ping(size, static_cast<std::uint64_t>(amount), microseconds(static_cast<long>(extra)));
        }
        member.send(true, kEndBytes, 0);
    }
    Phase& phase = member.phase;
    while (phase.ends < ends) {
        member.wait(milliseconds(100));
        member.dispatch();
    }
    std::cout << "{\"node\":" << member.node << ",\"sent\":" << member.sent
              << ",\"refused\":" << member.refused << ",\"delivered\":" << phase.delivered
              << ",\"bytes\":" << phase.bytes << ",\"out_of_order\":" << phase.out_of_order
              << ",\"seconds\":" << static_cast<double>(phase.last_ns - phase.first_ns) / 1e9
              << ",\"longest_gap_ms\":" << static_cast<double>(phase.longest_gap_ns) / 1e6
              << ",\"client_cpu_s\":" << cpu_seconds() - cpu_before
              << ",\"own_us\":" << latency_json(phase.own_latency)
              << ",\"other_us\":" << latency_json(phase.other_latency) << "}" << std::endl;
}

// The line that ends the pulse, as soon as it is there.
bool read_order(std::string& line) {
    pollfd input{STDIN_FILENO, POLLIN, 0};
    return poll(&input, 1, 0) > 0 && std::getline(std::cin, line).good();
}

void pulse(microseconds pause) {
    begin_phase(UINT32_MAX, kEndBytes, true, false);
    member.ring_changes = 0;
    member.ring_smallest = member.ring;
    std::size_t wanted_ring = 0;
    std::uint64_t works_from = 0;
    std::cout << "{\"pulsing\":" << member.ring << "}" << std::endl;
    auto due = Clock::now();
    for (std::string order;;) {
        if (wanted_ring == 0 && read_order(order)) {
            if (order.rfind("until ", 0) != 0) break;
            wanted_ring = std::stoul(order.substr(6));
        }
        if (Clock::now() >= due) {
            (void)member.try_send(false, kEndBytes, now_ns());
            due = std::max(due + pause, Clock::now());
        }
        member.wait(std::max<nanoseconds>(due - Clock::now(), nanoseconds(1)));
        member.dispatch();
        if (wanted_ring == 0) continue;
        if (member.ring != wanted_ring) {
            works_from = 0;
        } else if (works_from == 0) {
            works_from = member.sent + 1;
        } else if (member.phase.own_seq >= works_from + kPulsesToWork) {
            break;
        }
    }
    std::cout << "{\"since_ns\":" << member.ring_since_ns
              << ",\"works_ns\":" << member.phase.last_ns << ",\"ring\":" << member.ring
              << ",\"ring_changes\":" << member.ring_changes
              << ",\"ring_smallest\":" << member.ring_smallest << ",\"sent\":" << member.sent
              << ",\"own_delivered\":" << member.phase.own_delivered
              << ",\"longest_gap_ms\":" << static_cast<double>(member.phase.longest_gap_ns) / 1e6
              << ",\"own_us\":" << latency_json(member.phase.own_latency) << "}" << std::endl;
}

void await_members(std::size_t count) {
    while (member.members != count) {
        member.wait(milliseconds(100));
        member.dispatch();
    }
    std::cout << "{\"members\":" << count << "}" << std::endl;
}

// Sessions that nobody else sees, in turn.
void connect_for(double seconds) {
    const auto begin = Clock::now();
    const auto until = begin + std::chrono::duration<double>(seconds);
    std::uint64_t count = 0;
    for (; Clock::now() < until; ++count) {
        cpg_handle_t handle = 0;
        cs_error_t error = CS_OK;
        while ((error = initialize(handle)) == CS_ERR_TRY_AGAIN)
            (void)poll(nullptr, 0, 1);
        if (error != CS_OK) give_up("initialize", error);
        if ((error = cpg_finalize(handle)) != CS_OK) give_up("finalize", error);
    }
    const std::chrono::duration<double> took = Clock::now() - begin;
    std::cout << "{\"connections\":" << count << ",\"seconds\":" << took.count() << "}"
              << std::endl;
}

void churn(double seconds, const std::string& group) {
    const auto until = Clock::now() + std::chrono::duration<double>(seconds);
    cpg_name name = name_of(group);
    std::uint64_t joins = 0;
    const auto patiently = [](const char* what, auto call) {
        for (cs_error_t error; (error = call()) != CS_OK; (void)poll(nullptr, 0, 1)) {
            if (error != CS_ERR_TRY_AGAIN) give_up(what, error);
        }
    };
    // A group has each process once: this one's own handle must not be in it.
    cpg_handle_t handle = 0;
    patiently("initialize", [&] { return initialize(handle); });
    for (; Clock::now() < until; ++joins) {
        patiently("join", [&] { return cpg_join(handle, &name); });
        patiently("leave", [&] { return cpg_leave(handle, &name); });
        (void)cpg_dispatch(handle, CS_DISPATCH_ALL);
    }
    (void)cpg_finalize(handle);
    std::cout << "{\"joins\":" << joins << "}" << std::endl;
}

void obey(const std::string& line) {
    std::istringstream words(line);
    std::string kind;
    words >> kind;
    double amount = 0;
    if (kind == "flood" || kind == "paced" || kind == "ping") {
        run_phase(kind, words);
    } else if (kind == "pulse") {
        words >> amount;
        pulse(microseconds(static_cast<long>(amount)));
    } else if (kind == "members") {
        words >> amount;
        await_members(static_cast<std::size_t>(amount));
    } else if (kind == "connect") {
        words >> amount;
        connect_for(amount);
    } else if (kind == "churn") {
        std::string group;
        words >> amount >> group;
        churn(amount, group);
    } else {
        std::fprintf(stderr, "cpg_bench: unknown order %s\n", line.c_str());
        std::exit(2);
    }
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
    using bench::member;
    if (argc != 2) {
        std::fprintf(stderr, "usage: cpg_bench GROUP\n");
        return 2;
    }
    bench::connect_and_join(argv[1]);
    while (member.members == 0 || member.ring == 0) {
        member.wait(std::chrono::milliseconds(100));
        member.dispatch();
    }
    std::cout << "{\"ready\":" << member.node << "}" << std::endl;
    for (std::string line; std::getline(std::cin, line) && line != "quit";) {
        bench::obey(line);
    }
    (void)cpg_finalize(member.handle);
    return 0;
}
