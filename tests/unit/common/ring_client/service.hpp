// A service that writes down what it is told. Runs in turns of its own loop.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/os/event_loop.hpp"
#include "common/ring_client/stream_client.hpp"

struct Service {
    explicit Service(const std::string& path, std::optional<ring::ResumePoint> resume = {},
                     bool takes_items = false);

    void turn();
    // Submits the next number, if there is room.
    bool submit_next();
    [[nodiscard]] ring::ResumePoint resume_point() const {
        return {.incarnation = client.incarnation(), .applied = received()};
    }
    [[nodiscard]] protocol::Cursor received() const {
        return events.empty() ? protocol::Cursor{} : events.back().cursor;
    }
    // What submit_next() said, as it came back: of the batches among the events.
    [[nodiscard]] std::vector<std::uint64_t> numbers() const;
    [[nodiscard]] const protocol::View* last_view() const;

    os::EventLoop loop;
    std::vector<protocol::Attached> attached;
    std::vector<protocol::Event> events;  // Of this attachment.
    std::vector<std::string> lost;
    std::uint64_t rooms = 0;
    std::uint64_t next_number = 1;
    ring::StreamClient client;
};
