// To a daemon's socket on this node, and what every library waits for there.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "common/base/buffer.hpp"
#include "common/base/result.hpp"
#include "common/zmtp/connection.hpp"
#include "corosync/corotypes.h"

namespace client {

template <class T>
using CsResult = base::Expected<T, cs_error_t>;

// What a function of the C interface that gives a value does: the value is there when it says
// CS_OK.
template <class T>
cs_error_t hand_out(const CsResult<T>& result, T& value) {
    if (result) value = *result;
    return result ? CS_OK : result.error();
}

using Clock = std::chrono::steady_clock;

// A daemon that accepts and then says nothing (it is starting, or stopped) has this long: the
// caller is told CS_ERR_TRY_AGAIN instead of being held up.
inline constexpr std::chrono::seconds kHandshakeTimeout{2};

// Waits until `fd` is readable or closed, or `deadline` has passed (false). A cancellation point:
// hold no lock that does not release itself.
bool wait_readable(int fd, std::optional<Clock::time_point> deadline);

// The peer closed, or is gone. Says nothing about bytes that are still to be read.
[[nodiscard]] bool is_hung_up(int fd);

// Reads what is there but for the last byte, and that one when it is alone ("hold-back byte"): so
// the descriptor stays readable while messages wait that we have read ahead, and alone the byte
// completes at most one message. Read only when next_message() has nothing. Gives the bytes read.
base::Expected<std::size_t, zmtp::ConnectionError> read_held_back(zmtp::Connection& connection);

struct Opened {
    zmtp::Connection connection;
    base::Buffer answer;
};

// What a connection is for.
struct Kind {
    std::uint32_t features = 0;  // Beyond version 1 of the frames; both as in zmtp::Limits.
    bool takes_descriptor = false;
    bool is_polled = false;  // By the application: nothing of what follows the answer is read.
};

// Whether somebody listens at the socket `name`: a daemon, or who starts one that has ended again.
[[nodiscard]] bool is_served(std::string_view name);

// Connects to the socket `name` in the run folder (/run/halo, or HALO_RUN_DIR), sends `first` and
// waits for the answer. CS_ERR_LIBRARY at once: nobody listens there.
[[nodiscard]] CsResult<Opened> open_connection(std::string_view name, const base::Buffer& first,
                                               const Kind& kind = {});

// As open_connection(), but leaves the answer to who reads next: gives the connection when some of
// the answer has come, and the last byte of what came is still in the kernel. So the socket is
// readable from the start. `kind` is_polled.
[[nodiscard]] CsResult<zmtp::Connection> begin_connection(std::string_view name,
                                                          const base::Buffer& first,
                                                          const Kind& kind = {});

}  // namespace client
