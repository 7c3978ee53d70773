#include "libclient/src/ipc/outbox.hpp"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "common/protocol/message_run.hpp"
#include "common/zmtp/wire.hpp"

namespace client {
namespace {

// More pieces than this are copied first.
constexpr std::size_t kPiecesAWrite = 32;

// What the kernel takes of a burst before the helper thread has to wait; more than
// net.core.wmem_max is not granted.
constexpr int kSendBufferBytes = 1 << 20;

bool would_block(int error) {
    return error == EAGAIN || error == EWOULDBLOCK;
}

std::span<const std::byte> bytes_of(const iovec& piece) {
    return {static_cast<const std::byte*>(piece.iov_base), piece.iov_len};
}

// The thread does not take the processor from whom it is woken by, so a burst goes on until its
// thread waits or has had its share: what gathers meanwhile is one write. On a processor that has
// nothing to do it runs at once all the same. A program that has real-time priority keeps it here.
void let_bursts_gather() {
    if (::sched_getscheduler(0) != SCHED_OTHER) return;
    const sched_param none{};
    // Refused: more and smaller writes.
    (void)::sched_setscheduler(0, SCHED_BATCH, &none);
}

}  // namespace

void Outbox::send(Lock& lock, std::span<const std::byte> head, std::span<const iovec> body,
                  std::size_t body_bytes, const std::optional<Run>& run) {
    std::array<std::byte, zmtp::kFrameHeadBytesMax> frame_head;
    const std::size_t frame_head_bytes =
        zmtp::encode_message_head(head.size() + body_bytes, frame_head.data());

    const auto now = Clock::now();
    const bool in_burst = now - std::exchange(last_send_, now) < kBurstGap;
    if (broken_) return;  // is_broken() says so.

    // The two heads go in one piece.
    std::array<std::byte, 256> heads;
    INVARIANT(frame_head_bytes + head.size() <= heads.size());
    std::ranges::copy(std::span(frame_head).first(frame_head_bytes), heads.begin());
    std::ranges::copy(head, heads.begin() + static_cast<std::ptrdiff_t>(frame_head_bytes));
    const auto both = std::span<const std::byte>(heads).first(frame_head_bytes + head.size());

    std::size_t written = 0;
    if (!in_burst && is_idle(lock) && body.size() < kPiecesAWrite) {
        written = write_now(both, body);
        if (broken_ || written == both.size() + body_bytes) return;
    }
    if (run && written == 0) {
        append_to_run(*run, body, body_bytes);
    } else {
        open_run_.reset();
        append(both, body, written);
    }
    if (!helper_busy_) wake_helper();
}

// Queues what follows the first `offset` bytes.
void Outbox::append(std::span<const std::byte> head, std::span<const iovec> body,
                    std::size_t offset) {
    const auto append_rest = [&](std::span<const std::byte> piece) {
        const std::size_t skipped = std::min(offset, piece.size());
        offset -= skipped;
        const auto rest = piece.subspan(skipped);
        pending_.insert(pending_.end(), rest.begin(), rest.end());
    };
    append_rest(head);
    for (const iovec& piece : body) {
        append_rest(bytes_of(piece));
    }
}

void Outbox::append_to_run(const Run& run, std::span<const iovec> body, std::size_t body_bytes) {
    namespace cpg = protocol::cpg;
    INVARIANT(body_bytes <= cpg::kRunPayloadMax);
    const std::size_t more = cpg::kRunLengthBytes + body_bytes;
    const bool fits = open_run_ && open_run_->key == run.key &&
                      open_run_->messages < cpg::kRunMessagesMax &&
                      pending_.size() - open_run_->run_at + more <= cpg::kRunBytesMax;
    if (!fits) {
        open_run_ = OpenRun{.key = run.key, .frame_at = pending_.size()};
        pending_.resize(pending_.size() + zmtp::kFrameHeadBytesMax);
        pending_.insert(pending_.end(), run.head.begin(), run.head.end());
        open_run_->run_at = pending_.size();
    }
    std::array<std::byte, cpg::kRunLengthBytes> length;
    cpg::write_run_length(body_bytes, length.data());
    append(length, body, 0);
    ++open_run_->messages;
    const auto frame = std::span(pending_).subspan(open_run_->frame_at);
    zmtp::encode_long_message_head(frame.size() - zmtp::kFrameHeadBytesMax,
                                   frame.first<zmtp::kFrameHeadBytesMax>());
}

// Gives how many bytes the kernel took.
std::size_t Outbox::write_now(std::span<const std::byte> head, std::span<const iovec> body) {
    std::array<iovec, kPiecesAWrite> pieces;
    // The kernel only reads from them: iovec has no const.
    pieces[0] = {.iov_base = const_cast<std::byte*>(head.data()), .iov_len = head.size()};
    std::ranges::copy(body, pieces.begin() + 1);
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = body.size() + 1;
    for (;;) {
        const ssize_t sent = ::sendmsg(fd_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0) return static_cast<std::size_t>(sent);
        if (errno == EINTR) continue;
        if (!would_block(errno)) broken_ = true;
        return 0;
    }
}

void Outbox::wake_helper() {
    helper_busy_ = true;
    if (helper_.joinable()) {
        work_.notify_one();
        return;
    }
    make_room();
    sigset_t all;
    sigset_t before;
    (void)::sigfillset(&all);
    // Neither fails for these arguments.
    (void)::pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        helper_ = std::thread([this] { run_helper(); });
    } catch (const std::system_error&) {
        // No thread to be had: the caller waits for the peer itself, with the lock as its place.
        helper_busy_ = false;
        if (!write_all(pending_)) broken_ = true;
        pending_.clear();
        open_run_.reset();
    }
    (void)::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Outbox::make_room() const {
    // A smaller buffer is slower, not wrong.
    (void)::setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &kSendBufferBytes, sizeof kSendBufferBytes);
}

void Outbox::run_helper() {
    let_bursts_gather();
    std::vector<std::byte> writing;
    Lock lock(mutex_);
    for (;;) {
        while (!pending_.empty() && !broken_ && !stopping_) {
            writing.clear();
            writing.swap(pending_);
            open_run_.reset();
            lock.unlock();
            const bool written = write_all(writing);
            lock.lock();
            if (!written) broken_ = true;
        }
        helper_busy_ = false;
        idle_.notify_all();
        if (stopping_) return;
        work_.wait(lock, [&] { return helper_busy_ || stopping_; });
    }
}

// Without the lock: waits for the peer when it must.
bool Outbox::write_all(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(sent));
            continue;
        }
        if (errno == EINTR) continue;
        if (!would_block(errno)) return false;
        pollfd watched{.fd = fd_, .events = POLLOUT, .revents = 0};
        // A failure or a signal shows at the next send.
        (void)::poll(&watched, 1, -1);
    }
    return true;
}

void Outbox::interrupt(Lock& lock) {
    broken_ = true;
    pending_.clear();
    open_run_.reset();
    idle_.wait(lock, [&] { return !helper_busy_; });
}

void Outbox::stop() {
    {
        const Lock lock(mutex_);
        stopping_ = true;
    }
    work_.notify_one();
    if (helper_.joinable()) helper_.join();
}

}  // namespace client
