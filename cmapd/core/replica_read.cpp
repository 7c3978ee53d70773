// Reads of the cluster's keys: each waits for a mark in the order.
#include <algorithm>
#include <utility>

#include "cmapd/core/listing.hpp"
#include "cmapd/core/replica.hpp"
#include "common/base/invariant.hpp"

namespace cmap {

namespace api = protocol::cmap;

void Replica::read(SessionId session, std::uint64_t number, api::Request request, Out& out) {
    reads_.push_back({.session = session, .number = number, .request = std::move(request)});
    go_on(out);
}

void Replica::abandon_read(SessionId session, std::uint64_t number) {
    const auto is_it = [&](const Read& read) {
        return read.session == session && read.number == number;
    };
    std::erase_if(reads_, is_it);
    std::erase_if(marked_reads_, is_it);
    std::erase_if(seen_reads_, [&](const SeenRead& seen) { return is_it(seen.read); });
}

// One at a time: what comes while it is under way began after it, and waits for the next.
void Replica::send_mark(Out& out) {
    if (reads_.empty() || mark_) return;
    // The time, so that no life of this node says a number again.
    const auto now = static_cast<std::uint64_t>(now_.time_since_epoch().count());
    last_mark_ = std::max(last_mark_ + 1, now);
    mark_ = Mark{.incarnation = incarnation_, .number = last_mark_};
    marked_reads_ = std::exchange(reads_, {});
    out.submits.push_back({.payload = encode_record(*mark_)});
}

void Replica::take_back_mark() {
    mark_.reset();
    reads_.insert(reads_.begin(), marked_reads_.begin(), marked_reads_.end());
    marked_reads_.clear();
}

void Replica::read_all_again() {
    take_back_mark();
    for (SeenRead& seen : std::exchange(seen_reads_, {})) {
        reads_.push_back(std::move(seen.read));
    }
}

// Where this node may not answer a write it may not answer a read: they wait for another mark.
void Replica::on_mark(const Mark& mark, Out& out) {
    if (mark != mark_) return;  // Of a life before.
    if (!is_open() || came_along_) return take_back_mark();
    mark_.reset();
    for (Read& read : std::exchange(marked_reads_, {})) {
        Answered answer = look_up(read);
        seen_reads_.push_back(
            {.read = std::move(read), .answer = std::move(answer), .total = total_});
    }
    go_on(out);
}

Replica::Answered Replica::look_up(const Read& read) const {
    Answered answer{
        .session = read.session, .number = read.number, .error = CsError::Ok, .payload = {}};
    if (const auto* list = std::get_if<api::List>(&read.request)) {
        answer.payload = api::encode(api::Answer{list_of(keys_, *list)});
        return answer;
    }
    const auto* get = std::get_if<api::Get>(&read.request);
    INVARIANT(get != nullptr);
    const auto found = keys_.find(get->key);
    if (found == keys_.end()) {
        answer.error = CsError::NotExist;
        answer.payload = api::encode(api::Answer{api::Refusal{.reason = "no such key"}});
    } else {
        answer.payload = api::encode(api::Answer{api::Got{.value = found->second}});
    }
    return answer;
}

// In the order of their marks, so the first that must wait lets the others wait.
void Replica::answer_reads(std::uint64_t stored, Apply& apply) {
    auto at = seen_reads_.begin();
    const bool is_begun = version_.epoch == view_.ring;
    for (; is_begun && at != seen_reads_.end() && at->total <= stored; ++at) {
        apply.answers.push_back(std::move(at->answer));
    }
    seen_reads_.erase(seen_reads_.begin(), at);
}

}  // namespace cmap
