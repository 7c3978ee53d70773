// Which commit this program was built from: the first thing that a run prints.
#pragma once

namespace sim {

extern const char* const kCommit;

}  // namespace sim
