// The keys of a node and of the cluster in C++: typed values by name, transactions, and being told
// of changes. docs/man/cmapd.8 says which keys live how long, and where.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <halo/groups.hpp>
#include <halo/result.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace halo {

// In the order of Corosync's twelve types. Text has no NUL.
using KeyValue = std::variant<std::int8_t, std::uint8_t, std::int16_t, std::uint16_t, std::int32_t,
                              std::uint32_t, std::int64_t, std::uint64_t, float, double,
                              std::string, std::vector<std::byte>>;

// "i8", "u8" … "flt", "dbl", "str", "bin", as corosync-cmapctl writes them.
[[nodiscard]] const char* type_name(const KeyValue& value);

struct Key {
    std::string name;
    KeyValue value;

    friend bool operator==(const Key&, const Key&) = default;
};

// A change that a watch was told of. Nothing: the key was, or is, not there. After a restart of the
// daemon that lasted very long an old value may be unknown.
struct KeyChange {
    std::string name;
    std::optional<KeyValue> before;
    std::optional<KeyValue> after;
};

// All or nothing, at one place of the order of changes. Its keys are all of this node, or all below
// "cluster.".
struct KeyTransaction {
    // What must hold; nothing: the key must not exist.
    std::map<std::string, std::optional<KeyValue>> conditions;
    // What is done; nothing: the key is deleted.
    std::map<std::string, std::optional<KeyValue>> writes;
};

// Why a change was refused.
struct KeyRefusal {
    Error error = Error::Lost;
    std::string reason;  // The daemon's words; may be empty.
};

// One session with cmapd on this node. For several threads; a call waits for its answer, and while
// the daemon is being restarted. A child after fork() must not use it.
class Keys {
  public:
    enum class Map : std::uint8_t { Configuration, Statistics };
    struct Options {
        Map map = Map::Configuration;
        // How long calls wait for a daemon that is gone before the session is lost.
        std::chrono::milliseconds resume{10'000};
    };

    [[nodiscard]] static Result<Keys> connect(const Options& options);
    [[nodiscard]] static Result<Keys> connect() { return connect(Options{}); }

    Keys(Keys&& other) noexcept;
    Keys& operator=(Keys&& other) noexcept;
    Keys(const Keys&) = delete;
    Keys& operator=(const Keys&) = delete;
    ~Keys();

    // How keys below "cluster." are read. Cluster: the answer has every change that was answered,
    // on any node, before the call: it costs a round of the ring. Error::TryAgain: this partition
    // is not quorate, or there was no answer in 5 s. Own: as this node has them, at once, also
    // without quorum: never older than what it was read to be before, perhaps older than what
    // another node knows. For all other keys both are the same.
    enum class Read : std::uint8_t { Cluster, Own };

    // Nothing: there is no such key.
    [[nodiscard]] Result<std::optional<KeyValue>> get(std::string_view name, Read read);
    [[nodiscard]] Result<std::optional<KeyValue>> get(std::string_view name);  // Read::Cluster.
    // All that begin with `prefix`, in byte order. Only a prefix that begins with "cluster." is
    // read from the cluster. More than 256 KiB come in pieces, each from a later moment than the
    // one before.
    [[nodiscard]] Result<std::vector<Key>> list(std::string_view prefix, Read read);
    [[nodiscard]] Result<std::vector<Key>> list(std::string_view prefix);  // Read::Cluster.

    // A key below "cluster." is changed on all nodes: the answer comes when it is stored here and
    // all nodes of the ring have it. Error::TryAgain: this partition may not write now.
    [[nodiscard]] tl::expected<void, KeyRefusal> set(std::string_view name, const KeyValue& value);
    // False: there was none.
    [[nodiscard]] tl::expected<bool, KeyRefusal> erase(std::string_view name);
    // Adds to an integer, in its width: it wraps.
    [[nodiscard]] tl::expected<void, KeyRefusal> add(std::string_view name, std::int32_t value);
    // False: a condition did not hold, and nothing was done.
    [[nodiscard]] tl::expected<bool, KeyRefusal> apply(const KeyTransaction& transaction);

    // From now on next() tells of changes of all keys that begin with `prefix`.
    [[nodiscard]] Result<void> watch(std::string_view prefix);
    // The next change; nothing: the daemon was restarted, and all goes on. Error::TryAgain: there
    // is none, with Wait::Never.
    [[nodiscard]] Result<std::optional<KeyChange>> next(Wait wait);
    // Readable while next() has something to say. Only for polling. -1: there is no daemon any
    // more, or no descriptor to spare.
    [[nodiscard]] int fd() const;

  private:
    struct Session;
    explicit Keys(std::unique_ptr<Session> session);

    std::unique_ptr<Session> session_;
};

}  // namespace halo
