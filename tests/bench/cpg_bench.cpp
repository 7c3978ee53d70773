// One member of the benchmark's group. It uses nothing but libcpg's ABI, so that one binary runs on
// Halo's library and on Corosync's; tests/bench/run tells it by lines on stdin what to do, and
// it answers each with a line of JSON.
//
//   flood PHASE SENDERS SENDS SIZE SECONDS       as fast as the library takes it
//   paced PHASE SENDERS SENDS SIZE SECONDS RATE  RATE messages a second
//   await MEMBERS   until the group has that many; since when that is so
//   ping  PHASE SENDERS SENDS SIZE COUNT PAUSE_US   one in flight, then a pause
//
// A phase ends when the end mark of each of its SENDERS has been delivered, so whatever was queued
// anywhere counts in the time.
#include <corosync/cpg.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr std::size_t kMessageBytesMin = 64;
// Own messages that may be under way: more than any engine's window, less than would fill memory.
constexpr std::uint64_t kOutstandingBytesMax = 16u << 20;
constexpr int kSendsBetweenDispatches = 64;

struct Header {
    std::uint32_t phase = 0;
    std::uint32_t is_end = 0;
    std::uint64_t seq = 0;
    std::int64_t sent_ns = 0;
};
static_assert(sizeof(Header) <= kMessageBytesMin);

std::int64_t now_ns() {
    return std::chrono::duration_cast<nanoseconds>(Clock::now().time_since_epoch()).count();
}

double cpu_seconds() {
    rusage usage{};
    (void)getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Phase {
    std::uint32_t number = 0;
    std::size_t ends_awaited = 0;
    std::size_t ends = 0;
    std::uint64_t delivered = 0;
    std::uint64_t bytes = 0;
    std::uint64_t own_delivered = 0;
    std::uint64_t out_of_order = 0;
    std::int64_t first_ns = 0;
    std::int64_t last_ns = 0;
    std::map<std::uint32_t, std::uint64_t>
        next_of;  // Of each sender's node: the seq that must come.
    std::vector<std::int64_t> own_latency;
    std::vector<std::int64_t> other_latency;
};

struct Member {
    cpg_handle_t handle = 0;
    cpg_name group{};
    int fd = -1;
    unsigned node = 0;
    std::size_t members = 0;
    std::int64_t members_since_ns = 0;
    bool keeps_latency = false;
    Phase phase;
    std::uint64_t sent = 0;
    std::uint64_t refused = 0;
    std::vector<std::byte> payload;
};

Member member;  // The callbacks of libcpg carry no pointer that both calls of initialize could set.

[[noreturn]] void give_up(const std::string& what, cs_error_t error) {
    std::fprintf(stderr, "cpg_bench: %s: error %d\n", what.c_str(), static_cast<int>(error));
    std::exit(1);
}

void on_message(cpg_handle_t /*handle*/, const cpg_name* /*group*/, std::uint32_t node,
                std::uint32_t /*pid*/, void* message, std::size_t size) {
    Header header;
    std::memcpy(&header, message, sizeof header);
    Phase& phase = member.phase;
    if (header.phase != phase.number) {
        return;
    }
    const std::int64_t now = now_ns();
    if (header.is_end != 0) {
        ++phase.ends;
        return;
    }
    std::uint64_t& next = phase.next_of[node];
    if (header.seq != next) {
        ++phase.out_of_order;
    }
    next = header.seq + 1;
    if (phase.delivered == 0) {
        phase.first_ns = now;
    }
    phase.last_ns = now;
    ++phase.delivered;
    phase.bytes += size;
    if (node == member.node) {
        ++phase.own_delivered;
    }
    if (member.keeps_latency) {
        (node == member.node ? phase.own_latency : phase.other_latency)
            .push_back(now - header.sent_ns);
    }
}

void on_membership(cpg_handle_t /*handle*/, const cpg_name* /*group*/, const cpg_address* /*list*/,
                   std::size_t members, const cpg_address* /*left*/, std::size_t /*left_entries*/,
                   const cpg_address* /*joined*/, std::size_t /*joined_entries*/) {
    member.members = members;
    member.members_since_ns = now_ns();
}

void wait_readable(nanoseconds at_most) {
    pollfd what{member.fd, POLLIN, 0};
    const timespec time{static_cast<time_t>(at_most.count() / 1'000'000'000),
                        static_cast<long>(at_most.count() % 1'000'000'000)};
    (void)ppoll(&what, 1, &time, nullptr);
}

void dispatch() {
    const cs_error_t error = cpg_dispatch(member.handle, CS_DISPATCH_ALL);
    if (error != CS_OK && error != CS_ERR_TRY_AGAIN) {
        give_up("dispatch", error);
    }
}

bool try_send(bool is_end, std::size_t size) {
    const Header header{member.phase.number, is_end ? 1u : 0u, member.sent, now_ns()};
    std::memcpy(member.payload.data(), &header, sizeof header);
    iovec vector{member.payload.data(), size};
    const cs_error_t error = cpg_mcast_joined(member.handle, CPG_TYPE_AGREED, &vector, 1);
    if (error == CS_OK) {
        member.sent += is_end ? 0 : 1;
        return true;
    }
    if (error != CS_ERR_TRY_AGAIN) {
        give_up("send", error);
    }
    ++member.refused;
    return false;
}

void send_end() {
    while (!try_send(true, kMessageBytesMin)) {
        dispatch();
        wait_readable(milliseconds(1));
    }
}

void await_all_ends() {
    while (member.phase.ends < member.phase.ends_awaited) {
        wait_readable(milliseconds(100));
        dispatch();
    }
}

bool may_send(std::size_t size) {
    return (member.sent - member.phase.own_delivered) * size < kOutstandingBytesMax;
}

void flood(std::size_t size, std::chrono::duration<double> length) {
    const auto until = Clock::now() + length;
    while (Clock::now() < until) {
        bool refused = !may_send(size);
        for (int i = 0; i < kSendsBetweenDispatches && !refused; ++i) {
            refused = !may_send(size) || !try_send(false, size);
            // A large message takes long: look at what came in after each.
            if (size >= 16384) {
                break;
            }
        }
        if (refused) {
            wait_readable(milliseconds(1));
        }
        dispatch();
    }
}

void paced(std::size_t size, std::chrono::duration<double> length, double rate) {
    const auto begin = Clock::now();
    const auto count = static_cast<std::uint64_t>(rate * length.count());
    for (std::uint64_t i = 0; i < count; ++i) {
        const auto due = begin + std::chrono::duration_cast<nanoseconds>(
                                     std::chrono::duration<double>(static_cast<double>(i) / rate));
        for (auto now = Clock::now(); now < due; now = Clock::now()) {
            wait_readable(due - now);
            dispatch();
        }
        while (!try_send(false, size)) {
            wait_readable(milliseconds(1));
            dispatch();
        }
    }
}

void ping(std::size_t size, std::uint64_t count, microseconds pause) {
    for (std::uint64_t i = 0; i < count; ++i) {
        while (!try_send(false, size)) {
            wait_readable(milliseconds(1));
            dispatch();
        }
        while (member.phase.own_delivered < member.sent) {
            wait_readable(milliseconds(100));
            dispatch();
        }
        for (auto until = Clock::now() + pause, now = Clock::now(); now < until;
             now = Clock::now()) {
            wait_readable(until - now);
            dispatch();
        }
    }
}

std::string latency_json(std::vector<std::int64_t>& all) {
    if (all.empty()) {
        return "null";
    }
    std::sort(all.begin(), all.end());
    const auto microseconds_at = [&all](double share) {
        const auto index = static_cast<std::size_t>(share * static_cast<double>(all.size() - 1));
        return static_cast<double>(all[index]) / 1000.0;
    };
    std::ostringstream text;
    text << "{\"n\":" << all.size() << ",\"p50\":" << microseconds_at(0.5)
         << ",\"p99\":" << microseconds_at(0.99) << ",\"max\":" << microseconds_at(1.0) << "}";
    return text.str();
}

void run(const std::string& line) {
    std::istringstream words(line);
    std::string kind;
    std::uint32_t number = 0;
    std::size_t senders = 0;
    bool sends = false;
    std::size_t size = 0;
    double amount = 0;
    double extra = 0;
    words >> kind >> number >> senders >> sends >> size >> amount >> extra;
    size = std::max(size, kMessageBytesMin);
    member.phase = Phase{};
    member.phase.number = number;
    member.phase.ends_awaited = senders;
    member.keeps_latency = kind != "flood";
    member.sent = 0;
    member.refused = 0;
    member.payload.assign(size, std::byte{0x5a});
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
        send_end();
    }
    await_all_ends();
    Phase& phase = member.phase;
    std::cout << "{\"phase\":" << number << ",\"node\":" << member.node
              << ",\"sent\":" << member.sent << ",\"refused\":" << member.refused
              << ",\"delivered\":" << phase.delivered << ",\"bytes\":" << phase.bytes
              << ",\"out_of_order\":" << phase.out_of_order
              << ",\"seconds\":" << static_cast<double>(phase.last_ns - phase.first_ns) / 1e9
              << ",\"client_cpu_s\":" << cpu_seconds() - cpu_before
              << ",\"own_us\":" << latency_json(phase.own_latency)
              << ",\"other_us\":" << latency_json(phase.other_latency) << "}" << std::endl;
}

void await_members(std::size_t count) {
    std::cout << "{\"awaiting\":" << count << "}" << std::endl;
    while (member.members != count) {
        wait_readable(milliseconds(100));
        dispatch();
    }
    std::cout << "{\"since_ns\":" << member.members_since_ns << "}" << std::endl;
}

void connect_and_join(const char* group) {
    cpg_callbacks_t callbacks{on_message, on_membership};
    const auto deadline = Clock::now() + std::chrono::seconds(30);
    cs_error_t error = CS_OK;
    while ((error = cpg_initialize(&member.handle, &callbacks)) != CS_OK) {
        if (Clock::now() > deadline) {
            give_up("initialize", error);
        }
        (void)poll(nullptr, 0, 20);
    }
    if ((error = cpg_local_get(member.handle, &member.node)) != CS_OK ||
        (error = cpg_fd_get(member.handle, &member.fd)) != CS_OK) {
        give_up("local_get or fd_get", error);
    }
    member.group.length = static_cast<std::uint32_t>(std::strlen(group));
    std::memcpy(member.group.value, group, member.group.length);
    while ((error = cpg_join(member.handle, &member.group)) == CS_ERR_TRY_AGAIN &&
           Clock::now() < deadline) {
        (void)poll(nullptr, 0, 20);
    }
    if (error != CS_OK) {
        give_up("join", error);
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: cpg_bench GROUP MEMBERS\n");
        return 2;
    }
    connect_and_join(argv[1]);
    const std::size_t expected = std::stoul(argv[2]);
    const auto deadline = Clock::now() + std::chrono::seconds(60);
    while (member.members < expected) {
        if (Clock::now() > deadline) {
            std::fprintf(stderr, "cpg_bench: %zu of %zu members\n", member.members, expected);
            return 1;
        }
        wait_readable(milliseconds(100));
        dispatch();
    }
    std::cout << "{\"ready\":" << member.node << "}" << std::endl;
    for (std::string line; std::getline(std::cin, line) && line != "quit";) {
        if (line.rfind("await ", 0) == 0) {
            await_members(std::stoul(line.substr(6)));
        } else {
            run(line);
        }
    }
    (void)cpg_finalize(member.handle);
    return 0;
}
