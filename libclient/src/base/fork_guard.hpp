// What a library keeps in a process, and a child after fork() must not touch: locks that a thread
// of the parent may have held, sockets of the parent's stream.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <mutex>
#include <new>

namespace client {

// Owns one State a process. The pointer to it lies in a page that the kernel wipes in a child
// (MADV_WIPEONFORK; a look costs nothing, where getpid() is a system call): so a child finds none,
// before it takes any lock, and may make its own. Neither is ever freed: a library has no moment at
// which no thread is inside it.
template <class State>
class PerProcess {
  public:
    PerProcess() {
        void* page = ::mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) return;
        if (::madvise(page, sizeof(Page), MADV_WIPEONFORK) != 0) {
            (void)::munmap(page, sizeof(Page));  // It can only fail on a range that is not ours.
            return;
        }
        page_ = new (page) Page{};
    }

    // Nothing: make() was not called in this process.
    [[nodiscard]] State* get() const {
        return page_ == nullptr ? nullptr : page_->state.load(std::memory_order_acquire);
    }

    // The state of this process, made when there is none. Nothing: a kernel without MADV_WIPEONFORK
    // (before 4.14).
    [[nodiscard]] State* make() const {
        if (page_ == nullptr) return nullptr;
        const std::lock_guard lock(page_->making);
        if (get() == nullptr) page_->state.store(new State, std::memory_order_release);
        return get();
    }

  private:
    // All bytes zero, as a child finds it, is the initial state of each field.
    struct Page {
        std::atomic<State*> state;
        std::mutex making;
    };

    Page* page_ = nullptr;
};

}  // namespace client
