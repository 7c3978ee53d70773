// What the machine itself gives, below which nothing that runs on it can be: datagrams to another
// host, bytes to and fro between two processes, and a copy in memory. Prints lines of JSON.
//
//   raw_limits udp-receive PORT | udp-send ADDRESS PORT SIZE SECONDS | local SECONDS
#include <arpa/inet.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kSegments = 44;  // Of 1,400 bytes in a super-packet.

[[noreturn]] void fail(const char* what) {
    std::perror(what);
    std::exit(1);
}

double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

int udp_socket() {
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    const int bytes = 8 << 20;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
    return fd;
}

// Counts what comes until a datagram of one byte; then says what it was.
void receive(const char* port) {
    const int fd = udp_socket();
    const int on = 1;
    (void)setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail("bind");
    std::puts("{\"ready\":1}");
    std::fflush(stdout);
    std::vector<std::byte> memory(65536);
    double bytes = 0;
    Clock::time_point first{};
    Clock::time_point last{};
    for (;;) {
        const ssize_t got = recv(fd, memory.data(), memory.size(), 0);
        if (got < 0) fail("recv");
        if (got == 1) break;
        last = Clock::now();
        if (bytes == 0) first = last;
        bytes += static_cast<double>(got);
    }
    const double took = std::chrono::duration<double>(last - first).count();
    std::printf("{\"bytes\":%.0f,\"seconds\":%.6f}\n", bytes, took);
}

void send_for(const char* host, const char* port, std::size_t size, double seconds) {
    const int fd = udp_socket();
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1) fail("address");
    if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) fail("connect");
    const int segment = static_cast<int>(size);
    if (setsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment) != 0) fail("UDP_SEGMENT");
    const std::size_t burst = std::min(kSegments, std::size_t{65000} / size) * size;
    const std::vector<std::byte> memory(burst);
    const auto begin = Clock::now();
    double sent = 0;
    while (seconds_since(begin) < seconds) {
        if (send(fd, memory.data(), memory.size(), 0) > 0) sent += static_cast<double>(burst);
    }
    for (int i = 0; i < 20; ++i) {
        (void)poll(nullptr, 0, 10);  // The receiver may be behind: one of these finds room.
        (void)send(fd, "", 1, 0);
    }
    std::printf("{\"bytes\":%.0f}\n", sent);
}

void ping_pong(double seconds) {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) != 0) fail("socketpair");
    const pid_t child = fork();
    std::array<char, 64> memory{};
    if (child == 0) {
        close(ends[0]);
        while (read(ends[1], memory.data(), memory.size()) > 0) {
            if (write(ends[1], memory.data(), memory.size()) < 0) break;
        }
        _exit(0);
    }
    close(ends[1]);
    std::vector<double> times;
    const auto begin = Clock::now();
    while (seconds_since(begin) < seconds) {
        const auto before = Clock::now();
        if (write(ends[0], memory.data(), memory.size()) < 0 ||
            read(ends[0], memory.data(), memory.size()) < 0) {
            fail("ping-pong");
        }
        times.push_back(seconds_since(before) * 1e6);
    }
    close(ends[0]);
    (void)waitpid(child, nullptr, 0);
    std::sort(times.begin(), times.end());
    std::printf("{\"round_trip_p50_us\":%.2f,\"round_trip_p99_us\":%.2f}\n",
                times[times.size() / 2], times[times.size() * 99 / 100]);
}

void copy_memory(double seconds) {
    const std::size_t size = std::size_t{8} << 20u;
    const std::vector<std::byte> from(size, std::byte{1});
    std::vector<std::byte> to(size);
    double bytes = 0;
    const auto begin = Clock::now();
    while (seconds_since(begin) < seconds) {
        std::memcpy(to.data(), from.data(), size);
        asm volatile("" : : "r"(to.data()) : "memory");
        bytes += static_cast<double>(size);
    }
    std::printf("{\"copy_mb_s\":%.1f}\n", bytes / seconds_since(begin) / 1e6);
}

}  // namespace

int main(int argc, char** argv) {
    const std::string what = argc > 1 ? argv[1] : "";
    if (what == "udp-receive" && argc == 3) {
        receive(argv[2]);
    } else if (what == "udp-send" && argc == 6) {
        send_for(argv[2], argv[3], std::stoul(argv[4]), std::stod(argv[5]));
    } else if (what == "local" && argc == 3) {
        ping_pong(std::stod(argv[2]));
        copy_memory(std::stod(argv[2]));
    } else {
        std::fprintf(stderr,
                     "usage: raw_limits udp-receive PORT | udp-send ADDRESS PORT SIZE SECONDS | "
                     "local SECONDS\n");
        return 2;
    }
    return 0;
}
