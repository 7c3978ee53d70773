#include "tests/unit/libclient/one_node_cpgd.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <utility>

#include "common/base/invariant.hpp"
#include "corosync/corotypes.h"

namespace cpg = protocol::cpg;

OneNodeCpgd::OneNodeCpgd(const Settings& settings)
    : settings_(settings), loop_(*os::EventLoop::create()) {
    std::string pattern = (std::filesystem::temp_directory_path() / "halo-unit-XXXXXX").string();
    INVARIANT(::mkdtemp(pattern.data()) != nullptr);
    run_dir_ = pattern;
    INVARIANT(::setenv("HALO_RUN_DIR", run_dir_.c_str(), 1) == 0);
    wake_ = os::UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    serve();
}

OneNodeCpgd::~OneNodeCpgd() {
    die();
    run([this] { loop_.stop(); });
    thread_.join();
    std::filesystem::remove_all(run_dir_);
}

void OneNodeCpgd::serve() {
    listen();
    INVARIANT(loop_.add(wake_.get(), EPOLLIN, [this](std::uint32_t) {
        std::uint64_t count = 0;
        INVARIANT(::read(wake_.get(), &count, sizeof(count)) == sizeof(count));
        for (;;) {
            std::function<void()> work;
            {
                const std::lock_guard lock(work_mutex_);
                if (work_.empty()) return;
                work = std::move(work_.front());
                work_.pop_front();
            }
            work();
        }
    }));
    loop_.at_turn_end([this] {
        std::vector<int> broken;
        for (auto& [fd, peer] : peers_) {
            if (!peer.connection->flush()) broken.push_back(fd);
            const bool waits = peer.connection->wants_write();
            INVARIANT(loop_.change(fd, waits ? EPOLLIN | EPOLLOUT : EPOLLIN));
        }
        for (const int fd : broken) {
            drop(fd);
        }
    });
    thread_ = std::thread([this] { INVARIANT(loop_.run()); });
}

void OneNodeCpgd::run(std::function<void()> work) {
    std::promise<void> done;
    {
        const std::lock_guard lock(work_mutex_);
        work_.emplace_back([&] {
            work();
            done.set_value();
        });
    }
    const std::uint64_t one = 1;
    INVARIANT(::write(wake_.get(), &one, sizeof(one)) == sizeof(one));
    done.get_future().wait();
}

void OneNodeCpgd::listen() {
    listener_ = *zmtp::Listener::listen(run_dir_ + "/cpg");
    INVARIANT(loop_.add(listener_->fd(), EPOLLIN, [this](std::uint32_t) { accept(); }));
}

void OneNodeCpgd::stop_listening() {
    if (!listener_) return;
    loop_.remove(listener_->fd());
    listener_.reset();
    (void)::unlink((run_dir_ + "/cpg").c_str());
}

void OneNodeCpgd::hang_up() {
    for (auto& [fd, peer] : peers_) {
        loop_.remove(fd);
    }
    peers_.clear();
}

void OneNodeCpgd::die() {
    run([this] {
        stop_listening();
        hang_up();
        sessions_.clear();
    });
}

void OneNodeCpgd::restart(Connections connections) {
    run([this, connections] {
        if (!former_) former_.emplace(loop_);
        if (connections == Connections::Kept) {
            for (const auto& [fd, peer] : peers_) {
                former_->add(os::UniqueFd(::dup(fd)));
            }
        }
        hang_up();
        former_->tell();
        for (auto& [id, session] : sessions_) {
            session.control = session.events = -1;
        }
        if (!listener_) listen();
    });
}

void OneNodeCpgd::forget() {
    run([this] {
        hang_up();
        sessions_.clear();
    });
}

void OneNodeCpgd::accept() {
    auto accepted = listener_->accept();
    INVARIANT(accepted);
    if (!*accepted) return;
    const int fd = (*accepted)->socket.get();
    peers_[fd].connection = std::make_unique<zmtp::Connection>(
        std::move((*accepted)->socket), zmtp::Side::Listening,
        zmtp::Limits{.queue_bytes_max = std::size_t{1} << 30u,  // A slow reader is not its matter.
                     .features = (settings_.takes_runs ? cpg::kTakesRuns : 0) |
                                 (settings_.knows_keep ? cpg::kKeptIfAsked : 0) |
                                 (settings_.knows_lazy_events ? cpg::kEventsIfAsked : 0)});
    ++connections_;
    INVARIANT(loop_.add(fd, EPOLLIN, [this, fd](std::uint32_t) { receive(fd); }));
}

void OneNodeCpgd::receive(int fd) {
    std::vector<base::Buffer> frames;
    const auto more = peers_.at(fd).connection->receive(
        [&](base::Buffer frame) { frames.push_back(std::move(frame)); });
    for (const base::Buffer& frame : frames) {
        const auto decoded = cpg::decode_client_frame(frame);
        INVARIANT(decoded);
        if (peers_.contains(fd)) on_frame(fd, *decoded);
    }
    if (!more) drop(fd);
}

void OneNodeCpgd::drop(int fd) {
    const auto peer = peers_.find(fd);
    if (peer == peers_.end()) return;
    const std::uint64_t session = peer->second.session;
    loop_.remove(fd);
    peers_.erase(peer);
    if (session != 0 && !settings_.keeps_sessions) end_session(session);
}

void OneNodeCpgd::end_session(std::uint64_t id) {
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) return;
    const Session ended = std::move(found->second);
    sessions_.erase(found);
    for (const auto& [handle, group] : ended.groups) {
        cpg::Confchg confchg;
        confchg.left = {
            {.node = settings_.self, .pid = ended.pid, .reason = cpg::Reason::ProcDown}};
        confchg.members = members(group);
        to_members(group, std::move(confchg));
    }
    for (const int fd : {ended.control, ended.events}) {
        drop(fd);
    }
}

void OneNodeCpgd::on_frame(int fd, const cpg::ClientFrame& frame) {
    if (const auto* first = std::get_if<cpg::Hello>(&frame)) return hello(fd, *first);
    if (const auto* first = std::get_if<cpg::EventsHere>(&frame)) return events_here(fd, *first);
    const std::uint64_t id = peers_.at(fd).session;
    INVARIANT(sessions_.contains(id));
    Session& session = sessions_.at(id);
    const bool is_ack = std::holds_alternative<cpg::EventAck>(frame);
    INVARIANT(is_ack == peers_.at(fd).is_events);

    if (const auto* ack = std::get_if<cpg::EventAck>(&frame)) {
        INVARIANT(ack->event <= session.event);
        acknowledged_ = ack->event;
        std::erase_if(session.unacknowledged,
                      [&](const auto& event) { return event.first <= ack->event; });
        if (auto& area = peers_.at(fd).area) area->release(ack->event);
    } else if (const auto* asked = std::get_if<cpg::Join>(&frame)) {
        if (ignores_joins_) return void(++ignored_joins_);
        if (asked->request != session.last_request) return join(session, *asked);
        INVARIANT(peers_.at(fd).connection->send(session.last_reply));
    } else if (const auto* left = std::get_if<cpg::Leave>(&frame)) {
        if (left->request != session.last_request) return leave(session, *left);
        INVARIANT(peers_.at(fd).connection->send(session.last_reply));
    } else if (const auto* mcast = std::get_if<cpg::Mcast>(&frame)) {
        multicast(session, *mcast);
    } else if (const auto* run = std::get_if<cpg::McastRun>(&frame)) {
        INVARIANT(settings_.takes_runs);
        ++runs_;
        std::uint64_t number = run->number;
        run->messages.for_each([&](std::span<const std::byte> payload) {
            multicast(session, {.number = number++,
                                .handle = run->handle,
                                .safe = run->safe,
                                .message_bytes = payload.size(),
                                .payload = base::Buffer::copy_of(payload)});
        });
    } else if (const auto* get = std::get_if<cpg::MembershipGet>(&frame)) {
        send(fd, cpg::MembershipReply{.request = get->request, .members = members(get->group)});
    } else if (const auto* all = std::get_if<cpg::GroupsGet>(&frame)) {
        std::map<std::string, std::vector<cpg::Member>> groups;
        for (const auto& [other, each] : sessions_) {
            for (const auto& [handle, name] : each.groups) {
                if (!all->one_group || name == all->group) groups[name] = members(name);
            }
        }
        cpg::GroupsReply reply{.request = all->request, .groups = {}};
        for (auto& [name, list] : groups) {
            reply.groups.push_back({.group = name, .members = std::move(list)});
        }
        send(fd, std::move(reply));
    } else if (const auto* keep = std::get_if<cpg::Keep>(&frame)) {
        INVARIANT(settings_.knows_keep);
        ++keeps_;
        reply(session, keep->request, CS_OK);
    } else if (const auto* bye = std::get_if<cpg::Goodbye>(&frame)) {
        ++goodbyes_;
        send(fd, cpg::Reply{.request = bye->request, .error = CS_OK});
        INVARIANT(peers_.at(fd).connection->flush());
        end_session(id);
    }
}

void OneNodeCpgd::hello(int fd, const cpg::Hello& hello) {
    if (settings_.refuse_with != 0) {
        return send(fd, cpg::Refused{.error = settings_.refuse_with, .reason = "by the test"});
    }
    const auto known = sessions_.find(hello.session.value());
    if (known != sessions_.end()) {
        known->second.control = fd;
        peers_.at(fd).session = known->first;
        return send(fd, cpg::Welcome{.session = hello.session,
                                     .self = settings_.self,
                                     .resumed = true,
                                     .taken = known->second.taken,
                                     .window_bytes = settings_.window_bytes});
    }
    const std::uint64_t id = next_session_++;
    sessions_[id] = Session{.control = fd,
                            .pid = hello.pid,
                            .totem_events = hello.totem_events,
                            .initial_totem_event = hello.initial_totem_event,
                            .groups = {},
                            .unacknowledged = {},
                            .last_reply = {}};
    peers_.at(fd).session = id;
    send(fd, cpg::Welcome{.session = cpg::SessionId{id},
                          .self = settings_.self,
                          .window_bytes = settings_.window_bytes});
}

void OneNodeCpgd::events_here(int fd, const cpg::EventsHere& here) {
    const auto found = sessions_.find(here.session.value());
    // Its other connection was greeted by a life before this one.
    if (found == sessions_.end() || found->second.control < 0) {
        return send(fd, cpg::Refused{.error = CS_ERR_NOT_EXIST, .reason = "no such session"});
    }
    peers_.at(fd).session = here.session.value();
    Peer& peer = peers_.at(fd);
    peer.is_events = true;
    if (settings_.has_areas && (peer.connection->peer_features() & cpg::kTakesArea) != 0) {
        auto area = cpgd::DeliveryArea::create();
        INVARIANT(area);
        peer.area.emplace(*std::move(area));
        peer.connection->attach(peer.area->take_descriptor());
    }
    found->second.events = fd;
    send(fd, cpg::Welcome{.session = here.session, .self = settings_.self});
    for (const auto& [number, event] : sessions_.at(here.session.value()).unacknowledged) {
        if (number > here.last_event) send_on(fd, event);
    }
}

void OneNodeCpgd::join(Session& session, const cpg::Join& join) {
    const auto here = members(join.group);
    const bool is_there = std::ranges::any_of(
        here, [&](const cpg::Member& member) { return member.pid == session.pid; });
    if (is_there) {
        return reply(session, join.request, CS_ERR_EXIST);
    }
    session.groups[join.handle.value()] = join.group;
    reply(session, join.request, CS_OK);
    cpg::Confchg confchg;
    confchg.members = members(join.group);
    confchg.joined = {{.node = settings_.self, .pid = session.pid, .reason = cpg::Reason::Join}};
    to_members(join.group, std::move(confchg));
    if (!session.totem_events || !session.initial_totem_event) return;
    to_session(session,
               {.event = 0,
                .what = cpg::TotemConfchg{.handle = join.handle,
                                          .ring = {.seq = 40, .representative = settings_.self},
                                          .members = {settings_.self}}});
}

// Kept, for a client that asks again.
void OneNodeCpgd::reply(Session& session, std::uint32_t request, std::uint32_t error) {
    const cpg::Reply answer{.request = request, .error = error};
    session.last_request = request;
    session.last_reply = cpg::encode(answer);
    send(session.control, answer);
}

void OneNodeCpgd::leave(Session& session, const cpg::Leave& leave) {
    const auto found = session.groups.find(leave.handle.value());
    if (found == session.groups.end()) {
        return reply(session, leave.request, CS_ERR_NOT_EXIST);
    }
    const std::string group = found->second;
    reply(session, leave.request, CS_OK);
    cpg::Confchg confchg;
    confchg.left = {{.node = settings_.self, .pid = session.pid, .reason = cpg::Reason::Leave}};
    confchg.members = members(group);
    std::erase_if(confchg.members,
                  [&](const cpg::Member& member) { return member.pid == session.pid; });
    to_members(group, std::move(confchg));
    session.groups.erase(leave.handle.value());
}

void OneNodeCpgd::multicast(Session& session, const cpg::Mcast& mcast) {
    ++multicasts_;
    if (mcast.number <= session.taken) return;  // Sent again to a daemon that has it.
    INVARIANT(mcast.number == session.taken + 1);
    session.taken = mcast.number;
    const auto found = session.groups.find(mcast.handle.value());
    if (settings_.gives_credit) {
        send(session.control,
             cpg::Credit{.taken = session.taken, .window_bytes = settings_.window_bytes});
    }
    if (found == session.groups.end()) return;
    to_members(found->second, cpg::Delivered{.node = settings_.self,
                                             .pid = session.pid,
                                             .part = mcast.part,
                                             .message_bytes = mcast.message_bytes,
                                             .payload = mcast.payload});
}

std::vector<cpg::Member> OneNodeCpgd::members(const std::string& group) const {
    std::vector<cpg::Member> members;
    for (const auto& [id, session] : sessions_) {
        for (const auto& [handle, name] : session.groups) {
            if (name == group) members.push_back({.node = settings_.self, .pid = session.pid});
        }
    }
    std::ranges::sort(members);
    return members;
}

template <class Event>
void OneNodeCpgd::to_members(const std::string& group, Event event) {
    for (auto& [id, session] : sessions_) {
        for (const auto& [handle, name] : session.groups) {
            if (name != group) continue;
            event.handle = cpg::GroupHandle{handle};
            to_session(session, {.event = 0, .what = event});
        }
    }
}

void OneNodeCpgd::to_session(Session& session, cpg::SessionEvent event) {
    event.event = session.event + 1;
    session.event += cpg::events_in(event);
    session.unacknowledged.emplace_back(session.event, event);
    send_on(session.events, event);
}

void OneNodeCpgd::send_on(int fd, const cpg::SessionEvent& event) {
    const auto* message = std::get_if<cpg::Delivered>(&event.what);
    const auto peer = peers_.find(fd);
    const bool is_long = message != nullptr && message->payload.size() > cpg::kRunPayloadMax;
    if (peer == peers_.end() || !peer->second.area || !is_long) return send(fd, event);
    const auto at = peer->second.area->put(event.event, message->payload.bytes());
    if (!at) return send(fd, event);
    ++in_area_;
    send(fd, cpg::DeliveredInArea{
                 .event = event.event,
                 .delivered = *message,
                 .offset = *at,
                 .payload_bytes = static_cast<std::uint32_t>(message->payload.size())});
}

void OneNodeCpgd::send(int fd, const cpg::CpgdFrame& frame) {
    const auto peer = peers_.find(fd);
    if (peer != peers_.end()) INVARIANT(peer->second.connection->send(cpg::encode(frame)));
}

void OneNodeCpgd::credit_all(std::uint64_t window_bytes) {
    run([this, window_bytes] {
        for (auto& [id, session] : sessions_) {
            send(session.control,
                 cpg::Credit{.taken = session.taken, .window_bytes = window_bytes});
        }
    });
}

void OneNodeCpgd::send_event(const std::string& group, cpg::Delivered delivered) {
    run([&] { to_members(group, std::move(delivered)); });
}

void OneNodeCpgd::send_run(const std::string& group, const std::vector<std::string>& messages) {
    std::vector<std::byte> bytes;
    for (const std::string& message : messages) {
        std::array<std::byte, cpg::kRunLengthBytes> length;
        cpg::write_run_length(message.size(), length.data());
        bytes.insert(bytes.end(), length.begin(), length.end());
        const auto text = std::as_bytes(std::span(message));
        bytes.insert(bytes.end(), text.begin(), text.end());
    }
    auto run = cpg::MessageRun::parse(base::Buffer::copy_of(bytes));
    INVARIANT(run);
    const cpg::DeliveredRun delivered{
        .node = settings_.self, .pid = 4711, .messages = *std::move(run)};
    this->run([&] { to_members(group, delivered); });
}

void OneNodeCpgd::send_confchg(const std::string& group, cpg::Confchg confchg) {
    run([&] { to_members(group, std::move(confchg)); });
}

void OneNodeCpgd::send_raw_event(const std::string& group, const cpg::CpgdFrame& frame) {
    run([&] {
        for (auto& [id, session] : sessions_) {
            for (const auto& [handle, name] : session.groups) {
                if (name == group) send(session.events, frame);
            }
        }
    });
}
