// Groups, quorum and keys as one stream of events in one order.
//
//     auto stream = halo::Stream::connect();
//     auto group = stream->groups().join("chat");
//     stream->keys().watch("cluster.");
//     while (auto event = stream->next(halo::Wait::ForEvent)) { /* std::visit */ }
//
// The order:
//  - Each daemon's events come in its order.
//  - A Ring of a group, that is: a change of the nodes, is followed by the QuorumChange of that
//    ring before any Message, or Membership of processes, that came after it. So at each message it
//    is known whether its sender's partition may act, and all members of a group see the same order
//    of messages, rings and decisions. But where a ring ends before it was decided, its messages
//    come without.
//  - A QuorumChange that says yes comes after the Ring of its ring, and so after all messages of
//    the rings before. One that says no, and NodesChange, come at once.
//  - Between a NodesChange and the QuorumChange of its ring no KeyChange comes.
//
// What waits for a decision is held back as by a member that is slow: others are not lost, and may
// be slowed down by flow control for as long.
#pragma once

#include <chrono>
#include <halo/groups.hpp>
#include <halo/keys.hpp>
#include <halo/quorum.hpp>
#include <halo/result.hpp>
#include <memory>
#include <variant>

namespace halo {

enum class Daemon : std::uint8_t { Cpgd, Quorumd, Cmapd };

// That daemon was gone and is back: nothing was lost, and all goes on.
struct DaemonBack {
    Daemon daemon = Daemon::Cpgd;
};

using StreamEvent =
    std::variant<Message, Membership, Ring, NodesChange, QuorumChange, KeyChange, DaemonBack>;

// A session with each of cpgd, quorumd and cmapd of this node. next() is for one thread at a time;
// the sessions behind it are for several. A child after fork() must not use it.
class Stream {
  public:
    struct Options {
        // How long calls wait for a daemon that is gone before the stream is lost.
        std::chrono::milliseconds resume{10'000};
    };

    // Error::TryAgain: the node is not synchronised with the others yet.
    [[nodiscard]] static Result<Stream> connect(const Options& options);
    [[nodiscard]] static Result<Stream> connect() { return connect(Options{}); }

    Stream(Stream&& other) noexcept;
    Stream& operator=(Stream&& other) noexcept;
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream();

    // To join, send, ask and watch. Their events are the stream's: don't call their next().
    [[nodiscard]] Groups& groups();
    [[nodiscard]] Quorum& quorum();  // Is watched already.
    [[nodiscard]] Keys& keys();

    // The next event. Error::TryAgain: there is none, with Wait::Never.
    [[nodiscard]] Result<StreamEvent> next(Wait wait);
    // Readable while next() has something to say, or may have. Only for polling.
    [[nodiscard]] int fd() const;

  private:
    struct State;
    explicit Stream(std::unique_ptr<State> state);

    std::unique_ptr<State> state_;
};

}  // namespace halo
