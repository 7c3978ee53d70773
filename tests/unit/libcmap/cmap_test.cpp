// libcmap as a program of Corosync's uses it.
#include "corosync/cmap.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <atomic>
#include <cstring>
#include <map>
#include <string>
#include <thread>

#include "tests/unit/libcmap/one_node_cmapd.hpp"

namespace {

constexpr int kDeadlineMs = 20'000;

// A number that a C program may pass, and that no enumerator has.
template <class Enum>
Enum out_of_range(int number) {
    Enum value{};
    std::memcpy(&value, &number, sizeof(value));
    return value;
}

struct Heard {
    std::int32_t event = 0;
    std::string key;
    cmap_notify_value now{};
    cmap_notify_value before{};
    std::string bytes;
};
struct Listener {
    std::vector<Heard> heard;
    cmap_handle_t handle = 0;
    bool ends_itself = false;
};

void hear(cmap_handle_t handle, cmap_track_handle_t track, std::int32_t event, const char* key,
          cmap_notify_value now, cmap_notify_value before, void* user_data) {
    auto& listener = *static_cast<Listener*>(user_data);
    CHECK(now.data != nullptr);
    CHECK(before.data != nullptr);
    listener.heard.push_back({.event = event,
                              .key = key,
                              .now = now,
                              .before = before,
                              .bytes = std::string(static_cast<const char*>(now.data), now.len)});
    if (listener.ends_itself) CHECK(cmap_track_delete(handle, track) == CS_OK);
}

class Cmap {
  public:
    explicit Cmap(cmap_map_t map = CMAP_MAP_ICMAP) {
        REQUIRE(cmap_initialize_map(&handle, map) == CS_OK);
        REQUIRE(cmap_fd_get(handle, &fd) == CS_OK);
    }
    ~Cmap() { (void)cmap_finalize(handle); }
    Cmap(const Cmap&) = delete;
    Cmap& operator=(const Cmap&) = delete;
    Cmap(Cmap&&) = delete;
    Cmap& operator=(Cmap&&) = delete;

    [[nodiscard]] short polled(int timeout_ms) const {
        pollfd watched{.fd = fd, .events = POLLIN, .revents = 0};
        return ::poll(&watched, 1, timeout_ms) > 0 ? watched.revents : short{0};
    }

    cmap_handle_t handle = 0;
    int fd = -1;
};

TEST_CASE("every type is set and got as itself, and as nothing else") {
    const OneNodeCmapd cmapd;
    const Cmap cmap;
    CHECK(cmap_set_int8(cmap.handle, "type.i8", -1) == CS_OK);
    CHECK(cmap_set_uint8(cmap.handle, "type.u8", 200) == CS_OK);
    CHECK(cmap_set_int16(cmap.handle, "type.i16", -300) == CS_OK);
    CHECK(cmap_set_uint16(cmap.handle, "type.u16", 60'000) == CS_OK);
    CHECK(cmap_set_int32(cmap.handle, "type.i32", -70'000) == CS_OK);
    CHECK(cmap_set_uint32(cmap.handle, "type.u32", 4'000'000'000) == CS_OK);
    CHECK(cmap_set_int64(cmap.handle, "type.i64", INT64_MIN) == CS_OK);
    CHECK(cmap_set_uint64(cmap.handle, "type.u64", UINT64_MAX) == CS_OK);
    CHECK(cmap_set_float(cmap.handle, "type.flt", 1.5f) == CS_OK);
    CHECK(cmap_set_double(cmap.handle, "type.dbl", 2.5) == CS_OK);
    CHECK(cmap_set_string(cmap.handle, "type.str", "text") == CS_OK);
    CHECK(cmap_set(cmap.handle, "type.bin", "a\0b", 3, CMAP_VALUETYPE_BINARY) == CS_OK);

    std::int8_t i8 = 0;
    std::uint8_t u8 = 0;
    std::int16_t i16 = 0;
    std::uint16_t u16 = 0;
    std::int32_t i32 = 0;
    std::uint32_t u32 = 0;
    std::int64_t i64 = 0;
    std::uint64_t u64 = 0;
    float flt = 0;
    double dbl = 0;
    CHECK(cmap_get_int8(cmap.handle, "type.i8", &i8) == CS_OK);
    CHECK(i8 == -1);
    CHECK(cmap_get_uint8(cmap.handle, "type.u8", &u8) == CS_OK);
    CHECK(u8 == 200);
    CHECK(cmap_get_int16(cmap.handle, "type.i16", &i16) == CS_OK);
    CHECK(i16 == -300);
    CHECK(cmap_get_uint16(cmap.handle, "type.u16", &u16) == CS_OK);
    CHECK(u16 == 60'000);
    CHECK(cmap_get_int32(cmap.handle, "type.i32", &i32) == CS_OK);
    CHECK(i32 == -70'000);
    CHECK(cmap_get_uint32(cmap.handle, "type.u32", &u32) == CS_OK);
    CHECK(u32 == 4'000'000'000);
    CHECK(cmap_get_int64(cmap.handle, "type.i64", &i64) == CS_OK);
    CHECK(i64 == INT64_MIN);
    CHECK(cmap_get_uint64(cmap.handle, "type.u64", &u64) == CS_OK);
    CHECK(u64 == UINT64_MAX);
    CHECK(cmap_get_float(cmap.handle, "type.flt", &flt) == CS_OK);
    CHECK(flt == doctest::Approx(1.5));
    CHECK(cmap_get_double(cmap.handle, "type.dbl", &dbl) == CS_OK);
    CHECK(dbl == doctest::Approx(2.5));
    char* text = nullptr;
    CHECK(cmap_get_string(cmap.handle, "type.str", &text) == CS_OK);
    CHECK(std::string(text) == "text");
    std::free(text);

    CHECK(cmap_get_uint8(cmap.handle, "type.i8", &u8) == CS_ERR_INVALID_PARAM);
    CHECK(cmap_get_string(cmap.handle, "type.u8", &text) == CS_ERR_INVALID_PARAM);
    CHECK(cmap_get_uint8(cmap.handle, "type.none", &u8) == CS_ERR_NOT_EXIST);
}

TEST_CASE("cmap_get tells length and type, and refuses too little room") {
    const OneNodeCmapd cmapd;
    const Cmap cmap;
    REQUIRE(cmap_set_string(cmap.handle, "some.key", "text") == CS_OK);
    std::size_t length = 0;
    cmap_value_types_t type{};
    CHECK(cmap_get(cmap.handle, "some.key", nullptr, &length, &type) == CS_OK);
    CHECK(length == 5);
    CHECK(type == CMAP_VALUETYPE_STRING);
    std::array<char, 16> room{};
    length = 4;
    CHECK(cmap_get(cmap.handle, "some.key", room.data(), &length, nullptr) == CS_ERR_INVALID_PARAM);
    length = room.size();
    CHECK(cmap_get(cmap.handle, "some.key", room.data(), &length, nullptr) == CS_OK);
    CHECK(std::string(room.data()) == "text");
    CHECK(cmap_get(cmap.handle, "some.key", nullptr, nullptr, nullptr) == CS_OK);
    CHECK(cmap_get(cmap.handle, "none.key", nullptr, nullptr, nullptr) == CS_ERR_NOT_EXIST);
}

TEST_CASE("arguments that make no sense are refused as Corosync refuses them") {
    const OneNodeCmapd cmapd;
    const Cmap cmap;
    const auto h = cmap.handle;
    const std::string too_long(256, 'x');
    CHECK(cmap_set_uint8(h, nullptr, 1) == CS_ERR_INVALID_PARAM);
    CHECK(cmap_set_uint8(h, too_long.c_str(), 1) == CS_ERR_NAME_TOO_LONG);
    CHECK(cmap_set_uint8(h, "ab", 1) == CS_ERR_NAME_TOO_LONG);
    CHECK(cmap_set_uint8(h, "a b c", 1) == CS_ERR_NAME_TOO_LONG);
    CHECK(cmap_set(h, "a.key", nullptr, 1, CMAP_VALUETYPE_UINT8) == CS_ERR_INVALID_PARAM);
    CHECK(cmap_set(h, "a.key", "12", 2, CMAP_VALUETYPE_UINT8) == CS_ERR_INVALID_PARAM);
    CHECK(cmap_set(h, "a.key", "1", 1, out_of_range<cmap_value_types_t>(13)) ==
          CS_ERR_INVALID_PARAM);
    CHECK(cmap_set_string(h, "a.key", nullptr) == CS_ERR_INVALID_PARAM);
    CHECK(cmap_set_string(h, "a.key", std::string(16'385, 'x').c_str()) == CS_ERR_INVALID_PARAM);
    CHECK(cmap_set_uint8(h, "nodelist.node.0.x", 1) == CS_ERR_ACCESS);
    CHECK(cmap_delete(h, "nodelist.node.0.x") == CS_ERR_ACCESS);
    CHECK(cmap_delete(h, "none.key") == CS_ERR_NOT_EXIST);
    CHECK(cmap_inc(h, "none.key") == CS_ERR_NOT_EXIST);
    CHECK(cmap_iter_init(h, nullptr, nullptr) == CS_ERR_INVALID_PARAM);
    CHECK(cmap_iter_init(h, too_long.c_str(), nullptr) == CS_ERR_INVALID_PARAM);
    CHECK(cmap_iter_next(h, 4711, nullptr, nullptr, nullptr) == CS_ERR_BAD_HANDLE);
    CHECK(cmap_iter_finalize(h, 4711) == CS_ERR_BAD_HANDLE);
    cmap_track_handle_t track = 0;
    CHECK(cmap_track_add(h, "a.key", CMAP_TRACK_ADD, nullptr, nullptr, &track) ==
          CS_ERR_INVALID_PARAM);
    CHECK(cmap_track_add(h, "a.key", 16, hear, nullptr, &track) == CS_ERR_INVALID_PARAM);
    CHECK(cmap_track_add(h, "a.key", CMAP_TRACK_ADD, hear, nullptr, nullptr) ==
          CS_ERR_INVALID_PARAM);
    CHECK(cmap_track_delete(h, 4711) == CS_ERR_BAD_HANDLE);
    cmap_handle_t other = 0;
    CHECK(cmap_initialize_map(&other, out_of_range<cmap_map_t>(2)) == CS_ERR_NOT_EXIST);
    CHECK(cmap_initialize(nullptr) == CS_ERR_INVALID_PARAM);
    CHECK(cmap_dispatch(h, out_of_range<cs_dispatch_flags_t>(9)) == CS_ERR_INVALID_PARAM);
    CHECK(cmap_set_uint8(4711, "a.key", 1) == CS_ERR_BAD_HANDLE);
}

TEST_CASE("an iteration ends with NO_SECTIONS and survives what is deleted meanwhile") {
    const OneNodeCmapd cmapd;
    const Cmap cmap;
    for (const char* key : {"it.a", "it.b", "it.c", "no.a"}) {
        REQUIRE(cmap_set_uint8(cmap.handle, key, 1) == CS_OK);
    }
    cmap_iter_handle_t it = 0;
    REQUIRE(cmap_iter_init(cmap.handle, "it.", &it) == CS_OK);
    std::array<char, CMAP_KEYNAME_MAXLEN + 1> key{};
    std::vector<std::string> found;
    while (cmap_iter_next(cmap.handle, it, key.data(), nullptr, nullptr) == CS_OK) {
        found.emplace_back(key.data());
        REQUIRE(cmap_delete(cmap.handle, key.data()) == CS_OK);
    }
    CHECK(found == std::vector<std::string>{"it.a", "it.b", "it.c"});
    CHECK(cmap_iter_next(cmap.handle, it, key.data(), nullptr, nullptr) == CS_ERR_NO_SECTIONS);
    CHECK(cmap_iter_finalize(cmap.handle, it) == CS_OK);
    CHECK(cmap_iter_next(cmap.handle, it, key.data(), nullptr, nullptr) == CS_ERR_BAD_HANDLE);
}

TEST_CASE("the descriptor is a socket of root's, readable while there is something to dispatch") {
    const OneNodeCmapd cmapd;
    const Cmap cmap;
    ucred peer{};
    socklen_t length = sizeof(peer);
    REQUIRE(::getsockopt(cmap.fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0);
    CHECK(peer.uid == ::geteuid());
    Listener listener;
    cmap_track_handle_t track = 0;
    REQUIRE(
        cmap_track_add(cmap.handle, "a.",
                       CMAP_TRACK_ADD | CMAP_TRACK_MODIFY | CMAP_TRACK_DELETE | CMAP_TRACK_PREFIX,
                       hear, &listener, &track) == CS_OK);
    CHECK(cmap.polled(0) == 0);
    REQUIRE(cmap_set_uint8(cmap.handle, "a.key", 1) == CS_OK);
    REQUIRE(cmap_set_string(cmap.handle, "a.key", "x") == CS_OK);
    REQUIRE(cmap_set_string(cmap.handle, "a.key", "x") == CS_OK);
    REQUIRE(cmap_delete(cmap.handle, "a.key") == CS_OK);
    for (int i = 0; i < 3; ++i) {
        REQUIRE(cmap.polled(kDeadlineMs) == POLLIN);
        REQUIRE(cmap_dispatch(cmap.handle, CS_DISPATCH_ONE) == CS_OK);
    }
    CHECK(cmap.polled(0) == 0);
    CHECK(cmap_dispatch(cmap.handle, CS_DISPATCH_ONE_NONBLOCKING) == CS_ERR_TRY_AGAIN);
    CHECK(cmap_dispatch(cmap.handle, CS_DISPATCH_ALL) == CS_OK);
    REQUIRE(listener.heard.size() == 3);
    CHECK(listener.heard[0].event == CMAP_TRACK_ADD);
    CHECK(listener.heard[0].before.len == 0);
    CHECK(listener.heard[0].before.type == 0);
    CHECK(listener.heard[1].event == CMAP_TRACK_MODIFY);
    CHECK(listener.heard[1].now.type == CMAP_VALUETYPE_STRING);
    CHECK(listener.heard[1].now.len == 2);
    CHECK(listener.heard[1].before.type == CMAP_VALUETYPE_UINT8);
    CHECK(listener.heard[2].event == CMAP_TRACK_DELETE);
    CHECK(listener.heard[2].now.len == 0);
}

TEST_CASE("a callback may end its own tracker") {
    const OneNodeCmapd cmapd;
    const Cmap cmap;
    Listener listener{.heard = {}, .ends_itself = true};
    cmap_track_handle_t track = 0;
    REQUIRE(cmap_track_add(cmap.handle, "a.key", CMAP_TRACK_ADD | CMAP_TRACK_MODIFY, hear,
                           &listener, &track) == CS_OK);
    REQUIRE(cmap_set_uint8(cmap.handle, "a.key", 1) == CS_OK);
    REQUIRE(cmap_set_uint8(cmap.handle, "a.key", 2) == CS_OK);
    REQUIRE(cmap.polled(kDeadlineMs) == POLLIN);
    CHECK(cmap_dispatch(cmap.handle, CS_DISPATCH_ALL) == CS_OK);
    CHECK(listener.heard.size() == 1);
    CHECK(cmap_track_delete(cmap.handle, track) == CS_ERR_BAD_HANDLE);
}

TEST_CASE("a child after fork has no handle of its parent's, and disturbs nothing") {
    const OneNodeCmapd cmapd;
    const Cmap cmap;
    const pid_t child = ::fork();
    if (child == 0) ::_exit(cmap_set_uint8(cmap.handle, "a.key", 1) == CS_ERR_BAD_HANDLE ? 0 : 1);
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    CHECK(cmap_set_uint8(cmap.handle, "a.key", 1) == CS_OK);
}

TEST_CASE("the daemon of a node that has stopped is gone at once, and finalize is well") {
    OneNodeCmapd cmapd;
    Cmap cmap;
    cmapd.die();
    CHECK((cmap.polled(kDeadlineMs) & POLLHUP) != 0);
    CHECK(cmap_set_uint8(cmap.handle, "a.key", 1) == CS_ERR_LIBRARY);
    CHECK(cmap_dispatch(cmap.handle, CS_DISPATCH_ONE) == CS_ERR_LIBRARY);
    CHECK(cmap_finalize(cmap.handle) == CS_OK);
    CHECK(cmap_finalize(cmap.handle) == CS_ERR_BAD_HANDLE);
    cmap_handle_t none = 0;
    CHECK(cmap_initialize(&none) == CS_ERR_LIBRARY);
}

TEST_CASE("fifty restarts under load: each inc counts once, each change is told once") {
    OneNodeCmapd cmapd;
    const Cmap writer;
    const Cmap reader;
    REQUIRE(cmap_set_uint64(writer.handle, "load.run", 0) == CS_OK);
    REQUIRE(cmap_set_uint64(writer.handle, "local.load", 0) == CS_OK);
    Listener listener;
    cmap_track_handle_t track = 0;
    REQUIRE(cmap_track_add(reader.handle, "load.run", CMAP_TRACK_MODIFY, hear, &listener, &track) ==
            CS_OK);
    std::atomic<bool> stop = false;
    std::atomic<bool> last = false;
    std::atomic<std::uint64_t> done = 0;
    std::atomic<int> failures = 0;
    std::thread load([&] {
        while (!stop && failures == 0) {
            if (cmap_inc(writer.handle, "load.run") != CS_OK) ++failures;
            if (cmap_inc(writer.handle, "local.load") != CS_OK) ++failures;
            ++done;
        }
    });
    std::thread listening([&] {
        // The last one is told when the load has stopped.
        while (cmap_dispatch(reader.handle, CS_DISPATCH_ONE) == CS_OK) {
            if (last && listener.heard.size() == done) return;
        }
    });
    for (int i = 0; i < 50; ++i) {
        const std::uint64_t before = done;
        while (done < before + 5 && failures == 0) {
            std::this_thread::yield();
        }
        cmapd.restart();
    }
    stop = true;
    load.join();
    CHECK(failures == 0);
    // One more, so that a listener that has all of them already wakes up once.
    ++done;
    last = true;
    REQUIRE(cmap_inc(writer.handle, "load.run") == CS_OK);
    listening.join();
    REQUIRE(listener.heard.size() == done);
    for (std::size_t i = 0; i < listener.heard.size(); ++i) {
        std::uint64_t value = 0;
        std::memcpy(&value, listener.heard[i].bytes.data(), sizeof(value));
        REQUIRE(value == i + 1);
    }
    std::uint64_t run = 0;
    std::uint64_t local = 0;
    CHECK(cmap_get_uint64(writer.handle, "load.run", &run) == CS_OK);
    CHECK(cmap_get_uint64(writer.handle, "local.load", &local) == CS_OK);
    CHECK(run == done);
    CHECK(local == done - 1);
}

TEST_CASE("keys of the cluster wait for a cluster") {
    const OneNodeCmapd cmapd;
    const Cmap cmap;
    CHECK(cmap_set_uint8(cmap.handle, "cluster.key", 1) == CS_ERR_TRY_AGAIN);
}

TEST_CASE("the statistics are another map") {
    OneNodeCmapd cmapd;
    cmapd.run([](cmapd::Driver& driver) {
        driver.on_collect_stats([](const auto& give) {
            give({{"stats.srp.mcast_tx", protocol::cmap::u64(7)}});
        });
    });
    const Cmap stats(CMAP_MAP_STATS);
    std::uint64_t value = 0;
    CHECK(cmap_get_uint64(stats.handle, "stats.srp.mcast_tx", &value) == CS_OK);
    CHECK(value == 7);
    CHECK(cmap_set_uint64(stats.handle, "stats.srp.mcast_tx", 0) == CS_ERR_NOT_SUPPORTED);
    CHECK(cmap_set_uint32(stats.handle, "stats.clear.knet", 1) == CS_OK);
    CHECK(cmap_delete(stats.handle, "stats.srp.mcast_tx") == CS_ERR_NOT_SUPPORTED);
    const Cmap icmap;
    CHECK(cmap_get_uint64(icmap.handle, "stats.srp.mcast_tx", &value) == CS_ERR_NOT_EXIST);
}

TEST_CASE("the first and the last value of a statistic are told on both sides, as by Corosync") {
    OneNodeCmapd cmapd;
    cmapd.run([](cmapd::Driver& driver) {
        driver.on_collect_stats([question = 0](const auto& give) mutable {
            const std::uint64_t value = 7;
            ++question;
            give({{question == 1 ? "stats.first" : "stats.then", protocol::cmap::u64(value)}});
        });
    });
    const Cmap stats(CMAP_MAP_STATS);
    std::map<std::int32_t, std::string> told;
    const auto note = [](cmap_handle_t, cmap_track_handle_t, std::int32_t event, const char* key,
                         cmap_notify_value now, cmap_notify_value before, void* data) {
        CHECK(*static_cast<const std::uint64_t*>(now.data) == 7);
        CHECK(*static_cast<const std::uint64_t*>(before.data) == 7);
        static_cast<std::map<std::int32_t, std::string>*>(data)->insert({event, key});
    };
    cmap_track_handle_t track = 0;
    REQUIRE(cmap_track_add(stats.handle, "stats.",
                           CMAP_TRACK_PREFIX | CMAP_TRACK_ADD | CMAP_TRACK_DELETE, note, &told,
                           &track) == CS_OK);
    for (int event = 0; event < 2; ++event)
        REQUIRE(cmap_dispatch(stats.handle, CS_DISPATCH_ONE) == CS_OK);
    CHECK(told == std::map<std::int32_t, std::string>{{CMAP_TRACK_ADD, "stats.then"},
                                                      {CMAP_TRACK_DELETE, "stats.first"}});
}

}  // namespace
