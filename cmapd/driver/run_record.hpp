// A commit's part of the node's run as bytes, for RunLog.
#pragma once

#include "cmapd/core/events.hpp"
#include "common/base/buffer.hpp"
#include "common/base/result.hpp"

namespace cmapd {

// Of a commit with what belongs to the run: changes, answers, forgotten sessions, names of the
// configuration, the journal's floor.
[[nodiscard]] base::Buffer encode_run_record(const cmap::Commit& commit);
// Any bytes.
[[nodiscard]] base::Expected<cmap::Commit, protocol::FrameError> decode_run_record(
    const base::Buffer& bytes);

// `next` on top of `all`: to store that is to store one after the other.
void add_run_record(cmap::Commit& all, cmap::Commit next);

}  // namespace cmapd
