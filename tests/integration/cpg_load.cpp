// One member of a group under test: sends numbered messages at a rate and writes down all that
// happens to it, so that tests/integration/history.py can compare the members afterwards.
// It uses libcpg's ABI only and runs on any engine.
//
//   cpg_load GROUP LOG RATE BYTES_MIN BYTES_MAX [reconnect]
//
// Lines on stdin: "rate N", "drain" (stop sending; log D when all own messages came back), "leave".
// Lines of the log (t = CLOCK_MONOTONIC in ns, which all hosts of a lab share):
//   B t node pid life              connected; a life ends when the connection does
//   S seq                          a send returned OK
//   M node pid life seq bytes      delivered
//   C t members left joined        group membership; node:pid, in left and joined node:pid:reason
//   R t node seq nodes             ring id and its nodes
//   D t                            drained
//   X t error                      connection lost or refused
//   L t                            left in order: the log ends
//   V text                         something that must never happen
#include <corosync/cpg.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;

constexpr std::uint32_t kMagic = 0x6f6c6168;
constexpr int kSendsATurnMax = 256;

struct Header {
    std::uint32_t magic = kMagic;
    std::uint32_t pid = 0;
    std::uint32_t life = 0;
    std::uint32_t bytes = 0;
    std::uint64_t seq = 0;
};

struct Options {
    std::string group;
    double rate = 0;
    std::size_t bytes_min = sizeof(Header);
    std::size_t bytes_max = sizeof(Header);
    bool reconnects = false;
};

// The state of the one member that this program is; the callbacks of libcpg need it too.
struct Member {
    Options options;
    std::FILE* log = nullptr;
    cpg_handle_t handle = 0;
    int fd = -1;
    bool is_connected = false;
    unsigned node = 0;
    std::uint32_t life = 0;
    std::uint64_t next_seq = 0;
    std::uint64_t own_delivered = 0;
    bool is_joined = false;
    bool is_draining = false;
    bool is_drained = false;
    bool is_leaving = false;
    std::vector<unsigned char> payload;
};

Member me;

long long now_ns() {
    return std::chrono::duration_cast<nanoseconds>(Clock::now().time_since_epoch()).count();
}

// Content that depends on the place, so that a piece out of place shows.
unsigned char content(std::uint64_t seq, std::size_t index) {
    return static_cast<unsigned char>((seq * 131) ^ (index * 7) ^ (index >> 8));
}

std::size_t bytes_of(std::uint64_t seq) {
    const std::size_t span = me.options.bytes_max - me.options.bytes_min + 1;
    return me.options.bytes_min + static_cast<std::size_t>((seq * 2654435761u) >> 7) % span;
}

void on_message(cpg_handle_t /*handle*/, const cpg_name* /*group*/, std::uint32_t node,
                std::uint32_t pid, void* message, std::size_t size) {
    Header header;
    if (size < sizeof header) {
        std::fprintf(me.log, "V message of %zu bytes from %u:%u\n", size, node, pid);
        return;
    }
    std::memcpy(&header, message, sizeof header);
    const auto* bytes = static_cast<const unsigned char*>(message);
    bool is_whole = header.magic == kMagic && header.bytes == size && header.pid == pid;
    for (std::size_t i = sizeof header; is_whole && i < size; ++i) {
        is_whole = bytes[i] == content(header.seq, i);
    }
    if (!is_whole) {
        std::fprintf(me.log, "V damaged message of %zu bytes from %u:%u\n", size, node, pid);
        return;
    }
    std::fprintf(me.log, "M %u %u %u %llu %zu\n", node, pid, header.life,
                 static_cast<unsigned long long>(header.seq), size);
    if (node == me.node && pid == static_cast<std::uint32_t>(getpid()) && header.life == me.life) {
        me.own_delivered = header.seq + 1;
    }
}

void write_list(const cpg_address* list, std::size_t entries, bool with_reason) {
    std::fputc(' ', me.log);
    if (entries == 0) {
        std::fputc('-', me.log);
    }
    for (std::size_t i = 0; i < entries; ++i) {
        std::fprintf(me.log, i == 0 ? "%u:%u" : ",%u:%u", list[i].nodeid, list[i].pid);
        if (with_reason) {
            std::fprintf(me.log, ":%u", list[i].reason);
        }
    }
}

void on_membership(cpg_handle_t /*handle*/, const cpg_name* /*group*/, const cpg_address* members,
                   std::size_t member_entries, const cpg_address* left, std::size_t left_entries,
                   const cpg_address* joined, std::size_t joined_entries) {
    std::fprintf(me.log, "C %lld", now_ns());
    write_list(members, member_entries, false);
    write_list(left, left_entries, true);
    write_list(joined, joined_entries, true);
    std::fputc('\n', me.log);
    for (std::size_t i = 0; i < joined_entries; ++i) {
        me.is_joined = me.is_joined || (joined[i].nodeid == me.node &&
                                        joined[i].pid == static_cast<std::uint32_t>(getpid()));
    }
}

void on_ring(cpg_handle_t /*handle*/, cpg_ring_id ring, std::uint32_t entries,
             const std::uint32_t* nodes) {
    std::fprintf(me.log, "R %lld %u %llu ", now_ns(), ring.nodeid,
                 static_cast<unsigned long long>(ring.seq));
    for (std::uint32_t i = 0; i < entries; ++i) {
        std::fprintf(me.log, i == 0 ? "%u" : ",%u", nodes[i]);
    }
    std::fputc('\n', me.log);
}

void lose(cs_error_t error) {
    std::fprintf(me.log, "X %lld %d\n", now_ns(), static_cast<int>(error));
    if (me.is_connected) {
        (void)cpg_finalize(me.handle);
    }
    me.is_connected = false;
    me.is_joined = false;
}

// Connected and asked to join, or not yet: the daemon may still be starting.
bool try_connect() {
    cpg_model_v1_data_t model{};
    model.model = CPG_MODEL_V1;
    model.cpg_deliver_fn = on_message;
    model.cpg_confchg_fn = on_membership;
    model.cpg_totem_confchg_fn = on_ring;
    model.flags = CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF;
    auto* data = reinterpret_cast<cpg_model_data_t*>(&model);
    if (cpg_model_initialize(&me.handle, CPG_MODEL_V1, data, nullptr) != CS_OK) {
        return false;
    }
    cpg_name group{};
    group.length = static_cast<std::uint32_t>(me.options.group.size());
    std::memcpy(group.value, me.options.group.data(), me.options.group.size());
    if (cpg_local_get(me.handle, &me.node) != CS_OK || cpg_fd_get(me.handle, &me.fd) != CS_OK ||
        cpg_join(me.handle, &group) != CS_OK) {
        (void)cpg_finalize(me.handle);
        return false;
    }
    me.is_connected = true;
    ++me.life;
    me.next_seq = 0;
    me.own_delivered = 0;
    std::fprintf(me.log, "B %lld %u %d %u\n", now_ns(), me.node, getpid(), me.life);
    return true;
}

bool try_send() {
    const std::size_t bytes = bytes_of(me.next_seq);
    me.payload.resize(bytes);
    const Header header{kMagic, static_cast<std::uint32_t>(getpid()), me.life,
                        static_cast<std::uint32_t>(bytes), me.next_seq};
    std::memcpy(me.payload.data(), &header, sizeof header);
    for (std::size_t i = sizeof header; i < bytes; ++i) {
        me.payload[i] = content(me.next_seq, i);
    }
    iovec vector{me.payload.data(), bytes};
    const cs_error_t error = cpg_mcast_joined(me.handle, CPG_TYPE_AGREED, &vector, 1);
    if (error == CS_OK) {
        std::fprintf(me.log, "S %llu\n", static_cast<unsigned long long>(me.next_seq));
        ++me.next_seq;
        return true;
    }
    // INTERRUPT: the members changed amid a message in pieces, which is then dropped everywhere.
    if (error != CS_ERR_TRY_AGAIN && error != CS_ERR_INTERRUPT) {
        lose(error);
    }
    return false;
}

// Commands that have arrived whole; false when stdin is closed.
bool read_commands() {
    static std::string buffer;
    std::array<char, 256> bytes{};
    const ssize_t got = read(STDIN_FILENO, bytes.data(), bytes.size());
    if (got <= 0) {
        return false;
    }
    buffer.append(bytes.data(), static_cast<std::size_t>(got));
    for (std::size_t end = buffer.find('\n'); end != std::string::npos; end = buffer.find('\n')) {
        const std::string line = buffer.substr(0, end);
        buffer.erase(0, end + 1);
        if (line.rfind("rate ", 0) == 0) {
            me.options.rate = std::stod(line.substr(5));
            me.is_draining = false;
        } else if (line == "drain") {
            me.is_draining = true;
            me.is_drained = false;
        } else if (line == "leave") {
            me.is_leaving = true;
        }
    }
    return true;
}

void run() {
    auto next_send = Clock::now();
    while (!me.is_leaving) {
        if (!me.is_connected && !try_connect()) {
            if (!me.options.reconnects && me.life > 0) {
                return;
            }
        }
        int wait_ms = me.is_connected ? 100 : 10;
        const bool sends = me.is_joined && !me.is_draining && me.options.rate > 0;
        if (sends) {
            const auto until =
                std::chrono::duration_cast<std::chrono::milliseconds>(next_send - Clock::now());
            wait_ms =
                until.count() < 0 ? 0 : static_cast<int>(std::min<long>(until.count() + 1, 100));
        }
        std::array<pollfd, 2> fds{pollfd{STDIN_FILENO, POLLIN, 0},
                                  pollfd{me.is_connected ? me.fd : -1, POLLIN, 0}};
        (void)poll(fds.data(), fds.size(), wait_ms);
        if (fds[0].revents != 0 && !read_commands()) {
            me.is_leaving = true;
        }
        if (fds[1].revents != 0) {
            const cs_error_t error = cpg_dispatch(me.handle, CS_DISPATCH_ALL);
            if (error != CS_OK && error != CS_ERR_TRY_AGAIN) {
                lose(error);
            }
        }
        if (sends && me.is_connected) {
            const auto now = Clock::now();
            if (now - next_send > std::chrono::seconds(1)) {
                next_send = now;  // What could not be sent during a pause is not made up for.
            }
            int sent = 0;
            while (me.is_connected && next_send <= now && sent++ < kSendsATurnMax) {
                if (!try_send()) {
                    (void)poll(nullptr, 0, me.is_connected ? 1 : 0);
                    break;
                }
                next_send += std::chrono::duration_cast<nanoseconds>(
                    std::chrono::duration<double>(1.0 / me.options.rate));
            }
        } else {
            next_send = Clock::now();
        }
        if (me.is_draining && !me.is_drained && me.is_connected &&
            me.own_delivered == me.next_seq) {
            std::fprintf(me.log, "D %lld\n", now_ns());
            me.is_drained = true;
        }
        std::fflush(me.log);
    }
    if (me.is_connected) {
        cpg_name group{};
        group.length = static_cast<std::uint32_t>(me.options.group.size());
        std::memcpy(group.value, me.options.group.data(), me.options.group.size());
        (void)cpg_leave(me.handle, &group);
        (void)cpg_finalize(me.handle);
    }
    std::fprintf(me.log, "L %lld\n", now_ns());
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 6) {
        std::fprintf(stderr, "usage: cpg_load GROUP LOG RATE BYTES_MIN BYTES_MAX [reconnect]\n");
        return 2;
    }
    me.options.group = argv[1];
    me.options.rate = std::stod(argv[3]);
    me.options.bytes_min = std::max(std::stoul(argv[4]), sizeof(Header));
    me.options.bytes_max = std::max<std::size_t>(std::stoul(argv[5]), me.options.bytes_min);
    me.options.reconnects = argc > 6 && std::string(argv[6]) == "reconnect";
    me.log = std::fopen(argv[2], "we");
    if (me.log == nullptr) {
        std::perror(argv[2]);
        return 1;
    }
    std::setvbuf(me.log, nullptr, _IOFBF, 1 << 20);
    run();
    std::fclose(me.log);
    return 0;
}
