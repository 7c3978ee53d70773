// A story of a few members, told step by step, and what is heard of it: configurations and
// messages, one line each.
#pragma once

#include <functional>
#include <string>

#include "tests/model/world.hpp"

namespace scenario {

using model::Choice;
using totem::PacketType;

class Tale {
  public:
    explicit Tale(std::size_t nodes) : world_(nodes, record_) {}

    // Members are 1, 2, 3, as their node ids.
    void send(std::size_t member, bool safe = false);
    void crash(std::size_t member) { take(Choice::What::Crash, member); }
    void restart(std::size_t member) { take(Choice::What::Restart, member); }
    void cut_off(std::size_t member) { take(Choice::What::Cut, member); }
    void mend(std::size_t member) { take(Choice::What::Mend, member); }

    // All arrives in turn, and time passes when nothing is on its way, until `is_enough`; but what
    // `is_lost` names by line and kind is lost. False: that did not come in any reasonable time.
    using IsLost = std::function<bool(std::size_t from, std::size_t to, PacketType what)>;
    using IsEnough = std::function<bool(const model::World&)>;
    [[nodiscard]] bool go_on(const IsEnough& is_enough, const IsLost& is_lost = {});
    void settle() { world_.let_settle(); }

    // What was heard since the last call.
    [[nodiscard]] std::string heard();
    // Ends the story well; the rules that it broke, or nothing.
    [[nodiscard]] std::string broken_rules();

    [[nodiscard]] const model::World& world() const { return world_; }

  private:
    void take(Choice::What what, std::size_t member);

    model::Record record_;
    model::World world_;
    std::size_t told_ = 0;  // Entries of the record.
};

}  // namespace scenario
