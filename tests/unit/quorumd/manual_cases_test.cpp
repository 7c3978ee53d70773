// The table of cases in docs/quorum.md, worked out from votequorum(5), and what the rule says.
#include <doctest/doctest.h>

#include <charconv>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "common/quorum/votes.hpp"

namespace {

using base::NodeId;
using quorum::Device;
using quorum::Member;
using quorum::Recount;
using quorum::Rules;
using quorum::Standing;

const std::string kDocument = std::string(HALO_SOURCE_DIR) + "/docs/quorum.md";

std::vector<std::string> split(const std::string& text, char at) {
    std::vector<std::string> parts;
    std::istringstream in(text);
    for (std::string part; std::getline(in, part, at);) {
        const auto first = part.find_first_not_of(' ');
        const auto last = part.find_last_not_of(' ');
        parts.push_back(first == std::string::npos ? "" : part.substr(first, last - first + 1));
    }
    return parts;
}

std::uint32_t number(const std::string& text) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    REQUIRE_MESSAGE((error == std::errc{} && end == text.data() + text.size()), text);
    return value;
}

// "1-3 7": 1, 2, 3, 7.
std::set<std::uint32_t> nodes_in(const std::string& text) {
    std::set<std::uint32_t> nodes;
    for (const std::string& part : split(text, ' ')) {
        const auto range = split(part, '-');
        for (std::uint32_t node = number(range.front()); node <= number(range.back()); ++node) {
            nodes.insert(node);
        }
    }
    return nodes;
}

class Case {
  public:
    Case(const std::string& options, const std::string& votes) {
        const auto words = split(votes, ' ');
        if (words.size() == 3 && words[1] == "x") {
            votes_.assign(number(words[0]), number(words[2]));
        } else {
            for (const std::string& word : words) {
                votes_.push_back(number(word));
            }
        }
        for (const std::uint32_t each : votes_) {
            floor_ += each;
        }
        read_options(split(options, ' '));
        standing_.expected_votes = floor_ + device_.votes;
    }

    void happens(const std::string& what) {
        if (what == "window") {
            standing_ = quorum::stand_alone(rules_, standing_, ring_, members(), device_);
        } else if (what.starts_with("leave ")) {
            const auto leaving = nodes_in(what.substr(6));
            for (auto node = leaving.rbegin(); node != leaving.rend(); ++node) {
                leave(*node);
            }
        } else {
            const auto device = what.find("+device");
            device_.casts = device != std::string::npos;
            here_ = nodes_in(what.substr(0, device));
            decide();
        }
    }
    [[nodiscard]] const Standing& standing() const { return standing_; }

  private:
    void read_options(const std::vector<std::string>& words) {
        for (std::size_t at = 0; at < words.size(); ++at) {
            const std::string& word = words[at];
            if (word == "two_node") {
                rules_.two_node = true;
            } else if (word == "wait_for_all") {
                rules_.wait_for_all = true;
            } else if (word == "last_man_standing") {
                rules_.last_man_standing = true;
            } else if (word == "allow_downscale") {
                rules_.allow_downscale = true;
            } else if (word == "lowest") {
                rules_.tie_breaker = quorum::LowestNode{};
            } else if (word == "highest") {
                rules_.tie_breaker = quorum::HighestNode{};
            } else if (word == "list") {
                quorum::FirstOf list;
                while (++at < words.size()) {
                    list.nodes.push_back(NodeId{number(words[at])});
                }
                rules_.tie_breaker = list;
            } else if (word == "expected_votes") {
                floor_ = number(words.at(++at));
            } else if (word == "device") {
                device_.votes = number(words.at(++at));
            } else {
                FAIL("no option: " << word);
            }
        }
    }
    [[nodiscard]] std::vector<Member> members() const {
        std::vector<Member> members;
        for (const std::uint32_t node : here_) {
            members.push_back({.node = NodeId{node}, .votes = votes_.at(node - 1)});
        }
        return members;
    }
    void decide() {
        standing_ = quorum::decide(rules_, standing_, ++ring_, members(), device_, Recount::Keep);
    }
    // As quorumd: it says that it goes, and then it is gone.
    void leave(std::uint32_t node) {
        here_.erase(node);
        standing_ = quorum::downscale(rules_, standing_, ring_, members(), device_,
                                      votes_.at(node - 1), floor_);
        decide();
    }

    Rules rules_;
    std::vector<std::uint32_t> votes_;
    std::uint32_t floor_ = 0;
    Device device_;
    Standing standing_;
    std::set<std::uint32_t> here_;
    std::uint64_t ring_ = 0;
};

}  // namespace

TEST_CASE("the cases that were worked out from votequorum(5)") {
    std::ifstream document(kDocument);
    REQUIRE(document);
    bool is_inside = false;
    std::size_t cases = 0;
    for (std::string line; std::getline(document, line);) {
        if (line.starts_with("## ")) is_inside = line == "## Cases of votequorum(5)";
        const auto cells = split(line, '|');
        if (!is_inside || cells.size() != 8 || cells[7] == "quorate" || cells[1] == "---") continue;
        ++cases;
        CAPTURE(line);
        Case one(cells[2], cells[3]);
        for (const std::string& what : split(cells[4], ',')) {
            one.happens(what);
        }
        CHECK(one.standing().expected_votes == number(cells[5]));
        CHECK(one.standing().threshold == number(cells[6]));
        CHECK(one.standing().quorate == (cells[7] == "yes"));
    }
    CHECK(cases > 40);
}
