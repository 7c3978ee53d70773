#include "common/ipc/status_link.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <utility>

#include "common/os/clock.hpp"

namespace ipc {
namespace {

// It is a daemon of ours that writes them; those of a large cluster are long.
constexpr std::int64_t kAnswerBytesMax = std::int64_t{64} << 20u;

}  // namespace

StatusLink::StatusLink(os::EventLoop& loop, std::string path)
    : loop_(loop), path_(std::move(path)), alive_(std::make_shared<StatusLink*>(this)) {
    // The loop keeps what is registered with it for ever.
    loop_.set_deadline(
        [weak = std::weak_ptr(alive_)]() -> std::optional<base::Instant> {
            const auto self = weak.lock();
            if (!self || (*self)->questions_.empty()) return std::nullopt;
            return (*self)->questions_.front().deadline;
        },
        [weak = std::weak_ptr(alive_)] {
            const auto self = weak.lock();
            if (!self) return;
            const bool is_there = ::access((*self)->path_.c_str(), F_OK) == 0;
            (*self)->fail_all(
                is_there ? StatusError::Cause::NoAnswer : StatusError::Cause::NotRunning,
                is_there ? "no answer from " + (*self)->path_
                         : "not running (no socket " + (*self)->path_ + ")");
        });
}

StatusLink::~StatusLink() {
    disconnect();
}

os::Result<void> StatusLink::connect() {
    auto socket = ZmqSocket::create(
        ZmqSocket::Kind::Dealer,
        {.queued_max = static_cast<int>(kQuestionsMax), .bytes_max = kAnswerBytesMax});
    if (!socket) return base::fail(socket.error());
    if (auto connected = socket->connect(path_); !connected) return connected;
    socket_ = std::move(*socket);
    descriptor_ = socket_->descriptor();
    return loop_.add(descriptor_, EPOLLIN, [this](std::uint32_t) { read(); });
}

void StatusLink::disconnect() {
    asked_ = 0;
    if (!socket_) return;
    loop_.remove(descriptor_);
    socket_.reset();
}

void StatusLink::ask(const nlohmann::json& request, base::Duration timeout, Callback callback) {
    std::string why;
    if (questions_.size() >= kQuestionsMax) {
        why = "too many questions wait for " + path_;
    } else if (!socket_) {
        if (auto connected = connect(); !connected) {
            disconnect();
            why = connected.error().text();
        }
    }
    if (!why.empty()) {
        loop_.defer([callback = std::move(callback), why = std::move(why)] {
            callback(base::fail(StatusError{.cause = StatusError::Cause::Failed, .text = why}));
        });
        return;
    }
    questions_.push_back(
        {.deadline = os::now() + timeout, .text = request.dump(), .callback = std::move(callback)});
    send_waiting();
}

void StatusLink::send_waiting() {
    bool failed = false;
    while (!failed && asked_ < kAskedMax && asked_ < questions_.size()) {
        const auto sent = socket_->send({std::move(questions_[asked_].text)});
        failed = !sent || !*sent;
        ++asked_;
    }
    // A send may consume the news of an answer.
    loop_.defer([weak = std::weak_ptr(alive_), failed] {
        const auto self = weak.lock();
        if (!self) return;
        if (!failed) return (*self)->read();
        (*self)->fail_all(StatusError::Cause::Failed, "cannot send to " + (*self)->path_);
    });
}

void StatusLink::read() {
    const std::weak_ptr alive = alive_;
    while (socket_ && socket_->is_readable()) {
        auto received = socket_->receive();
        if (!received || !received->has_value()) return;
        if (asked_ == 0) continue;  // Nobody asked: not ours to judge.
        const Callback callback = std::move(questions_.front().callback);
        questions_.pop_front();
        --asked_;
        if (asked_ < questions_.size()) send_waiting();
        callback(answer_value(path_, (**received).frames.back()));
        if (alive.expired()) return;
    }
}

void StatusLink::fail_all(StatusError::Cause cause, const std::string& why) {
    disconnect();  // What comes late would be taken for the answer to the next question.
    auto questions = std::exchange(questions_, {});
    for (const Question& question : questions) {
        question.callback(base::fail(StatusError{.cause = cause, .text = why}));
    }
}

}  // namespace ipc
