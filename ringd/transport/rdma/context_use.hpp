// librdmacm opens a device once for a process, so that several links on it share what it opened.
// When the device is removed, its driver may wait until the process has let go of that; who lets
// go of it before the others have given back what is theirs makes it wait for ever.
#pragma once

#include <infiniband/verbs.h>

namespace transport {

// One link's use of a device. All are of one thread, and none outlives the program's static data.
class ContextUse {
  public:
    ContextUse() = default;
    // `opened` is librdmacm's, and not closed by it before the device is removed.
    explicit ContextUse(ibv_context& opened);
    ContextUse(ContextUse&& other) noexcept;
    ContextUse& operator=(ContextUse&& other) noexcept;
    ~ContextUse() { end(); }

    // The device is gone for good: the last to end its use lets go of it.
    void set_removed();

  private:
    void end();

    ibv_context* opened_ = nullptr;
};

}  // namespace transport
