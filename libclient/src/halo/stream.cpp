#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <halo/stream.hpp>
#include <optional>
#include <utility>

#include "common/os/unique_fd.hpp"
#include "libclient/src/base/cancellation.hpp"
#include "libclient/src/halo/stream_order.hpp"

namespace halo {
namespace {

auto fail(Error error) {
    return tl::unexpected(error);
}

// A daemon's session, and its next event, where it is known.
template <class Session, class Told>
struct Source {
    Session session;
    std::optional<Told> ahead{};
    bool is_watched = false;

    // Error::TryAgain is none.
    Result<void> look() {
        if (ahead) return {};
        auto event = session.next(Wait::Never);
        if (event) {
            ahead.emplace(*std::move(event));
            return {};
        }
        if (event.error() == Error::TryAgain) return {};
        return fail(event.error());
    }
    Told take() { return *std::exchange(ahead, std::nullopt); }
};

}  // namespace

struct Stream::State {
    State(Groups groups_session, Quorum quorum_session, Keys keys_session, os::UniqueFd epoll,
          os::UniqueFd more)
        : groups{std::move(groups_session)},
          quorum{std::move(quorum_session)},
          keys{std::move(keys_session)},
          epoll_fd(std::move(epoll)),
          more_fd(std::move(more)),
          order({.node = groups.session.node(), .pid = static_cast<std::uint32_t>(::getpid())}) {}

    Result<void> look() {
        if (auto looked = quorum.look(); !looked) return looked;
        if (auto looked = groups.look(); !looked) return looked;
        return keys.look();
    }
    std::optional<StreamEvent> take() {
        if (quorum.ahead && order.may_pass(*quorum.ahead)) return told(quorum.take());
        if (groups.ahead && order.may_pass(*groups.ahead)) return told(groups.take());
        if (keys.ahead && order.may_pass_key()) return told(keys.take());
        return std::nullopt;
    }
    [[nodiscard]] bool can_take() const {
        return (quorum.ahead && order.may_pass(*quorum.ahead)) ||
               (groups.ahead && order.may_pass(*groups.ahead)) ||
               (keys.ahead && order.may_pass_key());
    }

    // Who has an event that waits for its turn is not looked at: else its descriptor would wake the
    // program for nothing, for as long.
    void watch_sources() {
        watch(groups, groups.session.fd());
        watch(quorum, quorum.session.fd());
        watch(keys, keys.session.fd());
        const bool has_more = can_take();
        if (has_more == is_more_told) return;
        is_more_told = has_more;
        std::uint64_t one = 1;
        // A counter of 0 or 1 neither overflows nor blocks.
        (void)!(has_more ? ::write(more_fd.get(), &one, sizeof(one))
                         : ::read(more_fd.get(), &one, sizeof(one)));
    }
    // Until one of the sources that are looked at has something.
    void wait() const {
        std::array<pollfd, 3> watched{};
        watched[0] = {
            .fd = groups.ahead ? -1 : groups.session.fd(), .events = POLLIN, .revents = 0};
        watched[1] = {
            .fd = quorum.ahead ? -1 : quorum.session.fd(), .events = POLLIN, .revents = 0};
        watched[2] = {.fd = keys.ahead ? -1 : keys.session.fd(), .events = POLLIN, .revents = 0};
        const client::CancellationShield::Opening opening;
        (void)::poll(watched.data(), watched.size(), -1);  // Interrupted: it is looked again.
    }

    Source<Groups, Event> groups;
    Source<Quorum, QuorumEvent> quorum;
    Source<Keys, std::optional<KeyChange>> keys;
    os::UniqueFd epoll_fd;
    os::UniqueFd more_fd;
    bool is_more_told = false;
    StreamOrder order;

  private:
    template <class Any>
    void watch(Any& source, int fd) {
        const bool wanted = !source.ahead;
        if (wanted == source.is_watched) return;
        epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
        // It may be there, or be forgotten, when the daemon was restarted meanwhile.
        (void)::epoll_ctl(epoll_fd.get(), wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd, &event);
        source.is_watched = wanted;
    }
    // The descriptor that comes back is another one to epoll.
    template <class Any>
    StreamEvent back(Any& source, Daemon daemon) {
        source.is_watched = false;
        return DaemonBack{.daemon = daemon};
    }

    StreamEvent told(QuorumEvent event) {
        order.passed(event);
        if (std::holds_alternative<Resumed>(event)) return back(quorum, Daemon::Quorumd);
        if (auto* nodes = std::get_if<NodesChange>(&event)) return std::move(*nodes);
        return std::get<QuorumChange>(std::move(event));
    }
    StreamEvent told(Event event) {
        order.passed(event);
        if (std::holds_alternative<Resumed>(event)) return back(groups, Daemon::Cpgd);
        if (auto* message = std::get_if<Message>(&event)) return std::move(*message);
        if (auto* membership = std::get_if<Membership>(&event)) return std::move(*membership);
        return std::get<Ring>(std::move(event));
    }
    StreamEvent told(std::optional<KeyChange> change) {
        if (!change) return back(keys, Daemon::Cmapd);
        return *std::move(change);
    }
};

Result<Stream> Stream::connect(const Options& options) {
    auto groups = Groups::connect({.rings = true, .initial_ring = true, .resume = options.resume});
    if (!groups) return fail(groups.error());
    auto quorum = Quorum::connect({.resume = options.resume});
    if (!quorum) return fail(quorum.error());
    auto keys = Keys::connect({.map = Keys::Map::Configuration, .resume = options.resume});
    if (!keys) return fail(keys.error());
    os::UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
    os::UniqueFd more(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    epoll_event event{.events = EPOLLIN, .data = {.fd = more.get()}};
    if (epoll.get() < 0 || more.get() < 0 ||
        ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, more.get(), &event) != 0)
        return fail(Error::NoResources);
    if (auto watched = quorum->watch(); !watched) return fail(watched.error());
    auto state = std::make_unique<State>(*std::move(groups), *std::move(quorum), *std::move(keys),
                                         std::move(epoll), std::move(more));
    state->watch_sources();
    return Stream(std::move(state));
}

Stream::Stream(std::unique_ptr<State> state) : state_(std::move(state)) {}
Stream::Stream(Stream&& other) noexcept = default;
Stream& Stream::operator=(Stream&& other) noexcept = default;
Stream::~Stream() = default;

Groups& Stream::groups() {
    return state_->groups.session;
}
Quorum& Stream::quorum() {
    return state_->quorum.session;
}
Keys& Stream::keys() {
    return state_->keys.session;
}

Result<StreamEvent> Stream::next(Wait wait) {
    if (state_ == nullptr) return fail(Error::BadHandle);
    const client::CancellationShield shield;
    for (;;) {
        if (auto looked = state_->look(); !looked) return fail(looked.error());
        auto event = state_->take();
        if (event || wait == Wait::Never) state_->watch_sources();
        if (event) return *std::move(event);
        if (wait == Wait::Never) return fail(Error::TryAgain);
        state_->wait();
    }
}

int Stream::fd() const {
    return state_ == nullptr ? -1 : state_->epoll_fd.get();
}

}  // namespace halo
