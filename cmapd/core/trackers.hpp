// Who wants to be told of which changes.
#pragma once

#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cmapd/core/keys.hpp"
#include "common/protocol/cmap_api.hpp"
#include "common/protocol/session_api.hpp"

namespace cmap {

using protocol::cmap::Map;
using protocol::cmap::TrackAdd;
using protocol::cmap::TrackId;
using protocol::session::SessionId;

// The kind of a change, as a bit of TrackAdd::events.
[[nodiscard]] std::uint8_t kind_of(const Change& change);

class Trackers {
  public:
    struct Tracker {
        SessionId session{};
        TrackId track{};
        std::uint8_t events = 0;
        bool prefix = false;
    };

    // Replaces one of the same session and id.
    void add(SessionId session, const TrackAdd& add);
    // False: there is none.
    bool remove(SessionId session, TrackId track);
    void remove_all(SessionId session);

    [[nodiscard]] std::size_t count(SessionId session) const;
    [[nodiscard]] std::size_t count() const { return tracks_.size(); }
    [[nodiscard]] bool is_empty(Map map) const;

    // Ascending by session and track.
    [[nodiscard]] std::vector<Tracker> find(Map map, const Change& change) const;

  private:
    using Id = std::pair<SessionId, TrackId>;
    // Exact keys and prefixes, by their text: a key is looked up once, and once for each of its
    // beginnings, however many trackers there are.
    using Index = std::map<std::string, std::vector<Tracker>, std::less<>>;

    void collect(const Index& index, std::string_view text, std::uint8_t kind,
                 std::vector<Tracker>& found) const;
    [[nodiscard]] Index& index_of(Map map, bool prefix);

    std::map<Id, TrackAdd> tracks_;
    std::array<Index, 2> exact_;   // By map.
    std::array<Index, 2> prefix_;  // By map.
};

}  // namespace cmap
