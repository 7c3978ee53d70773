// Requests of clients.
#include <algorithm>

#include "cmapd/core/core.hpp"
#include "cmapd/core/listing.hpp"

namespace cmap {
namespace {

namespace api = protocol::cmap;

bool is_prefix(std::string_view prefix) {
    return prefix.size() <= api::kKeyBytesMax && std::ranges::all_of(prefix, api::is_key_char);
}

template <class Map>
std::optional<api::Next> next_of(const Map& all, const api::Iterate& iterate) {
    const auto found = next_in(all, iterate.prefix, iterate.after);
    if (found == all.end()) return std::nullopt;
    const Value& value = value_of(found->second);
    return api::Next{.key = found->first,
                     .type = value.type,
                     .bytes = static_cast<std::uint32_t>(value.bytes.size())};
}

// Where the keys of a transaction live; nothing: in several places.
std::optional<Place> place_of_all(const api::Transaction& all) {
    std::optional<Place> place;
    bool same = true;
    const auto look = [&](const std::string& key) {
        same = same && (!place || *place == place_of(key));
        place = place_of(key);
    };
    std::ranges::for_each(all.conditions, look, &api::Condition::key);
    std::ranges::for_each(all.writes, look, &api::Write::key);
    return same && place ? place : std::nullopt;
}

}  // namespace

// ---------------------------------------------------------------- sessions

void Core::on(Context&, const SessionOpened& opened) {
    std::erase(gone_, opened.session);
    if (opened.came_back) returning_.insert(opened.session);
}

void Core::on(Context&, const SessionClosed& closed) {
    returning_.erase(closed.session);
    trackers_.remove_all(closed.session);
    std::erase_if(waiting_for_stats_,
                  [&](const Asked& asked) { return asked.session == closed.session; });
    std::erase_if(cluster_reads_, [&](const ClusterRead& read) {
        if (read.session != closed.session) return false;
        replica_.abandon_read(read.session, read.number);
        return true;
    });
    std::erase_if(cluster_writes_, [&](const auto& each) {
        if (each.first.first != closed.session) return false;
        // Whoever comes back asks again; what is in the order by then is answered from there.
        replica_.abandon(each.first.first, each.first.second);
        return true;
    });
    if (!answered_.contains(closed.session)) return;
    gone_.push_back(closed.session);
    if (closed.for_good) std::swap(gone_.front(), gone_.back());
    if (gone_.size() <= kGoneMax && !closed.for_good) return;
    answered_.erase(gone_.front());
    forgotten_.push_back(gone_.front());
    gone_.pop_front();
}

void Core::answer(Context& context, const Asked& asked, CsError error,
                  const base::Buffer& payload) {
    context.actions.emplace_back(Answer{
        .session = asked.session, .number = asked.number, .error = error, .payload = payload});
}

void Core::refuse(Context& context, const Asked& asked, CsError error, const char* reason) {
    answer(context, asked, error, api::encode(api::Answer{api::Refusal{.reason = reason}}));
}

void Core::on(Context& context, const Asked& asked) {
    const auto request = api::decode_request(asked.payload);
    if (!request) {
        ++counters_.malformed;
        return refuse(context, asked, CsError::InvalidParam, "the request is malformed");
    }
    std::visit([&](const auto& what) { serve(context, asked, what); }, *request);
}

// ---------------------------------------------------------------- questions

void Core::serve(Context& context, const Asked& asked, const api::Get& get) {
    if (get.map == Map::Stats && !are_stats_fresh(context, asked)) return;
    ++counters_.gets;
    const bool is_of_cluster = get.map == Map::Icmap && place_of(get.key) == Place::Cluster;
    if (is_of_cluster && !get.own) return enqueue_cluster_read(context, asked, get);
    const Value* value = nullptr;
    if (get.map == Map::Icmap) {
        value = keys_.find(get.key);
    } else if (const auto found = stats_.find(get.key); found != stats_.end()) {
        value = &found->second;
    }
    if (value == nullptr) return refuse(context, asked, CsError::NotExist, "no such key");
    answer(context, asked, CsError::Ok, api::encode(api::Answer{api::Got{.value = *value}}));
}

void Core::serve(Context& context, const Asked& asked, const api::Iterate& iterate) {
    if (!is_prefix(iterate.prefix)) {
        return refuse(context, asked, CsError::NameTooLong, "the prefix is no beginning of a key");
    }
    if (iterate.map == Map::Stats && !are_stats_fresh(context, asked)) return;
    ++counters_.iterations;
    const auto next =
        iterate.map == Map::Icmap ? next_of(keys_.all(), iterate) : next_of(stats_, iterate);
    if (!next) return refuse(context, asked, CsError::NoSections, "no more keys");
    answer(context, asked, CsError::Ok, api::encode(api::Answer{*next}));
}

void Core::serve(Context& context, const Asked& asked, const api::List& list) {
    if (!is_prefix(list.prefix)) {
        return refuse(context, asked, CsError::NameTooLong, "the prefix is no beginning of a key");
    }
    if (list.map == Map::Stats && !are_stats_fresh(context, asked)) return;
    ++counters_.iterations;
    const bool is_of_cluster = list.map == Map::Icmap && place_of(list.prefix) == Place::Cluster;
    if (is_of_cluster && !list.own) return enqueue_cluster_read(context, asked, list);
    answer(context, asked, CsError::Ok,
           api::encode(api::Answer{list.map == Map::Icmap ? list_of(keys_.all(), list)
                                                          : list_of(stats_, list)}));
}

// ---------------------------------------------------------------- trackers

void Core::serve(Context& context, const Asked& asked, const TrackAdd& add) {
    if (!is_prefix(add.key) || (!add.prefix && !api::is_key(add.key))) {
        return refuse(context, asked, CsError::NameTooLong, "no name of a key");
    }
    if (add.events == 0) {
        return refuse(context, asked, CsError::InvalidParam, "no kind of change is asked for");
    }
    constexpr std::uint8_t kBoth = api::kAdd | api::kDelete;
    if (add.map == Map::Stats && add.prefix && (add.events & kBoth) != kBoth) {
        return refuse(context, asked, CsError::NotSupported,
                      "a prefix of the statistics is tracked for added and deleted keys");
    }
    if (trackers_.count(asked.session) >= api::kTracksASessionMax) {
        return refuse(context, asked, CsError::NoResources, "too many trackers");
    }
    trackers_.add(asked.session, add);
    answer(context, asked, CsError::Ok,
           api::encode(api::Answer{api::Tracking{.revision = keys_.revision()}}));
    if (add.map == Map::Stats) {
        collect_stats(context);  // What changes from now on is told.
    } else if (add.since > Revision{}) {
        tell_missed(context, asked.session, add);
    }
}

void Core::serve(Context& context, const Asked& asked, const api::TrackDelete& gone) {
    if (!trackers_.remove(asked.session, gone.track)) {
        return refuse(context, asked, CsError::NotExist, "no such tracker");
    }
    answer(context, asked, CsError::Ok,
           api::encode(api::Answer{api::Tracking{.revision = keys_.revision()}}));
}

// Changes between the client's last word and now. Older than the journal: what is there still is
// told as it is now, and what was deleted can't be told.
void Core::tell_missed(Context& context, SessionId session, const TrackAdd& add) {
    Trackers only;
    only.add(session, add);
    const auto tell_one = [&](const Change& change) {
        if (only.find(Map::Icmap, change).empty()) return;
        ++counters_.notifications;
        context.actions.emplace_back(
            Tell{.session = session,
                 .payload = api::encode(api::Changed{.track = add.track,
                                                     .revision = change.revision,
                                                     .kind = kind_of(change),
                                                     .key = change.key,
                                                     .old_value = change.old_value,
                                                     .new_value = change.new_value})});
    };
    if (add.since < journal_.floor()) {
        for (const auto& [key, entry] : keys_.all()) {
            if (entry.revision <= add.since || entry.revision > journal_.floor()) continue;
            tell_one({.revision = entry.revision,
                      .key = key,
                      .old_value = std::nullopt,
                      .new_value = entry.value});
        }
    }
    for (const Change& change : journal_.changes()) {
        if (change.revision > add.since) tell_one(change);
    }
}

// ---------------------------------------------------------------- changes

// Done already, in a life before: said again, and not done again.
bool Core::is_repeat(Context& context, const Asked& asked) {
    if (asked.number == 0) return false;
    const auto found = answered_.find(asked.session);
    if (found == answered_.end() || found->second.number != asked.number) return false;
    ++counters_.repeats_answered;
    answer(context, asked, found->second.error, found->second.payload);
    return true;
}

void Core::enqueue(Context& context, const Asked& asked, api::Request request) {
    returning_.erase(asked.session);
    if (is_repeat(context, asked)) return;
    waiting_.emplace_back(ClientWrite{
        .session = asked.session, .number = asked.number, .request = std::move(request)});
}

// A refusal says that nothing was done: of a request that may have been asked before nobody can say
// that, until the nodes agree on the keys. So it waits.
void Core::enqueue_cluster_write(Context& context, const Asked& asked, api::Request request) {
    const bool may_be_done = returning_.erase(asked.session) > 0;
    if (state_error_ && !may_be_done) {
        return refuse(context, asked, CsError::NoSpace, state_error_->c_str());
    }
    if (!replica_.is_open() && !may_be_done) {
        return refuse(context, asked, CsError::TryAgain, replica_.why_closed());
    }
    cluster_writes_.insert_or_assign(
        {asked.session, asked.number},
        ClusterWrite{.request = request, .give_up_at = context.now + kClusterWriteTime});
    Replica::Out out;
    replica_.write(asked.session, asked.number, std::move(request), out);
    take(context, std::move(out));
}

void Core::serve(Context& context, const Asked& asked, const api::Set& set) {
    if (set.map == Map::Stats) return clear_stats(context, asked, set);
    ++counters_.sets;
    if (is_read_only(set.key)) return refuse(context, asked, CsError::Access, "read-only key");
    if (!api::is_key(set.key)) {
        return refuse(context, asked, CsError::NameTooLong, "no name of a key");
    }
    if (place_of(set.key) == Place::Cluster) return enqueue_cluster_write(context, asked, set);
    enqueue(context, asked, set);
}

void Core::serve(Context& context, const Asked& asked, const api::Delete& gone) {
    if (gone.map == Map::Stats) {
        return refuse(context, asked, CsError::NotSupported, "statistics can't be deleted");
    }
    ++counters_.deletes;
    if (is_read_only(gone.key)) return refuse(context, asked, CsError::Access, "read-only key");
    if (place_of(gone.key) == Place::Cluster) return enqueue_cluster_write(context, asked, gone);
    enqueue(context, asked, gone);
}

void Core::serve(Context& context, const Asked& asked, const api::Step& step) {
    if (step.map == Map::Stats) {
        return refuse(context, asked, CsError::NotSupported, "statistics can't be changed");
    }
    ++counters_.steps;
    if (is_read_only(step.key)) return refuse(context, asked, CsError::Access, "read-only key");
    if (place_of(step.key) == Place::Cluster) return enqueue_cluster_write(context, asked, step);
    enqueue(context, asked, step);
}

void Core::serve(Context& context, const Asked& asked, const api::Transaction& all) {
    ++counters_.transactions;
    const bool are_keys = std::ranges::all_of(all.conditions, api::is_key, &api::Condition::key) &&
                          std::ranges::all_of(all.writes, api::is_key, &api::Write::key);
    if (!are_keys) return refuse(context, asked, CsError::NameTooLong, "no name of a key");
    if (std::ranges::any_of(all.writes, is_read_only, &api::Write::key)) {
        return refuse(context, asked, CsError::Access, "read-only key");
    }
    const auto place = place_of_all(all);
    if (!place) {
        return refuse(context, asked, CsError::InvalidParam,
                      "the keys of one transaction live in one place");
    }
    if (*place == Place::Cluster) return enqueue_cluster_write(context, asked, all);
    enqueue(context, asked, all);
}

}  // namespace cmap
