#include "tests/conformance/mutants/mutant_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temporary_directory.h"

namespace weft::conformance {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ReadMutants : public ::testing::Test {
 protected:
  MutantList read(const std::string& folder, const std::string& text, const std::vector<std::string>& rules = {}) {
    std::filesystem::create_directories(directory_.path() + "/" + folder);
    directory_.write(folder + "/mutants.toml", text);
    return read_mutants(directory_.path(), rules);
  }

  const std::string controls_ = "controls = [\"LB-01\", \"LB-02\", \"LB-03\", \"LB-04\", \"LB-05\"]\n";
  const std::string forgets_ = "[[mutant]]\nname = \"forgets\"\nbreaks = \"LB-20\"\nfails = [\"LB-20\", \"LB-01\"]\n";
  test::TemporaryDirectory directory_;
};

TEST_F(ReadMutants, AMutantHasItsLibraryItsSetAndTheOtherControls) {
  const MutantList list = read("balancer", controls_ + "profile = \"p.toml\"\nsane = [\"plain\"]\n" + forgets_);
  EXPECT_THAT(list.problems, IsEmpty());
  ASSERT_EQ(list.mutants.size(), 1u);
  EXPECT_EQ(list.mutants[0].library, "libweft-load_balancer-mutant.so");
  EXPECT_THAT(list.mutants[0].fails, ElementsAre("LB-01", "LB-20"));
  EXPECT_THAT(list.mutants[0].controls, ElementsAre("LB-02", "LB-03", "LB-04", "LB-05"));
  EXPECT_EQ(list.mutants[0].profile, directory_.path() + "/balancer/p.toml");
  ASSERT_EQ(list.unbroken.size(), 2u);
  EXPECT_EQ(list.unbroken[0].library, "libweft-load_balancer-mutant.so");
  EXPECT_EQ(list.unbroken[1].library, "libweft-load_balancer-plain.so");
  EXPECT_EQ(list.unbroken[1].name, "");
}

TEST_F(ReadMutants, AFileWhoseFaultIsItsOwnIsNotAskedToBeUnbroken) {
  const MutantList list = read("plugin", "kind = \"executor\"\n" + controls_ + forgets_ + "library = \"execstack\"\n");
  EXPECT_EQ(list.mutants[0].library, "libweft-executor-execstack.so");
  EXPECT_THAT(list.unbroken, IsEmpty());
}

TEST_F(ReadMutants, ARuleThatNoMutantBreaksIsAProblem) {
  const MutantList list = read("balancer", "covers = \"LB\"\n" + controls_ + forgets_, {"LB-20", "LB-21", "DV-01"});
  EXPECT_THAT(list.problems, ElementsAre("balancer/mutants.toml: no mutant fails LB-21"));
}

TEST_F(ReadMutants, ARuleMayBeExemptWithAReason) {
  const std::string exempt = "[[exempt]]\nrule = \"LB-21\"\nreason = \"it needs two machines\"\n";
  const std::string covers = "covers = \"LB\"\n" + controls_ + forgets_;
  EXPECT_THAT(read("balancer", covers + exempt, {"LB-01", "LB-20", "LB-21"}).problems, IsEmpty());
  EXPECT_THAT(read("balancer", covers + "[[exempt]]\nrule = \"LB-21\"\n", {"LB-21"}).problems,
              ElementsAre("balancer/mutants.toml: the exemption of 'LB-21' has no reason"));
  EXPECT_THAT(read("balancer", covers + exempt, {"LB-20"}).problems,
              ElementsAre("balancer/mutants.toml: 'LB-21' is exempt and no rule"));
  EXPECT_THAT(read("balancer", covers + "[[exempt]]\nrule = \"LB-20\"\nreason = \"?\"\n", {"LB-20"}).problems,
              ElementsAre("balancer/mutants.toml: LB-20 is exempt, and a mutant fails it"));
}

TEST_F(ReadMutants, WhatIsWrongIsSaid) {
  EXPECT_THAT(read("a", "controls = []\n" + forgets_).problems, Contains(HasSubstr("five controls")));
  EXPECT_THAT(read("a", controls_).problems, Contains("a/mutants.toml: no [[mutant]]"));
  EXPECT_THAT(read("a", controls_ + forgets_ + forgets_).problems, Contains(HasSubstr("two mutants 'forgets'")));
  EXPECT_THAT(read("a", controls_ + forgets_ + "fail = []\n").problems, Contains(HasSubstr("unknown key 'fail'")));
  EXPECT_THAT(read("a", controls_ + "mutant = [1]\n").problems, Contains(HasSubstr("no table")));
  EXPECT_THAT(read("a", "[[mutant").problems, Contains(HasSubstr("a/mutants.toml: ")));
  EXPECT_THAT(read("a", controls_ + "[[mutant]]\nname = \"x\"\nbreaks = \"LB-20\"\nfails = [\"LB-21\"]\n").problems,
              Contains(HasSubstr("`breaks` among `fails`")));
  EXPECT_THAT(
      read("a",
           controls_ + "[[mutant]]\nname = \"x\"\nbreaks = \"LB-20\"\nfails = [\"LB-20\"]\nmay_fail = [\"LB-20\"]\n")
          .problems,
      Contains(HasSubstr("both in `fails` and in `may_fail`")));
}

}  // namespace
}  // namespace weft::conformance
