#include "ringd/resume/replay.hpp"

#include "ringd/resume/input.hpp"

namespace resume {
namespace {

// The rest of what the driver is told is told again by Ring::tell_paths, as it is at the end.
bool is_sent(const totem::Action& action) {
    return std::holds_alternative<totem::SendTo>(action) ||
           std::holds_alternative<totem::SendToAll>(action);
}

// As ringd's driver does, without a network and without services.
class Replay {
  public:
    explicit Replay(Resumed& resumed) : to_(resumed) {}

    void step(const Input& input, bool is_done) {
        is_done_ = is_done;
        std::visit([&](const auto& what) { on(input.now, what); }, input.what);
        // Nobody is there to hear it: the services' connections went with the process.
        outputs_.clear();
    }

  private:
    void on(base::Instant now, const totem::Event& event) { to_.ring.step(now, event, actions_); }
    void on(base::Instant now, const ServiceFrame& frame) {
        to_.streams.frame(now, frame.from, frame.frame);
    }
    void on(base::Instant now, const ServiceClosed& closed) {
        to_.streams.closed(now, closed.connection);
    }
    void on(base::Instant now, const StreamDeadline&) { to_.streams.deadline_passed(now); }
    void on(base::Instant now, const TurnEnded&) {
        submissions_.clear();
        to_.streams.take_submissions(to_.ring.submit_room(), submissions_);
        for (totem::Submitted& submission : submissions_) {
            to_.ring.step(now, std::move(submission), actions_);
        }
    }
    void on(base::Instant, const OutputsTaken&) { to_.streams.take_outputs(outputs_); }
    void on(base::Instant now, const Settled&) {
        for (totem::Action& action : actions_) {
            if (const auto* deliver = std::get_if<totem::Deliver>(&action)) {
                to_.streams.deliver(now, *deliver);
            } else if (const auto* install = std::get_if<totem::InstallConfiguration>(&action)) {
                to_.streams.install(now, *install);
            } else if (const auto* taken = std::get_if<totem::Taken>(&action)) {
                to_.streams.taken(*taken);
            } else if (!is_done_ && is_sent(action)) {
                to_.actions.push_back(std::move(action));
            }
        }
        actions_.clear();
    }

    Resumed& to_;
    bool is_done_ = false;
    std::vector<totem::Action> actions_;
    std::vector<totem::Submitted> submissions_;
    std::vector<stream::Output> outputs_;
};

}  // namespace

std::optional<Resumed> replay(const totem::RingConfig& ring_config,
                              const stream::SwitchConfig& stream_config,
                              const Journal::Left& left) {
    base::ArchiveReader reader(left.state);
    auto ring = totem::Ring::restore(ring_config, reader);
    if (!ring) return std::nullopt;
    auto streams = stream::Switch::restore(stream_config, reader);
    if (!streams || reader.remaining() > 0) return std::nullopt;
    Resumed resumed{
        .ring = std::move(*ring), .streams = std::move(*streams), .actions = {}, .inputs = 0};
    Replay replay(resumed);
    for (const auto& bytes : left.inputs) {
        const auto input = decode_input(bytes);
        if (!input) return std::nullopt;
        replay.step(*input, resumed.inputs < left.inputs_done);
        ++resumed.inputs;
    }
    // Before all that is repeated: it goes to those of the end.
    std::vector<totem::Action> paths;
    resumed.ring.tell_paths(paths);
    resumed.actions.insert(resumed.actions.begin(), paths.begin(), paths.end());
    return resumed;
}

}  // namespace resume
