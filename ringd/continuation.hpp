// How one ringd goes on where another one was killed or ended to be started again: takes over its
// memory and sockets, or says why not and sends its obituary; then keeps its own for the next one.
// docs/design/0004-resume.md.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "common/daemon/start.hpp"
#include "common/os/handed_down.hpp"
#include "ringd/former_life.hpp"
#include "ringd/resume/recorder.hpp"

namespace ringd {

struct ContinuationStatus {
    bool is_recording = false;                 // A death now is not the end of this member.
    bool is_settled = false;                   // And such deaths before don't count any more.
    std::uint64_t resumed = 0;                 // Lives that went on, up to this one.
    std::optional<base::Duration> last_pause;  // None: this process started afresh.
    std::string refused;                       // Why it did though something was left.
    resume::RecorderCounters journal;
};

class Continuation {
  public:
    // Both outlive it.
    Continuation(daemon_start::Started& started, os::HandedDown& handed_down)
        : started_(started), handed_down_(handed_down) {}
    Continuation(const Continuation&) = delete;
    Continuation& operator=(const Continuation&) = delete;
    Continuation(Continuation&&) = delete;
    Continuation& operator=(Continuation&&) = delete;
    ~Continuation() = default;

    // Before the network is opened: `network` gets what was left of it. `ring` and `streams` as the
    // configuration says.
    void begin(const totem::RingConfig& ring, const stream::SwitchConfig& streams,
               transport::NetworkConfig& network, std::uint32_t key_id);
    // Of the process before; null: this one starts afresh.
    [[nodiscard]] resume::Resumed* cores() { return former_ ? &former_->cores : nullptr; }

    // The network is open, or another one (reload): hands the sockets to who keeps them, and leaves
    // an obituary.
    void keep(transport::NetworkTransport& transport);
    // From now on inputs are recorded. Null: nobody keeps the memory. The cores outlive it.
    [[nodiscard]] resume::Recorder* record(const totem::Ring& ring, const stream::Switch& streams);
    // The driver goes on.
    void went_on();
    // At work: who tells of our death leaves that to the next process (obituary_file.hpp).
    void ready();
    // A reload: what was recorded is of no use under the new settings.
    void settings_changed(const totem::RingConfig& ring, const transport::NetworkConfig& network,
                          std::uint32_t key_id, base::Instant not_before);

    // To be started again. False: there is no state to go on from.
    bool finish();
    // Not to be started again: nothing is left, and nobody to mourn when `has_left` in order.
    void end(bool has_left);

    [[nodiscard]] ContinuationStatus status() const;

  private:
    void open_memory(const transport::NetworkConfig& network);
    void look(const totem::RingConfig& ring, const stream::SwitchConfig& streams);
    void take_over_sockets(transport::NetworkConfig& network);
    void keep_sockets(const transport::NetworkTransport& transport);

    daemon_start::Started& started_;
    os::HandedDown& handed_down_;
    logging::Log& log_ = started_.log;
    std::optional<LastingMemory> memory_;  // None: nobody keeps it.
    bool was_left_ = false;                // By a process before.
    std::optional<transport::ChannelMemory> channel_;
    std::map<totem::LinkId, transport::SocketAddress> kept_sockets_;
    bool has_obituary_ = false;
    resume::Stamp stamp_;
    std::optional<FormerLife> former_;
    std::string refused_;
    std::optional<base::Duration> pause_;
    std::optional<resume::Recorder> recorder_;
};

}  // namespace ringd
