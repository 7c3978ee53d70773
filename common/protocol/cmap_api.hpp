// What cmapd and a client say to each other inside a session (session_api.hpp): questions about
// keys and changes of them, and what a tracker is told. docs/wire-format-cmap.md has the bytes;
// decode_* takes any input.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/base/buffer.hpp"
#include "common/base/result.hpp"
#include "common/base/strong.hpp"
#include "common/protocol/cmap_value.hpp"
#include "common/protocol/ring_api.hpp"

namespace protocol::cmap {

inline constexpr std::uint8_t kCmapApiVersion = 1;

// Values of cmap_map_t.
enum class Map : std::uint8_t { Icmap = 0, Stats = 1 };

// Counts every change on this node, over restarts of cmapd: the later change has the greater one.
using Revision = base::Strong<struct RevisionTag, std::uint64_t>;

// Chosen by the client, unique in its session.
using TrackId = base::Strong<struct TrackIdTag, std::uint64_t>;

// Bits of TrackAdd::events and the kind of a Changed: values of CMAP_TRACK_*.
inline constexpr std::uint8_t kDelete = 1;
inline constexpr std::uint8_t kModify = 2;
inline constexpr std::uint8_t kAdd = 4;
inline constexpr std::uint8_t kEventBits = kDelete | kModify | kAdd;

inline constexpr std::size_t kTracksASessionMax = 1024;
// Of one transaction: conditions and writes each.
inline constexpr std::size_t kTransactionItemsMax = 256;

// ---------------------------------------------------------------- client → cmapd

// Answered by Got. Of a key below "cluster.": as it is in the cluster, with all that anybody was
// answered before it was asked; refused where the cluster can't be asked. `own`: as this node has
// it, at once, and perhaps behind.
struct Get {
    Map map = Map::Icmap;
    std::string key;
    bool own = false;
};
struct Set {
    Map map = Map::Icmap;
    std::string key;
    Value value;
};
struct Delete {
    Map map = Map::Icmap;
    std::string key;
};
// Adds `step` to an integer, in its width: it wraps.
struct Step {
    Map map = Map::Icmap;
    std::string key;
    std::int32_t step = 0;
};
// The first key that begins with `prefix` and is after `after`, in byte order; answered by Next.
// The map as it is at this moment: an iteration lives with every change.
struct Iterate {
    Map map = Map::Icmap;
    std::string prefix;
    std::string after;
};
// The same for many, with their values; answered by Listed. A prefix that begins with "cluster." is
// read as by Get; any other, and each with `own`, as this node has the keys.
struct List {
    Map map = Map::Icmap;
    std::string prefix;
    std::string after;
    bool own = false;
};
// Answered by Tracking. `since` 0: changes from now on. Else those after it too (a client that
// comes back says the last one it knows of).
struct TrackAdd {
    Map map = Map::Icmap;
    TrackId track{};
    std::string key;
    bool prefix = false;
    std::uint8_t events = 0;
    Revision since{};
};
struct TrackDelete {
    TrackId track{};
};
// All of it or nothing, at one place of the order of changes. All keys live in one place: on this
// node, or in the cluster. Answered by Done.
struct Condition {
    std::string key;
    std::optional<Value> value;  // Nothing: the key must not exist.

    friend bool operator==(const Condition&, const Condition&) = default;
};
struct Write {
    std::string key;
    std::optional<Value> value;  // Nothing: it is deleted, if it is there.

    friend bool operator==(const Write&, const Write&) = default;
};
struct Transaction {
    std::vector<Condition> conditions;
    std::vector<Write> writes;
};

using Request =
    std::variant<Get, Set, Delete, Step, Iterate, List, TrackAdd, TrackDelete, Transaction>;

// ---------------------------------------------------------------- cmapd → client
// The error is in the envelope; a refusal has a text that says why.

struct Refusal {
    std::string reason;
};
struct Got {
    Value value;
};
struct Next {
    std::string key;
    Type type = Type::Binary;
    std::uint32_t bytes = 0;
};
struct Item {
    std::string key;
    Value value;

    friend bool operator==(const Item&, const Item&) = default;
};
struct Listed {
    std::vector<Item> items;
    bool more = false;  // Ask again after the last one.
};
struct Tracking {
    Revision revision{};  // Of the last change before it tracks.
};
// Of a transaction: which condition did not hold, when the envelope says CS_ERR_EXIST.
struct Done {
    Revision revision{};
    std::uint32_t failed_condition = 0;
};

using Answer = std::variant<Refusal, Got, Next, Listed, Tracking, Done>;

// An event of a session.
struct Changed {
    TrackId track{};
    Revision revision{};
    std::uint8_t kind = 0;  // kAdd, kModify or kDelete.
    std::string key;
    std::optional<Value> old_value;
    std::optional<Value> new_value;

    friend bool operator==(const Changed&, const Changed&) = default;
};

// ---------------------------------------------------------------- codecs

[[nodiscard]] base::Expected<Request, FrameError> decode_request(const base::Buffer& frame);
[[nodiscard]] base::Expected<Answer, FrameError> decode_answer(const base::Buffer& frame);
[[nodiscard]] base::Expected<Changed, FrameError> decode_changed(const base::Buffer& frame);
[[nodiscard]] base::Buffer encode(const Request& request);
[[nodiscard]] base::Buffer encode(const Answer& answer);
[[nodiscard]] base::Buffer encode(const Changed& changed);

}  // namespace protocol::cmap
