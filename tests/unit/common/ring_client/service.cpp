#include "tests/unit/common/ring_client/service.hpp"

#include <cstring>

#include "common/base/invariant.hpp"

Service::Service(const std::string& path, std::optional<ring::ResumePoint> resume, bool takes_items)
    : loop(*os::EventLoop::create()),
      client(loop, {.path = path, .channel = "cpg", .resume = resume, .takes_items = takes_items},
             {.attached =
                  [this](const protocol::Attached& what, protocol::Incarnation) {
                      if (!what.resumed) events.clear();
                      attached.push_back(what);
                  },
              .event = [this](protocol::Event event) { events.push_back(std::move(event)); },
              .room = [this] { ++rooms; },
              .lost = [this](const std::string& reason) { lost.push_back(reason); }}) {
    client.start();
}

void Service::turn() {
    INVARIANT(loop.turn(std::chrono::milliseconds(1)).has_value());
}

bool Service::submit_next() {
    if (!client.fits(sizeof(next_number))) return false;
    const auto bytes = std::as_bytes(std::span(&next_number, 1));
    (void)client.submit(base::Buffer::copy_of(bytes), false, false);
    ++next_number;
    return true;
}

std::vector<std::uint64_t> Service::numbers() const {
    std::vector<std::uint64_t> all;
    for (const protocol::Event& event : events) {
        const auto* batch = std::get_if<protocol::Batch>(&event.what);
        if (batch == nullptr) continue;
        std::uint64_t number = 0;
        INVARIANT(batch->payload.size() == sizeof(number));
        std::memcpy(&number, batch->payload.data(), sizeof(number));
        all.push_back(number);
    }
    return all;
}

const protocol::View* Service::last_view() const {
    for (auto event = events.rbegin(); event != events.rend(); ++event) {
        if (const auto* view = std::get_if<protocol::View>(&event->what)) return view;
    }
    return nullptr;
}
