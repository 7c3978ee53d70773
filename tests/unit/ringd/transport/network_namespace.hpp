// A network of its own for a test: a loopback interface that can be cut and made narrow.
#pragma once

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>
#include <functional>
#include <thread>

#include "common/os/unique_fd.hpp"

class LoopbackInterface {
  public:
    bool set_up(bool up) {
        ifreq request = named();
        if (::ioctl(control_.get(), SIOCGIFFLAGS, &request) != 0) return false;
        const int flags = up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP;
        request.ifr_flags = static_cast<short>(flags);
        return ::ioctl(control_.get(), SIOCSIFFLAGS, &request) == 0;
    }
    bool set_mtu(int bytes) {
        ifreq request = named();
        request.ifr_mtu = bytes;
        return ::ioctl(control_.get(), SIOCSIFMTU, &request) == 0;
    }

  private:
    static ifreq named() {
        ifreq request{};
        std::strcpy(request.ifr_name, "lo");
        return request;
    }
    os::UniqueFd control_{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
};

// Runs `test` in a thread that has a network namespace of its own; false without the right to.
inline bool in_network_namespace(const std::function<void(LoopbackInterface&)>& test) {
    bool ran = false;
    std::thread thread([&] {
        if (::unshare(CLONE_NEWNET) != 0) return;
        LoopbackInterface loopback;
        if (!loopback.set_up(true)) return;
        ran = true;
        test(loopback);
    });
    thread.join();
    return ran;
}
