// Which epoll instances of this process watch a descriptor.
#pragma once

#include <cstdint>
#include <vector>

namespace client {

// epoll watches the file behind a number, not the number. So when the file is replaced, every
// instance that watched the old one must be told of the new one, or whoever waits there waits for
// ever.
class EpollWatches {
  public:
    // Finds what watches `fd`, in /proc. Nothing where there is no /proc.
    explicit EpollWatches(int fd);

    // Takes the old file out of all of them, before it is replaced.
    void remove() const;
    // Puts the new one in, with the events and data that the old one had.
    void restore() const;

  private:
    void look_into(int epoll);

    struct Watch {
        int epoll = -1;
        std::uint32_t events = 0;
        std::uint64_t data = 0;
    };
    int fd_;
    std::vector<Watch> watches_;
};

}  // namespace client
