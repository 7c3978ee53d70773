// A ringd in small: a ring of one and the stream on top, recorded as the driver does it. Killed at
// any place, another one goes on from its memory and is where it would have been.
#include "ringd/resume/replay.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>

#include "common/protocol/ring_api.hpp"
#include "ringd/resume/recorder.hpp"

namespace {

using resume::Journal;
using resume::Recorder;
using resume::Stamp;

constexpr Stamp kStamp{.build = 1, .boot = 2, .settings = 3};
constexpr std::size_t kMemoryBytes = std::size_t{32} << 20u;
constexpr stream::ConnectionId kService{1};

base::Instant at(int ms) {
    return base::Instant(std::chrono::milliseconds(1000 + ms));
}

totem::RingConfig ring_config() {
    totem::RingConfig config;
    config.self = base::NodeId{1};
    return config;
}

stream::SwitchConfig stream_config() {
    return {.self = base::NodeId{1}};
}

// A turn of ringd's driver, each step of it apart.
class Process {
  public:
    explicit Process(std::span<std::byte> memory) : memory_(memory) {
        step(totem::DeadlinePassed{});
        while (!ring_.can_be_archived() && now_ < 5000) {
            ++now_;
            step(totem::DeadlinePassed{});
            settle();
        }
        REQUIRE(ring_.can_be_archived());
        frame(protocol::Attach{.role = protocol::Attach::Role::Service,
                               .channel = "test",
                               .incarnation = protocol::Incarnation{9}});
        turn();
        turn();
        recorder_.emplace(ring_, streams_, Journal(memory_, kStamp));
        recorder_->quiet(at(now_));
    }

    void submit(std::uint64_t number) {
        protocol::Submit submit{.number = number,
                                .after = number - 1,
                                .safe = false,
                                .urgent = false,
                                .incarnation = protocol::Incarnation{9},
                                .channel = "test",
                                .payload = base::Buffer::copy_of(
                                    std::vector(100 + number, static_cast<std::byte>(number)))};
        frame(submit);
    }
    void frame(const protocol::ServiceFrame& what) {
        const base::Buffer bytes = protocol::encode(what);
        if (recorder_)
            recorder_->note(at(now_), resume::ServiceFrame{.from = kService, .frame = bytes});
        streams_.frame(at(now_), kService, bytes);
    }
    void step(const totem::Event& event) {
        if (recorder_) recorder_->note(at(now_), event);
        ring_.step(at(now_), event, actions_);
    }
    void take_submissions() {
        if (recorder_) recorder_->note(at(now_), resume::TurnEnded{});
        std::vector<totem::Submitted> submissions;
        streams_.take_submissions(ring_.submit_room(), submissions);
        for (totem::Submitted& submission : submissions)
            ring_.step(at(now_), std::move(submission), actions_);
    }
    void settle() {
        if (actions_.empty()) return;
        if (recorder_) {
            recorder_->note(at(now_), resume::Settled{});
            recorder_->before_acting(at(now_));
        }
        std::vector<totem::Action> actions;
        actions.swap(actions_);
        for (const totem::Action& action : actions) {
            if (const auto* deliver = std::get_if<totem::Deliver>(&action))
                streams_.deliver(at(now_), *deliver);
            if (const auto* install = std::get_if<totem::InstallConfiguration>(&action))
                streams_.install(at(now_), *install);
            if (const auto* taken = std::get_if<totem::Taken>(&action)) streams_.taken(*taken);
            if (const auto* store = std::get_if<totem::StoreRing>(&action))
                step(totem::RingStored{store->ring});
        }
        if (recorder_) recorder_->after_acting();
        settle();
    }
    void take_outputs() {
        std::vector<stream::Output> outputs;
        streams_.take_outputs(outputs);
        if (outputs.empty() || !recorder_) return;
        recorder_->note(at(now_), resume::OutputsTaken{});
        recorder_->before_acting(at(now_));
        recorder_->after_acting();
    }
    void pause(int ms) { now_ += ms; }
    void turn() {
        ++now_;
        take_submissions();
        settle();
        step(totem::DeadlinePassed{});
        settle();
        take_outputs();
        if (recorder_) recorder_->quiet(at(now_));
    }

    [[nodiscard]] Recorder& recorder() { return *recorder_; }
    [[nodiscard]] base::Instant now() const { return at(now_); }
    // Ring and stream, as bytes.
    [[nodiscard]] std::vector<std::byte> state() const {
        base::ArchiveWriter writer;
        ring_.archive_to(writer);
        streams_.archive_to(writer);
        return std::move(writer).take();
    }

  private:
    std::span<std::byte> memory_;
    int now_ = 0;
    totem::Ring ring_{ring_config(), {}, 7, at(0)};
    stream::Switch streams_{stream_config()};
    std::optional<Recorder> recorder_;
    std::vector<totem::Action> actions_;
};

struct Memory {
    std::vector<std::uint64_t> words = std::vector<std::uint64_t>(kMemoryBytes / 8, 0);
    std::span<std::byte> bytes() { return std::as_writable_bytes(std::span(words)); }
};

std::optional<resume::Resumed> resumed(std::span<std::byte> memory, base::Instant now) {
    const auto left = Journal::read(memory, kStamp, now, std::chrono::seconds(1));
    REQUIRE(left.has_value());
    Journal::beside(memory, kStamp).forget_tries();
    return resume::replay(ring_config(), stream_config(), *left);
}

std::vector<std::byte> state_of(const resume::Resumed& resumed) {
    base::ArchiveWriter writer;
    resumed.ring.archive_to(writer);
    resumed.streams.archive_to(writer);
    return std::move(writer).take();
}

}  // namespace

TEST_CASE("after each turn another process is where the one before was") {
    Memory memory;
    Process process(memory.bytes());
    for (std::uint64_t number = 1; number <= 50; ++number) {
        CAPTURE(number);
        process.submit(number);
        process.turn();
        const auto found = resumed(memory.bytes(), process.now());
        REQUIRE(found.has_value());
        CHECK(state_of(*found) == process.state());
    }
    CHECK(process.recorder().counters().checkpoints == 1);
    CHECK(process.recorder().counters().inputs > 100);
}

TEST_CASE("an input without bound is recorded like a short one") {
    Memory memory;
    Process process(memory.bytes());
    process.turn();
    totem::PeersConfigured many;
    for (std::uint32_t node = 2; node <= 100; ++node)
        many.peers.push_back({.node = base::NodeId{node}, .links = {totem::LinkId{0}}});
    process.step(many);
    process.submit(1);
    process.turn();
    CHECK(process.recorder().is_recording());
    const auto found = resumed(memory.bytes(), process.now());
    REQUIRE(found.has_value());
    CHECK(state_of(*found) == process.state());
}

TEST_CASE("what was not committed never was") {
    Memory memory;
    Process process(memory.bytes());
    process.submit(1);
    process.turn();
    const auto before = process.state();
    process.submit(2);
    process.take_submissions();
    const auto found = resumed(memory.bytes(), process.now());
    REQUIRE(found.has_value());
    CHECK(state_of(*found) == before);
}

TEST_CASE("a recorder makes the next checkpoint when the inputs outgrow the state") {
    Memory memory;
    Process process(memory.bytes());
    std::uint64_t number = 1;
    for (; process.recorder().counters().checkpoints < 4; ++number) {
        REQUIRE(number < 100'000);
        process.submit(number);
        process.turn();
        process.frame(protocol::Ack{.applied = protocol::Cursor{number}});
    }
    process.submit(number);
    process.turn();
    const auto found = resumed(memory.bytes(), process.now());
    REQUIRE(found.has_value());
    CHECK(state_of(*found) == process.state());
}

TEST_CASE("after a burst a recorder is content with little again") {
    Memory memory;
    Process process(memory.bytes());
    std::uint64_t number = 1;
    const auto run = [&](std::uint64_t turns) {
        const std::uint64_t end = number + turns;
        for (; number < end; ++number) {
            process.submit(number);
            process.turn();
        }
    };
    const auto checkpoints = [&] { return process.recorder().counters().checkpoints; };
    // Nothing is acknowledged, so the state grows, and with it what may follow a checkpoint.
    while (process.recorder().counters().checkpoint_bytes_last < 60'000)
        run(1);
    const auto before = checkpoints();
    const auto bytes = process.recorder().counters().input_bytes;
    while (process.recorder().counters().input_bytes - bytes < 200'000)
        run(1);
    CHECK(checkpoints() == before);
    process.pause(2000);
    run(1);
    CHECK(checkpoints() == before + 1);
    const auto found = resumed(memory.bytes(), process.now());
    REQUIRE(found.has_value());
    CHECK(state_of(*found) == process.state());
}

TEST_CASE("who ends to be started again leaves a state that another build reads") {
    constexpr Stamp kOther{.build = 99, .boot = 2, .settings = 3};
    Memory memory;
    Process process(memory.bytes());
    process.submit(1);
    process.turn();
    CHECK(Journal::read(memory.bytes(), kOther, process.now(), std::chrono::seconds(1)).error() ==
          resume::Unusable::OtherBuild);
    REQUIRE(process.recorder().finish(process.now()));
    const auto left = Journal::read(memory.bytes(), kOther, process.now(), std::chrono::seconds(1));
    REQUIRE(left.has_value());
    CHECK(left->inputs.empty());
    const auto found = resume::replay(ring_config(), stream_config(), *left);
    REQUIRE(found.has_value());
    CHECK(state_of(*found) == process.state());

    // What that one writes is its own.
    Journal next = Journal::beside(memory.bytes(), kOther);
    next.forget_tries();
    std::ranges::copy(process.state(), next.room_for_state().begin());
    REQUIRE(next.checkpoint(process.now(), process.state().size()));
    REQUIRE(next.append({}));
    next.commit(process.now());
    CHECK(Journal::read(memory.bytes(), kOther, process.now(), std::chrono::seconds(1)));
    CHECK_FALSE(Journal::read(memory.bytes(), kStamp, process.now(), std::chrono::seconds(1)));
}

TEST_CASE("an idle process keeps what is left from looking old") {
    Memory memory;
    Process process(memory.bytes());
    const auto due = process.recorder().next_deadline();
    REQUIRE(due.has_value());
    CHECK(*due - process.now() <= std::chrono::seconds(1));
    process.recorder().quiet(*due);
    CHECK(resumed(memory.bytes(), *due + std::chrono::milliseconds(900)).has_value());
    CHECK(process.recorder().is_settled());
}

TEST_CASE("a leave leaves nothing to go on from") {
    Memory memory;
    Process process(memory.bytes());
    process.step(totem::LeaveRequested{});
    process.settle();
    CHECK(Journal::read(memory.bytes(), kStamp, process.now(), std::chrono::seconds(1)).error() ==
          resume::Unusable::NotMember);
}
