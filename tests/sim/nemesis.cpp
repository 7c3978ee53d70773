#include "tests/sim/nemesis.hpp"

#include <algorithm>

namespace sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// What the smallest allowed path carries.
constexpr std::size_t kPacketBytesMin = 560;

class Nemesis {
  public:
    Nemesis(Random& random, Plan& plan) : random_(random), plan_(plan) {}

    void draw() {
        const std::size_t count = plan_.profile == Profile::Calm ? 0 : random_.between(1, 12);
        for (std::size_t i = 0; i < count; ++i)
            add(plan_.profile);
        if (random_.chance(200'000)) add_flood();
        std::ranges::stable_sort(plan_.faults, {}, &Fault::begin);
        if (plan_.profile != Profile::Calm && random_.chance(400'000)) draw_partial();
        const bool churns = plan_.profile == Profile::Churn || plan_.profile == Profile::Mixed;
        if (churns && random_.chance(300'000)) plan_.down = NodeSet{1} << node();
    }

  private:
    [[nodiscard]] std::size_t count() const { return plan_.nodes.size(); }
    NodeIndex node() { return random_.index(count()); }
    [[nodiscard]] NodeSet all() const { return (NodeSet{1} << count()) - 1; }
    // Neither empty nor all.
    NodeSet some() { return static_cast<NodeSet>(random_.between(1, all() - 1)); }
    LinkSet links() {
        if (plan_.links == 1 || random_.chance(500'000)) return kAllLinks;
        return static_cast<LinkSet>(1u << random_.below(plan_.links));
    }
    totem::LinkId link() {
        return totem::LinkId{static_cast<std::uint8_t>(random_.below(plan_.links))};
    }

    template <class What>
    void push(base::Duration begin, base::Duration length, const What& what) {
        plan_.faults.push_back(
            {.begin = begin, .length = std::min(length, plan_.chaos - begin), .what = what});
    }
    template <class What>
    void push(const What& what) {
        const base::Duration begin = random_.between(base::Duration{}, plan_.chaos);
        push(begin, draw_length(), what);
    }
    // Many faults are short against the time-outs, some long.
    base::Duration draw_length() {
        const base::Duration longest =
            random_.chance(500'000) ? plan_.settings.silence_min : plan_.chaos;
        return random_.between(microseconds(100), longest);
    }

    void add(Profile profile) {
        switch (profile) {
            case Profile::Calm:
                return;
            case Profile::Lossy:
                return add_degrade();
            case Profile::Partitions:
                return random_.chance(800'000) ? add_partition() : add_degrade();
            case Profile::Asymmetric:
                return add_asymmetric();
            case Profile::Churn:
                return add_churn();
            case Profile::Pauses:
                return add_pause();
            case Profile::Mixed:
                return add(kProfiles[random_.between(1, std::size(kProfiles) - 2)]);
        }
    }

    void add_degrade() {
        Degrade degrade{.paths = {.from = some(), .to = some(), .links = links()}};
        if (random_.chance(500'000)) degrade.loss = static_cast<Ppm>(random_.below(600'000));
        if (random_.chance(300'000)) degrade.duplicates = static_cast<Ppm>(random_.below(300'000));
        if (random_.chance(300'000)) degrade.reorders = static_cast<Ppm>(random_.below(500'000));
        if (random_.chance(300'000)) {
            degrade.delay = random_.between(microseconds(100), plan_.settings.token_retransmit * 3);
        }
        if (random_.chance(150'000)) degrade.bytes_per_second = random_.between(20'000, 2'000'000);
        push(degrade);
    }

    void add_partition() {
        const NodeSet side = some();
        const NodeSet other = all() & ~side;
        const base::Duration begin = random_.between(base::Duration{}, plan_.chaos);
        const base::Duration length = draw_length();
        // The directions rarely fail in the same instant.
        const base::Duration lag = random_.between(base::Duration{}, milliseconds(2));
        push(begin, length, Cut{.paths = {.from = side, .to = other}});
        push(std::min(begin + lag, plan_.chaos), length, Cut{.paths = {.from = other, .to = side}});
    }

    void add_asymmetric() {
        const NodeIndex a = node();
        const NodeIndex b = (a + 1 + random_.index(count() - 1)) % count();
        const NodeSet one = NodeSet{1} << a;
        const NodeSet two = NodeSet{1} << b;
        switch (random_.below(5)) {
            case 0:
                return push(Cut{.paths = {.from = one, .to = two, .links = links()}});
            case 1:
                return push(Cut{.paths = {.from = some(), .to = some(), .links = links()}});
            case 2: {
                const base::Duration begin = random_.between(base::Duration{}, plan_.chaos);
                const base::Duration length = draw_length();
                push(begin, length, Cut{.paths = {.from = one, .to = two}});
                return push(begin, length, Cut{.paths = {.from = two, .to = one}});
            }
            case 3:
                return push(LinkDown{.node = a, .link = link()});
            default:
                return push(FalseAlarm{.at = a, .about = b, .link = link()});
        }
    }

    void add_churn() {
        const std::uint64_t kind = random_.below(10);
        if (kind < 7) {
            return push(Crash{
                .node = node(),
                .host = random_.chance(400'000) ? Crash::Host::Down : Crash::Host::Up,
                .disk = random_.chance(100'000) ? Crash::Disk::Lost : Crash::Disk::Kept,
                .torn = random_.chance(300'000),
                .obituary = random_.chance(400'000),
            });
        }
        if (kind < 9) return push(Leave{.node = node()});
        push(Unconfigure{.node = node()});
    }

    void add_pause() {
        const std::uint64_t kind = random_.below(8);
        if (kind < 4) return push(Pause{.node = node()});
        if (kind == 4) {
            return push(SlowNode{.node = node(),
                                 .latency = random_.between(microseconds(200), milliseconds(30))});
        }
        if (kind == 5) {
            return push(SlowDisk{
                .node = node(),
                .delay = random_.between(milliseconds(1), plan_.settings.token_timeout / 2)});
        }
        if (kind == 6) return add_flood();
        push(SmallPackets{.packet_bytes_max =
                              random_.between(kPacketBytesMin, plan_.settings.packet_bytes_max)});
    }

    void add_flood() {
        push(Flood{.node = node(),
                   .messages = random_.between(10, 300),
                   .size = random_.chance(700'000) ? 64 : random_.between(200, 5'000)});
    }

    void draw_partial() {
        const NodeIndex a = node();
        const NodeIndex b = (a + 1 + random_.index(count() - 1)) % count();
        const NodeSet one = NodeSet{1} << a;
        const NodeSet two = NodeSet{1} << b;
        switch (random_.below(4)) {
            case 0:  // A and B cut, both see the others.
                plan_.partial = {{.from = one, .to = two}, {.from = two, .to = one}};
                return;
            case 1:
                plan_.partial = {{.from = one, .to = two}};
                return;
            case 2: {
                const NodeSet side = some();
                plan_.partial = {{.from = side, .to = all() & ~side},
                                 {.from = all() & ~side, .to = side}};
                return;
            }
            default:
                for (std::size_t i = random_.between(1, count()); i > 0; --i) {
                    plan_.partial.push_back({.from = NodeSet{1} << node(), .to = some()});
                }
        }
    }

    Random& random_;
    Plan& plan_;
};

}  // namespace

void draw_retime(Random& random, Plan& plan) {
    if (plan.profile == Profile::Calm || !random.chance(250'000)) return;
    const base::Duration begin = random.between(base::Duration{}, plan.chaos);
    plan.faults.push_back(
        {.begin = begin,
         .length = random.between(base::Duration{}, plan.chaos - begin),
         .what = Retime{.percent = static_cast<std::int64_t>(random.between(50, 150)),
                        .heartbeat_percent = static_cast<std::int64_t>(random.between(20, 300))}});
    std::ranges::stable_sort(plan.faults, {}, &Fault::begin);
}

void draw_kills(Random& random, Plan& plan) {
    // Shorter than what a peer takes for death.
    const base::Duration longest = plan.settings.silence_min / 4;
    for (std::uint64_t i = random.between(1, 30); i > 0; --i) {
        plan.faults.push_back(
            {.begin = random.between(base::Duration{}, plan.chaos - longest),
             .length = random.between(microseconds(200), longest),
             .what = Kill{.node = random.index(plan.nodes.size()),
                          .point = random.pick(std::span<const Kill::Point>(kKillPoints))}});
    }
}

void draw_faults(Random& random, Plan& plan) {
    Nemesis(random, plan).draw();
}

}  // namespace sim
