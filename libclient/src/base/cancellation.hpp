// pthread_cancel() and us: a thread may be cancelled where it waits, and nowhere else, so that
// nothing is half done and no lock stays held.
#pragma once

#include <pthread.h>

namespace client {

// While it lives, the thread can't be cancelled but within an Opening.
class CancellationShield {
  public:
    CancellationShield() : outer_(callers_state_) {
        // It fails for a state that does not exist only.
        (void)::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &callers_state_);
    }
    ~CancellationShield() {
        (void)::pthread_setcancelstate(callers_state_, nullptr);
        callers_state_ = outer_;
    }
    CancellationShield(const CancellationShield&) = delete;
    CancellationShield& operator=(const CancellationShield&) = delete;

    // A stretch with the setting of the program that called us: while we wait, and in its
    // callbacks. Hold no state in a half-way condition there.
    class Opening {
      public:
        Opening() { (void)::pthread_setcancelstate(callers_state_, nullptr); }
        ~Opening() { (void)::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr); }
        Opening(const Opening&) = delete;
        Opening& operator=(const Opening&) = delete;
    };

  private:
    // A callback may call the library again: shields nest, the innermost knows its caller's.
    static inline thread_local int callers_state_ = PTHREAD_CANCEL_ENABLE;
    int outer_;
};

}  // namespace client
