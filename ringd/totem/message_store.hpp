// The messages of one ring between what is stable and what was received last, by seq.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "common/base/buffer.hpp"
#include "common/base/ids.hpp"
#include "ringd/totem/holdings.hpp"
#include "ringd/totem/seq.hpp"

namespace totem {

class MessageStore {
  public:
    struct Message {
        base::NodeId sender{};
        std::uint32_t times_resent = 0;
        base::Buffer packet;  // Empty: not here.

        template <class A>
        void archive(A& a) {
            a(sender, times_resent, packet);
        }
    };

    // Gives whether the message is new. Refuses one that was released or lies too far ahead to be
    // from a ring that keeps kUnstableSeqsMax.
    bool insert(Seq seq, base::NodeId sender, base::Buffer packet);

    // None if it is not here (any more).
    [[nodiscard]] const Message* find(Seq seq) const;
    [[nodiscard]] Message* find(Seq seq);
    [[nodiscard]] bool has(Seq seq) const { return seq <= released_ || find(seq) != nullptr; }

    [[nodiscard]] Seq aru() const { return aru_; }    // All up to here were received.
    [[nodiscard]] Seq high() const { return high_; }  // The highest received; at least aru.
    [[nodiscard]] Seq released() const { return released_; }

    // Forgets all up to `seq`. Needs: seq <= aru().
    void release(Seq seq);

    // Appends the ranges in (aru, up_to] that are not here, lowest first, at most `count_max`.
    void gaps(Seq up_to, std::size_t count_max, std::vector<SeqRange>& out) const;

    [[nodiscard]] Holdings holdings() const;

    template <class A>
    void archive(A& a) {
        std::vector<std::pair<Seq, Message>> held;
        if constexpr (!A::kReads) held = all_held();
        a(released_, aru_, high_, held);
        if constexpr (A::kReads) {
            if (!restore(std::move(held))) a.fail();
        }
    }

  private:
    [[nodiscard]] std::size_t slot(Seq seq) const { return seq.value() & (slots_.size() - 1); }
    void grow_to(std::uint64_t distance);
    [[nodiscard]] std::vector<std::pair<Seq, Message>> all_held() const;
    [[nodiscard]] bool restore(std::vector<std::pair<Seq, Message>> held);

    Seq released_{};
    Seq aru_{};
    Seq high_{};
    std::vector<Message> slots_;  // A power of 2; seq modulo size. Room for (released, high].
};

}  // namespace totem
