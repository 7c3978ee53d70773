// Links over real verbs that a test drives by hand; run in the machine of tests/rdma/vm.py by
// device_tests.py, which makes three hosts with a device each. HALO_RDMA_ADDRESSES names theirs.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "common/os/clock.hpp"
#include "ringd/transport/rdma/rdma_link.hpp"
#include "tests/rdma/copies.hpp"

namespace ends {

using totem::LinkId;
using transport::Burst;
using transport::LinkCounters;
using transport::NetworkLink;
using transport::RdmaDevice;
using transport::RdmaLink;
using transport::SendMemory;
using transport::SocketAddress;

// An emulated processor, and perhaps a busy one.
inline constexpr auto kPatience = std::chrono::seconds(300);
inline constexpr std::uint16_t kPort = 5405;

inline SocketAddress address_of(std::size_t host, std::uint16_t port = kPort) {
    const char* list = std::getenv("HALO_RDMA_ADDRESSES");
    REQUIRE(list != nullptr);
    std::istringstream words(list);
    std::string word;
    for (std::size_t i = 0; i < host; ++i) {
        words >> word;
    }
    const auto address = SocketAddress::parse(word, port);
    REQUIRE(address.has_value());
    return *address;
}

inline SocketAddress group_address() {
    return *SocketAddress::parse("239.192.7.7", kPort);
}

struct Received {
    std::string text;
    std::uint32_t endpoint = 0;
};

// A link with its memory, driven by hand.
struct End {
    SendMemory memory{std::size_t{1} << 20u};
    std::unique_ptr<NetworkLink> link;
    std::vector<Received> received;

    explicit End(std::size_t host, std::size_t receives = 256, bool with_group = true,
                 std::uint16_t port = kPort) {
        auto opened =
            RdmaLink::open({.link = LinkId{0},
                            .address = address_of(host, port),
                            .group = with_group ? std::optional(group_address()) : std::nullopt,
                            .receives = receives,
                            .memory = &memory});
        REQUIRE(opened.has_value());
        link = std::move(*opened);
        link->start(os::now());
    }
    [[nodiscard]] RdmaLink& rdma() const { return static_cast<RdmaLink&>(*link); }
    [[nodiscard]] LinkCounters counters() const {
        LinkCounters counters;
        link->add_counters(counters);
        return counters;
    }
    [[nodiscard]] transport::RdmaCounters device() const { return counters().rdma.value(); }

    void turn() {
        const auto now = os::now();
        if (now >= link->next_deadline()) link->pass_deadline(now);
        const copies::Counted counted;
        (void)link->receive(4, [this](const transport::Arrived& arrived) {
            --copies::Counted::depth;  // What the test does with it is not the link's.
            const auto* text = reinterpret_cast<const char*>(arrived.bytes.data());
            received.push_back(
                {.text = std::string(text, arrived.bytes.size()), .endpoint = arrived.endpoint});
            ++copies::Counted::depth;
        });
    }
    void send(const SocketAddress* to, const std::string& text) {
        send(to, std::vector<std::string>{text});
    }
    // All of one size, in one burst.
    void send(const SocketAddress* to, const std::vector<std::string>& texts) {
        const std::size_t size = texts.front().size();
        const auto piece = memory.take(size * texts.size());
        REQUIRE(piece.has_value());
        for (std::size_t i = 0; i < texts.size(); ++i) {
            std::memcpy(piece->bytes.data() + i * size, texts[i].data(), size);
        }
        const Burst burst{
            .to = to, .bytes = piece->bytes, .segment_bytes = size, .end = piece->end};
        {
            const copies::Counted counted;
            link->send(std::span(&burst, 1));
        }
        const auto held = link->held_from();
        held ? memory.release(*held) : memory.release_all();
    }
    [[nodiscard]] bool got(const std::string& text) const {
        return std::ranges::any_of(received,
                                   [&](const Received& each) { return each.text == text; });
    }
};

template <class Condition>
bool wait_for(std::initializer_list<End*> ends, Condition condition) {
    const auto until = os::now() + kPatience;
    while (!condition()) {
        if (os::now() > until) return false;
        for (End* end : ends) {
            end->turn();
        }
    }
    return true;
}

// Sends until it arrives: at first the peer's queue pair is not known.
inline bool reaches(End& from, const SocketAddress& to, End& at, const std::string& text) {
    auto next = os::now();
    return wait_for({&from, &at}, [&] {
        if (os::now() >= next) {
            from.send(&to, text);
            next = os::now() + std::chrono::milliseconds(20);
        }
        return at.got(text);
    });
}

struct Pair {
    SocketAddress one = address_of(1);
    SocketAddress two = address_of(2);
    End a{1};
    End b{2};

    Pair() {
        a.link->set_peers(std::span(&two, 1));
        b.link->set_peers(std::span(&one, 1));
    }
};

}  // namespace ends
