#include "ringd/continuation.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/os/clock.hpp"
#include "common/os/notify.hpp"
#include "ringd/obituary_file.hpp"

namespace ringd {
namespace {

constexpr const char* kObituaryName = "obituary";
constexpr const char* kMemoryName = "memory";

std::string socket_name(totem::LinkId link) {
    return "link" + std::to_string(link.value());
}

// Queue pairs end with their process: peers would go on sending to those of the one before.
bool has_rdma(const transport::NetworkConfig& network) {
    return std::ranges::any_of(network.links, [](const transport::LinkConfig& link) {
        return link.kind == transport::LinkKind::Rdma;
    });
}

// What came for the process before is not for a new life.
void empty(int socket) {
    std::array<std::byte, 1> rest;
    while (::recv(socket, rest.data(), rest.size(), MSG_DONTWAIT | MSG_TRUNC) >= 0) {
    }
}

}  // namespace

void Continuation::begin(const totem::RingConfig& ring, const stream::SwitchConfig& streams,
                         transport::NetworkConfig& network, std::uint32_t key_id) {
    const std::string obituary = started_.in_private(kObituaryName);
    (void)::unlink(withheld_mark(obituary).c_str());  // From here on it is our affair.
    stamp_ = stamp_of(ring, network, key_id);
    open_memory(network);
    if (memory_) {
        // Without an obituary the others were told that the process before is dead.
        if (was_left_ && ::access(obituary.c_str(), F_OK) == 0) {
            look(ring, streams);
        } else if (was_left_) {
            refused_ = "the others were told of its death";
        }
        channel_.emplace(memory_->channel());
        network.memory = &*channel_;
    }
    if (former_) {
        network.left = former_->channel;
    } else {
        if (!refused_.empty()) {
            log_.warning("cannot go on as the process before, starting afresh",
                         {{"REASON", refused_}});
        }
        if (const auto sent = send_obituary_file(obituary); !sent) {
            log_.info("cannot tell the others that the process before is dead",
                      {{"ERROR", sent.error().text()}});
        }
    }
    take_over_sockets(network);
}

// Memory that nobody keeps is of no use.
void Continuation::open_memory(const transport::NetworkConfig& network) {
    auto left = handed_down_.take(kMemoryName);
    if (!started_.loaded.cluster.system.resume || has_rdma(network)) {
        if (left) os::forget_descriptor(kMemoryName);
        return;
    }
    if (left) {
        auto adopted = LastingMemory::adopt(std::move(*left));
        if (adopted) {
            memory_.emplace(std::move(*adopted));
            was_left_ = true;
            return;
        }
        refused_ = adopted.error().text();
    }
    auto created = LastingMemory::create();
    if (!created) {
        log_.warning("cannot keep the ring's state, a death of this process is a crash",
                     {{"ERROR", created.error().text()}});
    } else if (const auto kept = os::store_descriptor(kMemoryName, created->fd()); !kept) {
        log_.info("nobody keeps the ring's state, a death of this process is a crash",
                  {{"ERROR", kept.error().text()}});
    } else {
        memory_.emplace(std::move(*created));
    }
}

void Continuation::look(const totem::RingConfig& ring, const stream::SwitchConfig& streams) {
    auto former = read_former_life(*memory_, stamp_, ring, streams, os::now());
    if (former) {
        former_.emplace(std::move(*former));
    } else {
        refused_ = former.error();
    }
}

// Sockets that stayed open while no process was here: nobody found a port unreachable.
void Continuation::take_over_sockets(transport::NetworkConfig& network) {
    for (transport::LinkConfig& link : network.links) {
        auto kept = handed_down_.take(socket_name(link.link));
        if (kept && !memory_) os::forget_descriptor(socket_name(link.link));
        if (!kept || transport::UdpSocket::address_of(kept->get()) != link.address) continue;
        if (!former_) empty(kept->get());
        link.bound_fd = kept->release();
        kept_sockets_.emplace(link.link, link.address);
    }
}

void Continuation::keep(transport::NetworkTransport& transport) {
    if (memory_) keep_sockets(transport);
    // That of the process before is of the same life.
    if (std::exchange(has_obituary_, true) || !former_) {
        const auto written =
            write_obituary(started_.in_private(kObituaryName), transport.make_obituary());
        if (!written) {
            log_.warning("cannot leave an obituary, others learn of our death by our silence",
                         {{"ERROR", written.error().text()}});
        }
    }
}

void Continuation::keep_sockets(const transport::NetworkTransport& transport) {
    std::map<totem::LinkId, transport::SocketAddress> kept;
    for (const auto& [link, fd] : transport.lasting_sockets()) {
        const auto address = transport::UdpSocket::address_of(fd);
        if (!address) continue;
        const auto before = kept_sockets_.find(link);
        const bool is_kept = before != kept_sockets_.end() && before->second == *address;
        if (!is_kept && !os::store_descriptor(socket_name(link), fd)) continue;
        kept.emplace(link, *address);
    }
    for (const auto& [link, address] : kept_sockets_) {
        if (!kept.contains(link)) os::forget_descriptor(socket_name(link));
    }
    kept_sockets_ = std::move(kept);
}

resume::Recorder* Continuation::record(const totem::Ring& ring, const stream::Switch& streams) {
    if (!memory_) return nullptr;
    recorder_.emplace(ring, streams,
                      former_ ? resume::Journal::beside(memory_->journal(), stamp_)
                              : resume::Journal(memory_->journal(), stamp_));
    return &*recorder_;
}

void Continuation::went_on() {
    if (!former_) return;
    pause_ = os::now() - former_->ended;
    ++memory_->lives();
    log_.notice(
        "going on as the process before",
        {{"PAUSE_MS", std::chrono::duration_cast<std::chrono::milliseconds>(*pause_).count()},
         {"INPUTS", former_->cores.inputs},
         {"LIVES", memory_->lives()}});
    former_.reset();
}

void Continuation::ready() {
    if (!recorder_) return;
    const std::string mark = withheld_mark(started_.in_private(kObituaryName));
    const os::UniqueFd file(::open(mark.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (!file.is_open()) {
        log_.info("a death of this process is told at once, also when the next one goes on",
                  {{"ERROR", std::strerror(errno)}});
    }
}

void Continuation::settings_changed(const totem::RingConfig& ring,
                                    const transport::NetworkConfig& network, std::uint32_t key_id,
                                    base::Instant not_before) {
    if (!recorder_) return;
    stamp_ = stamp_of(ring, network, key_id);
    recorder_->begin_anew(resume::Journal(memory_->journal(), stamp_),
                          has_rdma(network) ? base::Instant::max() : not_before);
}

bool Continuation::finish() {
    return recorder_ && recorder_->finish(os::now());
}

void Continuation::end(bool has_left) {
    if (recorder_) recorder_->abandon();
    const std::string obituary = started_.in_private(kObituaryName);
    (void)::unlink(withheld_mark(obituary).c_str());
    // There is nothing to tell. It may be gone already.
    if (has_left) (void)::unlink(obituary.c_str());
}

ContinuationStatus Continuation::status() const {
    ContinuationStatus status{.resumed = memory_ ? memory_->lives() : 0,
                              .last_pause = pause_,
                              .refused = refused_,
                              .journal = {}};
    if (recorder_) {
        status.is_recording = recorder_->is_recording();
        status.is_settled = recorder_->is_settled();
        status.journal = recorder_->counters();
    }
    return status;
}

}  // namespace ringd
