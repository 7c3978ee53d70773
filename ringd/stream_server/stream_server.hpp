// Drives the stream (ringd/stream) on ringd's local socket: accepts services and observers, carries
// their frames in and out. What goes into the ring and what comes out of it passes through here.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "common/log/log.hpp"
#include "common/log/rate_limit.hpp"
#include "common/os/event_loop.hpp"
#include "common/zmtp/server.hpp"
#include "ringd/resume/recorder.hpp"
#include "ringd/stream/switch.hpp"
#include "ringd/stream_server/item_loans.hpp"
#include "ringd/stream_server/item_memory.hpp"

namespace stream {

class StreamServer {
  public:
    struct Options {
        SwitchConfig config;
        // Who may attach at all, as the kernel says who it is. Services change what all nodes see,
        // so they are trusted daemons; observers read all that is said.
        std::function<bool(const zmtp::PeerCredentials&)> may_connect;
        // What another process left: its connections are gone. Else nobody is attached.
        std::optional<Switch> restored = {};
    };
    static os::Result<std::unique_ptr<StreamServer>> create(os::EventLoop& loop,
                                                            zmtp::Listener listener,
                                                            Options options, logging::Log& log);

    // From now on what comes in is noted before it counts. Outlives the server.
    void record_in(resume::Recorder& recorder) { recorder_ = &recorder; }

    // Registers what has to happen at the end of each turn: call it after Driver::start(), so that
    // the network goes first.
    void start();

    // From the ring, in the order of its actions.
    void install(base::Instant now, const totem::InstallConfiguration& configuration);
    void deliver(base::Instant now, const totem::Deliver& delivered);
    void taken(const totem::Taken& taken);

    // What services are to get, now rather than at the end of the turn.
    void send_outputs();

    // For the ring: at most `room` bytes (see Switch). Appends.
    void take_submissions(std::size_t room, std::vector<totem::Submitted>& submissions);

    // Other limits from now on (reload).
    void set_limits(const SwitchLimits& limits) { switch_.set_limits(limits); }

    // Where items are to be put together that come to deliver().
    [[nodiscard]] base::Memory& item_memory() { return item_memory_; }

    // Of that memory, with services that have not given it back.
    [[nodiscard]] std::size_t lent_bytes() const { return loans_->lent_bytes(); }
    [[nodiscard]] std::size_t item_memory_bytes() const { return item_memory_.taken_bytes(); }

    [[nodiscard]] Status status() const { return switch_.status(); }
    [[nodiscard]] const Switch& core() const { return switch_; }

  private:
    StreamServer(os::EventLoop& loop, Options options, logging::Log& log);
    bool connected(zmtp::ServerConnectionId id, const zmtp::PeerCredentials& peer);
    void on_message(zmtp::ServerConnectionId id, const base::Buffer& frame);
    bool is_about_loans(zmtp::ServerConnectionId id, const base::Buffer& frame);
    void note(base::Instant now, const resume::Input::What& what);
    void closed(ConnectionId connection);
    void carry_out();
    void send(const SendFrame& frame);

    os::EventLoop& loop_;
    Options options_;
    logging::Log& log_;
    logging::RateLimit refusals_;
    Switch switch_;
    ItemMemory item_memory_;
    std::unique_ptr<zmtp::Server> server_;
    std::unique_ptr<ItemLoans> loans_;  // By server_.
    resume::Recorder* recorder_ = nullptr;
    std::vector<Output> outputs_;
};

}  // namespace stream
