// A wire between two UNIX sockets that can be cut, after any byte.
#pragma once

#include <cstddef>
#include <list>
#include <optional>
#include <string>

#include "common/os/unique_fd.hpp"
#include "common/zmtp/listener.hpp"

class Relay {
  public:
    // Who connects to `path` is connected to `target`.
    Relay(const std::string& path, std::string target);

    void turn();
    // All connections end, with what is on its way.
    void cut();
    // The connection that is there ends after so many bytes more, of both directions together.
    void cut_after(std::size_t bytes) { bytes_left_ = bytes; }
    [[nodiscard]] bool has_cut() const { return !bytes_left_; }

  private:
    struct Wire {
        os::UniqueFd near;
        os::UniqueFd far;
        std::string to_far;
        std::string to_near;
    };
    void accept();
    // False: an end is gone.
    bool carry(Wire& wire);
    bool move(int from, int to, std::string& waiting);

    zmtp::Listener listener_;
    std::string target_;
    std::list<Wire> wires_;
    std::optional<std::size_t> bytes_left_;
};
