#include "ringd/transport/rdma/poll_budget.hpp"

namespace transport {

base::Duration PollBudget::next() {
    if (score_ >= kWorthwhile || ++skipped_ == kTryEvery) {
        skipped_ = 0;
        return max_;
    }
    return base::Duration::zero();
}

}  // namespace transport
