#include "ringd/driver.hpp"

#include <sys/epoll.h>

#include <algorithm>

#include "common/os/clock.hpp"

namespace ringd {
namespace {

// Later than this behind a deadline is a pause of this process, not a busy moment: below it the
// core's time-outs have enough room.
constexpr base::Duration kPauseMin = std::chrono::milliseconds(100);

// Reads of the sockets in one turn, so that the services get their turn under a flood.
constexpr int kReceivesATurn = 8;

// This process sent nothing for so long: a packet that waits for a frame to a service delays
// nobody's work, and whom the frame wakes waits for it. In a burst the packets go first, so that
// the others have them meanwhile.
constexpr base::Duration kIdleMin = std::chrono::microseconds(300);

bool is_packet(const totem::Action& action) {
    return std::holds_alternative<totem::SendToAll>(action) ||
           std::holds_alternative<totem::SendTo>(action);
}

bool is_delivery(const totem::Action& action) {
    return std::holds_alternative<totem::Deliver>(action);
}

template <class... Ts>
struct Overloaded : Ts... {
    using Ts::operator()...;
};

}  // namespace

os::Result<void> Driver::start() {
    auto watching = watch();
    if (watching) tell(totem::DeadlinePassed{});
    return watching;
}

// What is repeated is done before the first checkpoint, and all else after it: a kill between finds
// either what the other process left or what this one is. The first step then finds out how long
// nobody was there.
os::Result<void> Driver::go_on(const std::vector<totem::Action>& actions,
                               const std::vector<totem::Event>& events) {
    auto watching = watch();
    if (!watching) return watching;
    const base::Instant now = os::now();
    for (const totem::Action& action : actions) {
        carry_out(now, action);
    }
    parts_.transport.flush();
    if (parts_.recorder != nullptr) parts_.recorder->quiet(now);
    expected_ = parts_.ring.next_deadline();
    for (const totem::Event& event : events) {
        step(now, event);
    }
    settle();
    return {};
}

os::Result<void> Driver::watch() {
    started_ = os::now();
    auto added = watch_network();
    if (!added) return added;
    added =
        parts_.loop.add(parts_.ring_ids.fd(), EPOLLIN, [this](std::uint32_t) { take_stored(); });
    if (!added) return added;

    parts_.loop.set_deadline([this] { return parts_.ring.next_deadline(); },
                             [this] { pass_deadlines(); });
    parts_.loop.set_deadline(
        [this]() -> std::optional<base::Instant> { return parts_.transport.next_deadline(); },
        [this] {
            events_.clear();
            parts_.transport.pass_deadline(os::now(), events_);
            step_all(events_);
            log_links();
        });
    // What the services sent in this turn goes out with it.
    if (parts_.recorder != nullptr) {
        parts_.loop.set_deadline([this] { return parts_.recorder->next_deadline(); },
                                 [this] { parts_.recorder->quiet(os::now()); });
    }
    parts_.loop.at_turn_end([this] {
        ++counters_.turns;
        submit();
    });
    return {};
}

os::Result<void> Driver::watch_network() {
    for (const int descriptor : parts_.transport.descriptors()) {
        auto added = parts_.loop.add(descriptor, EPOLLIN, [this, descriptor](std::uint32_t what) {
            parts_.transport.woken(descriptor, (what & EPOLLERR) != 0);
            receive();
        });
        if (!added) return added;
    }
    return {};
}

os::Result<void> Driver::reconfigure(const ChangeNetwork& change, totem::PeersConfigured peers,
                                     const totem::SettingsChanged& settings) {
    for (const int descriptor : parts_.transport.descriptors()) {
        parts_.loop.remove(descriptor);
    }
    events_.clear();
    change(events_);
    auto watched = watch_network();
    const base::Instant now = os::now();
    step(now, std::move(peers));
    step(now, settings);
    for (const totem::Event& event : events_) {
        step(now, event);
    }
    settle();
    return watched;
}

void Driver::leave() {
    tell(totem::LeaveRequested{});
}

void Driver::tell(const totem::Event& event) {
    step(os::now(), event);
    settle();
}

void Driver::receive() {
    for (int round = 0; round < kReceivesATurn; ++round) {
        events_.clear();
        const bool more = parts_.transport.receive(os::now(), events_);
        const base::Instant now = os::now();
        for (const totem::Event& event : events_) {
            step(now, event);
        }
        if (!more) break;
    }
    step(os::now(), totem::Drained{});
    settle();
}

void Driver::log_links() {
    for (const transport::LinkNotice& notice : parts_.transport.take_notices()) {
        if (notice.is_usable) {
            parts_.log.notice("RDMA link works",
                              {{"LINK", notice.link.value()}, {"DEVICE", notice.text}});
        } else {
            parts_.log.warning("RDMA link does not work, trying again each second",
                               {{"LINK", notice.link.value()}, {"ERROR", notice.text}});
        }
    }
}

void Driver::pass_deadlines() {
    tell(totem::DeadlinePassed{});
}

void Driver::take_stored() {
    while (const auto outcome = parts_.ring_ids.take()) {
        const base::Duration took = os::now() - store_began_;
        counters_.slowest_store = std::max(counters_.slowest_store, took);
        if (!outcome->result) {
            parts_.log.error("cannot store the ring id, leaving the cluster",
                             {{"ERROR", outcome->result.error().text()}});
            parts_.on_fatal();
            return;
        }
        ++counters_.rings_stored;
        tell(totem::RingStored{.ring = outcome->ring});
    }
}

void Driver::step_all(std::vector<totem::Event>& events) {
    if (events.empty()) return;
    const base::Instant now = os::now();
    for (const totem::Event& event : events) {
        step(now, event);
    }
    settle();
}

// Tells the core first when this process did not run for a while: what it then thinks of others'
// silence is worth nothing.
void Driver::step(base::Instant now, const totem::Event& event) {
    notice_pause(now);
    if (parts_.recorder != nullptr) parts_.recorder->note(now, event);
    parts_.ring.step(now, event, actions_);
    expected_ = parts_.ring.next_deadline();
}

void Driver::notice_pause(base::Instant now) {
    if (!expected_ || now <= *expected_) return;
    const base::Duration length = now - *expected_;
    if (parts_.on_late) parts_.on_late(now, length);
    if (length > kPauseMin) {
        ++counters_.pauses;
        counters_.last_pause = length;
        counters_.longest_pause = std::max(counters_.longest_pause, length);
        counters_.recent_pauses.push_front(
            {.end_ms = os::epoch_ns() / 1'000'000, .length = length});
        if (counters_.recent_pauses.size() > DriverCounters::kPausesMax)
            counters_.recent_pauses.pop_back();
        const totem::Event paused = totem::Paused{.length = length};
        if (parts_.recorder != nullptr) parts_.recorder->note(now, paused);
        parts_.ring.step(now, paused, actions_);
        expected_ = parts_.ring.next_deadline();
    }
}

void Driver::submit() {
    submissions_.clear();
    const base::Instant now = os::now();
    notice_pause(now);
    // Also when nothing is submitted: whose turn it is may have changed.
    if (parts_.recorder != nullptr) parts_.recorder->note(now, resume::TurnEnded{});
    parts_.streams.take_submissions(parts_.ring.submit_room(), submissions_);
    // They follow from what is recorded.
    for (totem::Submitted& submission : submissions_) {
        parts_.ring.step(now, std::move(submission), actions_);
    }
    expected_ = parts_.ring.next_deadline();
    settle();
}

// Carries out all that the steps so far want, the packets in one go. What services get waits for
// the end of the turn, unless this process was idle. What the actions bring about in turn (a stream
// that submits its state) is taken there too. A kill before after_acting() repeats the packets.
void Driver::settle() {
    if (actions_.empty()) return;
    const base::Instant now = os::now();
    std::vector<totem::Action> actions;
    actions.swap(actions_);
    if (parts_.recorder != nullptr) {
        parts_.recorder->note(now, resume::Settled{});
        parts_.recorder->before_acting(now);
    }
    for (const totem::Action& action : actions) {
        carry_out(now, action);
    }
    if (std::ranges::any_of(actions, is_packet)) {
        const bool was_idle = now - std::exchange(sent_, now) >= kIdleMin;
        if (was_idle && std::ranges::any_of(actions, is_delivery)) parts_.streams.send_outputs();
    }
    parts_.transport.flush();
    if (parts_.recorder != nullptr) parts_.recorder->after_acting();
    actions.clear();
    if (actions_.empty()) actions_.swap(actions);  // Keeps the memory.
}

void Driver::carry_out(base::Instant now, const totem::Action& action) {
    std::visit(
        Overloaded{
            [&](const totem::SendTo& send) { parts_.transport.queue(send); },
            [&](const totem::SendToAll& send) { parts_.transport.queue(send); },
            [&](const totem::SetAudience& audience) { parts_.transport.set_audience(audience); },
            [&](const totem::UseLink& use) { parts_.transport.use_link(use); },
            [&](const totem::KeepLifelines& keep) { parts_.transport.keep_lifelines(now, keep); },
            [&](const totem::StoreRing& store) {
                store_began_ = os::now();
                parts_.ring_ids.store(store.ring);
            },
            [&](const totem::Deliver& deliver) { parts_.streams.deliver(now, deliver); },
            [&](const totem::InstallConfiguration& install) {
                if (install.kind == totem::InstallConfiguration::Kind::Regular) {
                    std::string members;
                    for (const base::NodeId member : install.members) {
                        members += (members.empty() ? "" : " ") + std::to_string(member.value());
                    }
                    parts_.log.notice("ring formed",
                                      {{"RING", install.ring.seq},
                                       {"REPRESENTATIVE", install.ring.representative.value()},
                                       {"MEMBERS", members}});
                }
                parts_.streams.install(now, install);
            },
            [&](const totem::Taken& taken) { parts_.streams.taken(taken); },
            [&](const totem::Left&) { parts_.on_left(); },
        },
        action);
}

}  // namespace ringd
