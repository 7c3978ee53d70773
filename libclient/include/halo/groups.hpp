// Closed process groups in C++: join groups by name, send to them, and take one stream of events in
// which all members of a group see the same messages and changes in the same order.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <halo/result.hpp>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace halo {

inline constexpr std::size_t kGroupNameMax = 128;

// A process on a node.
struct Member {
    std::uint32_t node = 0;
    std::uint32_t pid = 0;

    friend auto operator<=>(const Member&, const Member&) = default;
};

// Why a member came or went.
enum class Reason : std::uint8_t {
    Undefined = 0,
    Join = 1,
    Leave = 2,
    NodeDown = 3,
    NodeUp = 4,
    ProcessDown = 5
};

struct Change {
    Member member{};
    Reason reason = Reason::Undefined;

    friend auto operator<=>(const Change&, const Change&) = default;
};

// A group that was joined here: valid until its Membership with this process among `left`.
class Group {
  public:
    Group() = default;
    explicit constexpr Group(std::uint32_t number) : number_(number) {}
    [[nodiscard]] constexpr std::uint32_t number() const { return number_; }

    friend auto operator<=>(const Group&, const Group&) = default;

  private:
    std::uint32_t number_ = 0;
};

// The bytes are the receiver's own, aligned for any type.
struct Message {
    Group group{};
    Member sender{};
    std::vector<std::byte> bytes;
};

// The first event of a group that was joined, and each change after it. Members ascend.
struct Membership {
    Group group{};
    std::vector<Member> members;
    std::vector<Change> left;
    std::vector<Change> joined;
};

// After the Memberships that a new ring caused, if Options ask for it.
struct Ring {
    Group group{};
    std::uint64_t seq = 0;
    std::uint32_t representative = 0;
    std::vector<std::uint32_t> nodes;  // Ascending.
};

// The daemon was gone and is back: nothing was lost, and all goes on. fd() has the same number, but
// epoll has forgotten it: add it again.
struct Resumed {};

using Event = std::variant<Message, Membership, Ring, Resumed>;

enum class Guarantee : std::uint8_t {
    Agreed,  // Delivered in the common order.
    Safe     // And only when the nodes of all members hold it.
};

enum class Wait : std::uint8_t { Never, ForEvent };

struct GroupMembers {
    std::string name;
    std::vector<Member> members;
};

// One session with cpgd on this node. For several threads; a call waits only where it says so, and
// while the daemon is being restarted. A child after fork() must not use it.
class Groups {
  public:
    struct Options {
        bool rings = false;         // Ring events.
        bool initial_ring = false;  // One right after the first Membership of each group, too.
        // How long calls wait for a daemon that is gone before the session is lost.
        std::chrono::milliseconds resume{10'000};
    };

    // Error::TryAgain: the node is not synchronised with the others yet.
    [[nodiscard]] static Result<Groups> connect(const Options& options);
    [[nodiscard]] static Result<Groups> connect() { return connect(Options{}); }

    Groups(Groups&& other) noexcept;
    Groups& operator=(Groups&& other) noexcept;
    Groups(const Groups&) = delete;
    Groups& operator=(const Groups&) = delete;
    // Joined groups are left with Reason::ProcessDown. What was sent before is still ordered.
    ~Groups();

    // Waits for its place in the order. The group's first Membership may come before it returns.
    [[nodiscard]] Result<Group> join(std::string_view name);
    [[nodiscard]] Result<void> leave(Group group);

    // A result means: taken, and will be ordered after all that this session sent before.
    // Error::TryAgain: nothing was taken, as the network or a receiver is busy.
    [[nodiscard]] Result<void> send(Group group, std::span<const std::byte> message,
                                    Guarantee guarantee = Guarantee::Agreed);
    // One message of several pieces.
    [[nodiscard]] Result<void> send(Group group, std::span<const std::span<const std::byte>> pieces,
                                    Guarantee guarantee = Guarantee::Agreed);

    // The next event. Error::TryAgain: there is none, with Wait::Never.
    [[nodiscard]] Result<Event> next(Wait wait);
    // Readable while next() has something to say. Only for polling. -1: there is no daemon any
    // more, or no descriptor to spare.
    [[nodiscard]] int fd() const;

    [[nodiscard]] std::uint32_t node() const;
    // Members now of any group, joined or not.
    [[nodiscard]] Result<std::vector<Member>> members(std::string_view name);
    [[nodiscard]] Result<std::vector<GroupMembers>> all();

  private:
    struct Session;
    explicit Groups(std::unique_ptr<Session> session);

    std::unique_ptr<Session> session_;
};

}  // namespace halo
