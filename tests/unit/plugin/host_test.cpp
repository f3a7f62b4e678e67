// Each stage refuses the plugin that fails exactly there, and says what was found, expected and to be done.
#include "core/plugin/plugin_host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <future>
#include <thread>

#include "core/plugin/host_services.h"
#include "core/plugin/kinds.h"
#include "tests/support/sanitized.h"
#include "tests/unit/plugin/temp_directory.h"
#include "weft/executor.h"
#include "weft/load_balancer.h"

namespace weft {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

SearchPath fixtures() { return {.directories = {{.path = FIXTURES, .origin = "the test"}}}; }

PluginRequest balancer(const std::string& name) { return {.kind = "load_balancer", .name = name}; }

struct Case {
  std::string fixture;
  Stage stage;
  std::string found;
};

class PluginHostStages : public ::testing::TestWithParam<Case> {};

TEST_P(PluginHostStages, RefuseWhatFailsThereAndSayWhy) {
  PluginHost host({.search_path = fixtures()});
  const auto loaded = host.try_load(balancer(GetParam().fixture));
  ASSERT_FALSE(loaded);
  ASSERT_TRUE(loaded.error().stage) << loaded.error().error.message;
  EXPECT_EQ(to_string(*loaded.error().stage), to_string(GetParam().stage)) << loaded.error().error.message;
  EXPECT_EQ(loaded.error().error.code, ErrorCode::refused);
  EXPECT_THAT(
      loaded.error().error.message,
      AllOf(HasSubstr("plugin load_balancer/" + GetParam().fixture), HasSubstr(FIXTURES),
            HasSubstr("stage '" + std::string(to_string(GetParam().stage)) + "'"), HasSubstr(GetParam().found)));
}

INSTANTIATE_TEST_SUITE_P(
    Fixtures, PluginHostStages,
    ::testing::Values(
        Case{"no_symbol", Stage::symbol, "does not export 'weft_plugin'"},
        Case{"undefined", Stage::dlopen,
             "the dynamic linker does not take it: undefined symbol: weft_test_symbol_that_nobody_defines; "},
        Case{"symbol_throws", Stage::size, "thrown by weft_plugin"},
        Case{"null_descriptor", Stage::size, "returned null"}, Case{"wrong_size", Stage::size, "has 8 bytes, expected"},
        Case{"wrong_magic", Stage::size, "magic 0x12345678, expected 0x74666577"},
        Case{"wrong_abi", Stage::abi, "ABI version 99, this weft's is 1"},
        Case{"wrong_interface", Stage::interface, "version 99 of the load_balancer interface"},
        Case{"null_kind", Stage::interface, "unknown kind ''"},
        Case{"wrong_fingerprint", Stage::fingerprint, "'debug=1' where weft has"},
        Case{"debug_stl", Stage::fingerprint, "'debug=1' where weft has 'debug=0'"},
        Case{"old_strings", Stage::fingerprint, "'stl=libstdc++/cxx11=0' where weft has"},
        Case{"second_runtime", Stage::runtime, "second C++ runtime"},
        Case{"wrong_name", Stage::name, "expected 'libweft-load_balancer-another.so'"},
        Case{"no_summary", Stage::name, "no version or no summary"},
        Case{"unknown_capability", Stage::capabilities, "did you mean 'prefix_affinity'?"},
        Case{"no_help", Stage::options, "option 'limit': no help"},
        Case{"illegal_default", Stage::options, "illegal default 65: 65 is outside 1..64"},
        Case{"probe_no", Stage::probe, "there is no flux capacitor"},
        Case{"probe_throws", Stage::probe, "thrown by probe"}),
    [](const auto& test) { return test.param.fixture; });

TEST(PluginHost, RefusesAKindThatItDoesNotKnow) {
  PluginHost host({.search_path = fixtures()});
  const auto loaded = host.try_load({.kind = "load_balancer", .path = FIXTURES "/libweft-teapot-unknown_kind.so"});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().stage, Stage::interface);
  EXPECT_THAT(loaded.error().error.message, HasSubstr("executor, communicator, load_balancer, device"));
}

TEST(PluginHost, LoadsAGoodPluginAndKnowsItsIdentity) {
  PluginHost host({.search_path = fixtures()});
  const auto loaded = host.load(balancer("good"));
  ASSERT_TRUE(loaded) << loaded.error().message;
  const PluginInfo& info = (*loaded)->info;
  EXPECT_EQ((*loaded)->id(), "load_balancer/good");
  EXPECT_EQ(info.version, "1.2.3");
  EXPECT_EQ(info.sha256.size(), 64u);
  EXPECT_EQ(info.fingerprint, WEFT_FINGERPRINT);
  EXPECT_TRUE((*loaded)->has("x-fixture"));
  EXPECT_FALSE((*loaded)->has("prefix_affinity"));
  ASSERT_EQ(info.options.size(), 1u);
  EXPECT_EQ(info.options[0].key, "limit");
  EXPECT_EQ(std::get<std::int64_t>(*info.options[0].default_value), 3);
}

TEST(PluginHost, GivesTheSameLoadedPluginForTheSameFile) {
  PluginHost host({.search_path = fixtures()});
  const auto by_name = host.load(balancer("good"));
  const auto by_path = host.load({.kind = "load_balancer", .path = FIXTURES "/libweft-load_balancer-good.so"});
  ASSERT_TRUE(by_name && by_path);
  EXPECT_EQ(*by_name, *by_path);
  EXPECT_FALSE(host.load({.kind = "load_balancer",
                          .name = "good",
                          .path = FIXTURES "/libweft-load_balancer-good.so",
                          .sha256 = std::string(64, '0')}));
  EXPECT_FALSE(host.load({.kind = "executor", .path = FIXTURES "/libweft-load_balancer-good.so"}));
}

TEST(PluginHost, DoesNotProbeWhereThePluginIsToWorkElsewhere) {
  PluginHost host({.search_path = fixtures()});
  PluginRequest request = balancer("probe_no");
  request.probe = false;
  EXPECT_TRUE(host.load(request));
  request.probe = true;
  const auto probed = host.try_load(request);
  ASSERT_FALSE(probed);
  EXPECT_EQ(probed.error().stage, Stage::probe);
}

TEST(PluginHost, SaysWhereItLookedAndWhatIsThereWhenAPluginIsNotFound) {
  PluginHost host({.search_path = fixtures()});
  const auto loaded = host.try_load(balancer("god"));
  ASSERT_FALSE(loaded);
  EXPECT_FALSE(loaded.error().stage);
  EXPECT_EQ(loaded.error().error.code, ErrorCode::not_found);
  EXPECT_THAT(loaded.error().error.message,
              AllOf(HasSubstr("libweft-load_balancer-god.so"), HasSubstr(FIXTURES), HasSubstr("did you mean 'good'?")));
}

TEST(PluginHost, RefusesRequestsThatCouldReachOutsideTheSearchPath) {
  PluginHost host({.search_path = fixtures()});
  for (const std::string name : {"../good", "a/b", "", "Good", "x\n"}) {
    const auto loaded = host.try_load(balancer(name));
    ASSERT_FALSE(loaded) << name;
    EXPECT_EQ(loaded.error().error.code, ErrorCode::invalid_argument);
  }
  EXPECT_EQ(host.load({.kind = "load_balancer", .path = "libweft-load_balancer-good.so"}).error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(host.load({.kind = "teapot", .name = "good"}).error().code, ErrorCode::invalid_argument);
}

class PluginCreate : public ::testing::Test {
 protected:
  Result<PluginHandle<LoadBalancer>> create(const std::string& name, std::vector<UserOption> written = {}) {
    WEFT_ASSIGN(plugin, host_.load(balancer(name)));
    const CheckedOptions checked = check_options(plugin->info.options, written, "balancer.config", "weft.toml:1:1");
    EXPECT_TRUE(checked.problems.empty());
    return create_plugin<LoadBalancer>(*plugin, checked.options, services_);
  }

  Metrics metrics_;
  PluginHostServices services_{{.plugin = "load_balancer/fixture", .metrics = &metrics_, .cpus = {1, 2}}};
  PluginHost host_{{.search_path = fixtures()}};
};

TEST_F(PluginCreate, MakesAnObjectWithTheUsersOptionsAndGivesItBack) {
  auto made = create("good", {{.key = "limit", .value = std::int64_t{42}, .where = "weft.toml:2:1"}});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->plugin()->id(), "load_balancer/good");
  EXPECT_EQ((*made)->pick({}, {}, Time{})->replica, 42);
  int* const live = static_cast<int*>((*made)->query("x-live-objects"));
  EXPECT_EQ(*live, 1);
  PluginHandle<LoadBalancer> moved = std::move(*made);
  EXPECT_EQ(*live, 1);
  moved.reset();
  EXPECT_EQ(*live, 0);
  EXPECT_EQ(metrics_.counter("objects_total", {{"plugin", "load_balancer/fixture"}}).value(), 1);
}

TEST_F(PluginCreate, HandsOnThePluginsErrorWithItsNameInFront) {
  const auto made = create("create_fails");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::resource_exhausted);
  EXPECT_TRUE(made.error().retryable);
  EXPECT_THAT(made.error().message, AllOf(HasSubstr("plugin load_balancer/create_fails"), HasSubstr("stage 'create'"),
                                          HasSubstr("no memory for it")));
}

TEST_F(PluginCreate, LetsNoExceptionAcross) {
  const auto made = create("create_throws");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::internal);
  EXPECT_THAT(made.error().message, HasSubstr("thrown by create"));
  auto bad_end = create("destroy_throws");
  ASSERT_TRUE(bad_end);
  bad_end->reset();
}

TEST_F(PluginCreate, DemandsAReasonWhereThereIsNoObject) {
  const auto made = create("create_nothing");
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message, HasSubstr("gave no reason"));
}

// What crashes, exits or hangs does so in a child.
class PluginHostWithChildren : public ::testing::Test {
 protected:
  PluginHost host_{{.search_path = fixtures(), .child_limit = std::chrono::minutes(1)}};
};

TEST_F(PluginHostWithChildren, RefusesAPluginThatTakesItsProcessAlong) {
  const auto refused = host_.try_load(balancer("probe_exits"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().stage, Stage::probe);
  EXPECT_EQ(refused.error().error.code, ErrorCode::refused);
  EXPECT_THAT(refused.error().error.message,
              AllOf(HasSubstr("plugin load_balancer/probe_exits"), HasSubstr("with exit code 7")));
  EXPECT_TRUE(host_.load(balancer("good")));
}

TEST_F(PluginHostWithChildren, RefusesAPluginThatHangsAtItsDeadline) {
  PluginHost host({.search_path = fixtures(), .child_limit = std::chrono::seconds(2)});
  EXPECT_THAT(host.try_load(balancer("probe_hangs")).error().error.message, HasSubstr("within its 2 s"));
}

TEST_F(PluginHostWithChildren, RehearsesCreateAndTellsHowItEnded) {
  for (const auto& [name, found] : {std::pair{"create_exits", "it ended the process in this stage, with exit code 0"},
                                    {"create_throws", "thrown by create"},
                                    {"create_crashes", "in this stage"}}) {
    const auto plugin = host_.load(balancer(name));
    ASSERT_TRUE(plugin) << plugin.error().message;
    const Status rehearsed = host_.rehearse(**plugin, {{{"limit", std::int64_t{3}}}});
    ASSERT_FALSE(rehearsed) << name;
    EXPECT_NE(rehearsed.error().code, ErrorCode::refused);
    EXPECT_THAT(rehearsed.error().message, AllOf(HasSubstr(std::string("plugin load_balancer/") + name),
                                                 HasSubstr("stage 'create'"), HasSubstr(found)));
  }
  const auto good = host_.load(balancer("good"));
  ASSERT_TRUE(good);
  EXPECT_TRUE(host_.rehearse(**good, {{{"limit", std::int64_t{3}}}}));
}

TEST_F(PluginHostWithChildren, AsksAnObjectInAChild) {
  const auto good = host_.load(balancer("good"));
  ASSERT_TRUE(good);
  const PluginOptions options{{{"limit", std::int64_t{3}}}};
  const pid_t here = ::getpid();
  const auto answer = host_.ask(**good, options, [&](void* object) {
    return std::string(object == nullptr ? "no object" : ::getpid() == here ? "asked here" : "asked\n in a \"child\"");
  });
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(*answer, "asked\n in a \"child\"");
  const auto thrown =
      host_.ask(**good, options, [](void*) -> std::string { throw std::runtime_error("thrown by it"); });
  ASSERT_FALSE(thrown);
  EXPECT_THAT(thrown.error().message, AllOf(HasSubstr("load_balancer/good"), HasSubstr("thrown by it")));
  const auto ended = host_.ask(**good, options, [](void*) -> std::string { ::_exit(3); });
  ASSERT_FALSE(ended);
  EXPECT_THAT(ended.error().message, HasSubstr("exit code 3"));
  PluginHost without_children({.search_path = {}});
  EXPECT_EQ(without_children.ask(**good, options, [&](void*) { return std::to_string(::getpid()); }).value(),
            std::to_string(here));
}

TEST_F(PluginHostWithChildren, ForksNothingWhereAnotherThreadLives) {
  const auto loaded = host_.load(balancer("good"));
  ASSERT_TRUE(loaded) << loaded.error().message;
  std::promise<void> end;
  std::promise<void> named;
  std::thread other([&] {
    (void)pthread_setname_np(pthread_self(), "a (busy) one");
    named.set_value();
    end.get_future().wait();
  });
  named.get_future().wait();
  const auto refused = host_.try_load(balancer("probe_exits"));
  const Status rehearsed = host_.rehearse(**loaded, {{{"limit", std::int64_t{3}}}});
  const auto known = host_.load(balancer("good"));
  end.set_value();
  other.join();
  if (!test::thread_sanitized) {  // which has a thread of its own, so that the host does not look for any
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().error.code, ErrorCode::internal);
    EXPECT_THAT(
        refused.error().error.message,
        AllOf(HasSubstr("probe_exits"), HasSubstr("other threads (a (busy) one)"), HasSubstr("before threads start")));
    ASSERT_FALSE(rehearsed);
    EXPECT_EQ(rehearsed.error().code, ErrorCode::internal);
  }
  EXPECT_TRUE(known) << "what has been loaded needs no child";
  EXPECT_TRUE(host_.rehearse(**loaded, {{{"limit", std::int64_t{3}}}})) << "the thread has ended";
}

TEST(PluginHostDeathTest, ACrashOfAPluginInThisProcessNamesThePlugin) {
  PluginHost host({.search_path = fixtures()});
  EXPECT_DEATH((void)host.load(balancer("probe_aborts")),
               "weft: .*libweft-load_balancer-probe_aborts.so: stage 'probe': the process crashed in it: SIGABRT");
}

TEST(PluginHost, LeavesTheDispositionsOfSignalsAsTheyWere) {
  struct sigaction before {};
  struct sigaction after {};
  ASSERT_EQ(::sigaction(SIGABRT, nullptr, &before), 0);
  PluginHost host({.search_path = fixtures()});
  ASSERT_TRUE(host.load(balancer("good")));
  ASSERT_EQ(::sigaction(SIGABRT, nullptr, &after), 0);
  EXPECT_EQ(before.sa_handler, after.sa_handler);
}

TEST_F(PluginCreate, RefusesAPluginOfAnotherKind) {
  const auto plugin = host_.load(balancer("good"));
  ASSERT_TRUE(plugin);
  const auto made = create_plugin<Executor>(**plugin, {}, services_);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::failed_precondition);
}

TEST(PluginKinds, AreFourAndEachNamesItsCapabilities) {
  EXPECT_EQ(plugin_kinds().size(), 4u);
  for (const PluginKind& kind : plugin_kinds())
    EXPECT_FALSE(kind.capabilities.empty()) << kind.name;
}

}  // namespace
}  // namespace weft
