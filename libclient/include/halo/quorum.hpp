// Whether the partition of this node may act: ask, and follow.
#pragma once

#include <chrono>
#include <cstdint>
#include <halo/groups.hpp>
#include <halo/result.hpp>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

namespace halo {

// The members changed; whether they are quorate is told by the next QuorumChange. Nodes ascend.
struct NodesChange {
    std::uint64_t ring_seq = 0;
    std::uint32_t representative = 0;
    std::vector<std::uint32_t> nodes;
    std::vector<std::uint32_t> joined;
    std::vector<std::uint32_t> left;
};

// It was decided, or the lease has ended or begun again. Nodes ascend.
struct QuorumChange {
    bool quorate = false;
    std::uint64_t ring_seq = 0;
    std::uint32_t representative = 0;
    std::vector<std::uint32_t> nodes;
};

struct QuorumState {
    bool quorate = false;
    bool has_provider = true;  // False: every partition is quorate.
    // Until when that holds without further word, by CLOCK_BOOTTIME. Nothing: it has no end.
    std::optional<std::chrono::nanoseconds> until;
};

// Resumed: quorumd was gone and is back; what holds now is told again.
using QuorumEvent = std::variant<NodesChange, QuorumChange, Resumed>;

// One session with quorumd on this node. For several threads; a call waits for its answer, and
// while the daemon is being restarted. A child after fork() must not use it.
class Quorum {
  public:
    struct Options {
        // How long calls wait for a daemon that is gone before the session is lost.
        std::chrono::milliseconds resume{10'000};
    };

    [[nodiscard]] static Result<Quorum> connect(const Options& options);
    [[nodiscard]] static Result<Quorum> connect() { return connect(Options{}); }

    Quorum(Quorum&& other) noexcept;
    Quorum& operator=(Quorum&& other) noexcept;
    Quorum(const Quorum&) = delete;
    Quorum& operator=(const Quorum&) = delete;
    ~Quorum();

    [[nodiscard]] Result<QuorumState> state();

    // From now on next() tells of changes; first, of what holds. Error::Joined: called before.
    [[nodiscard]] Result<void> watch();
    // The next event. Error::TryAgain: there is none, with Wait::Never.
    [[nodiscard]] Result<QuorumEvent> next(Wait wait);
    // Readable while next() has something to say. Only for polling; as Groups::fd(), also
    // after Resumed.
    [[nodiscard]] int fd() const;

  private:
    struct Session;
    explicit Quorum(std::unique_ptr<Session> session);

    std::unique_ptr<Session> session_;
};

}  // namespace halo
