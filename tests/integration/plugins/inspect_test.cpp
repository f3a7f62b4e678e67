// `weft plugins inspect`, by the built program.
#include "tests/integration/run/run_test.h"

namespace weft::test {
namespace {

class Inspect : public RunTest {
 protected:
  Ended inspect(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {weft_program, "plugins", "inspect", "--plugin-dir", FIXTURES});
    Child child({.argv = std::move(arguments), .env = {}, .directory = directory_.path()});
    const int code = child.wait();
    return {code, child.out(), child.err()};
  }
};

TEST_F(Inspect, ShowsIdentityStagesCapabilitiesAndOptions) {
  const Ended ended = inspect({"executor/mp"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.out, AllOf(HasSubstr("executor/mp "), HasSubstr("libweft-executor-mp.so\n"), HasSubstr("\nsha256 "),
                               HasSubstr("  probe         passed\n"), HasSubstr("  create        passed\n"),
                               HasSubstr("several_nodes"), HasSubstr("\n  bind (boolean, default true)\n")));
  const Json json = Json::parse(inspect({"executor/mp", "--json"}).out);
  EXPECT_EQ(json["id"], "executor/mp");
  EXPECT_EQ(json["sha256"].get<std::string>().size(), 64u);
  EXPECT_THAT(json["capabilities_lacked"].dump(), HasSubstr("several_nodes"));
  EXPECT_THAT(inspect({"executor/mp", "--markdown"}).out,
              AllOf(HasSubstr("# executor/mp\n"), HasSubstr("| create | passed |\n")));
}

TEST_F(Inspect, ShowsWhatIsKnownOfARefusedOne) {
  const Ended at_probe = inspect({"load_balancer/probe_no"});
  EXPECT_EQ(at_probe.code, 0) << at_probe.err;
  EXPECT_THAT(at_probe.out, AllOf(HasSubstr("  probe         failed\n"), HasSubstr("  create        not reached\n"),
                                  HasSubstr("flux capacitor"), HasSubstr("\n  limit (")));
  // It is found by its file's name: nothing of it could be read.
  const Ended at_symbol = inspect({"load_balancer/no_symbol"});
  EXPECT_EQ(at_symbol.code, 0) << at_symbol.err;
  EXPECT_THAT(at_symbol.out, AllOf(HasSubstr("load_balancer/no_symbol"), HasSubstr("  symbol        failed\n"),
                                   HasSubstr("  dlopen        not reached\n")));
  EXPECT_THAT(inspect({"load_balancer/create_exits"}).out, HasSubstr("  create        failed\n"));
  EXPECT_THAT(inspect({"load_balancer/needs_option"}).out,
              HasSubstr("  create        not tried: option 'limit' has no default\n"));
}

TEST_F(Inspect, SaysWhatItDoesNotFindOrUnderstand) {
  EXPECT_EQ(inspect({"executor/none"}).code, 3);
  EXPECT_EQ(inspect({"mp"}).code, 2);
  EXPECT_EQ(inspect({"executor/mp", "--timeout", "soon"}).code, 2);
  EXPECT_EQ(inspect({"executor/mp", "--json", "--markdown"}).code, 2);
}

}  // namespace
}  // namespace weft::test
