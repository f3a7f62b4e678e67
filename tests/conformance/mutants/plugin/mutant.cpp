// A balancer that breaks one rule for every kind of plugin, named by WEFT_MUTANT; unset, it breaks none.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft/load_balancer.h>
#include <weft/plugin.h>

#include <array>
#include <cfenv>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <thread>

#include "tests/conformance/mutants/switch.h"

extern "C" char** environ;

namespace {

using weft::mutant::breaks;

// A thread that nobody joins, which is what the rules are about.
void start_stray_thread() {
  std::thread([] { ::pause(); }).detach();
}

void leave_child() {
  if (::fork() == 0) {
    ::pause();
    ::_exit(0);
  }
}

// A grandchild, whose parent ends at once: nobody's child but the reaper's.
void leave_daemon() {
  const pid_t between = ::fork();
  if (between == 0) {
    ::setsid();
    leave_child();
    ::_exit(0);
  }
  ::waitpid(between, nullptr, 0);
}

[[maybe_unused]] const bool at_load = [] {
  if (breaks("load_starts_thread")) start_stray_thread();
  if (breaks("load_opens_file")) (void)!::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (breaks("load_ignores_sigpipe")) ::signal(SIGPIPE, SIG_IGN);
  return true;
}();

// What create does to the process that it is a guest of.
void change_process() {
  if (breaks("writes_stdout")) std::puts("hello");
  if (breaks("writes_stderr")) std::fputs("hello\n", stderr);
  if (breaks("changes_signal_handler")) ::signal(SIGUSR1, SIG_IGN);
  if (breaks("changes_signal_flags")) {
    struct sigaction action {};
    ::sigaction(SIGTERM, nullptr, &action);
    action.sa_flags ^= SA_RESTART;
    ::sigaction(SIGTERM, &action, nullptr);
  }
  if (breaks("changes_signal_mask")) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  }
  if (breaks("changes_cwd")) (void)!::chdir("/");
  if (breaks("changes_umask")) ::umask(0);
  if (breaks("changes_env")) ::setenv("WEFT_MUTANT_WAS_HERE", "1", 1);
  if (breaks("changes_locale")) std::setlocale(LC_ALL, "C.UTF-8");
  if (breaks("changes_rounding")) std::fesetround(FE_UPWARD);
  if (breaks("changes_priority")) ::setpriority(PRIO_PROCESS, 0, 5);
  if (breaks("replaces_terminate")) std::set_terminate([] { ::_exit(0); });
}

// What create leaves behind.
void leave_behind() {
  if (breaks("leaves_file")) {
    const char* const home = std::getenv("HOME");
    const std::string path = std::string(home == nullptr ? "." : home) + "/.mutant";
    ::close(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  }
  if (breaks("writes_at_exit")) std::atexit([] { std::fputs("bye\n", stderr); });
  if (breaks("exits_at_exit")) std::atexit([] { ::_exit(0); });
  if (breaks("takes_children")) (void)::waitpid(-1, nullptr, WNOHANG);
  if (breaks("leaks_fd")) (void)!::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (breaks("leaks_thread")) start_stray_thread();
  if (breaks("leaks_child")) leave_child();
  static int made = 0;
  if (++made == 1 && breaks("leaks_child_once")) leave_child();
  if (made == 1 && breaks("leaks_daemon")) leave_daemon();
  if (breaks("leaks_memory")) {
    static char* volatile last;  // used, so that the allocation is not left out
    last = static_cast<char*>(std::malloc(100'000));
    std::memset(last, 1, 100'000);
  }
}

int alive = 0;

// PL-35 is about time itself, so breaking it takes time: half a second more than the rule allows, by the run's scale. A sleep
// lasts as long as it says or longer, so the case sees it on any machine, however busy. One without end would prove
// less: the harness's own deadline would end the case, whether it measures or not. The first time only: nobody waits twice.
void hang() {
  static bool again = false;
  if (!again) std::this_thread::sleep_for(weft::mutant::scaled(std::chrono::milliseconds(2500)));
  again = true;
}

// A process that an object has while it lives. It breaks no rule where it runs a program of its own.
class Helper {
 public:
  Helper() {
    if (breaks("helper_is_a_copy")) {
      pid_ = ::fork();
      while (pid_ == 0)
        ::pause();
    }
#ifdef MUTANT_HELPED
    std::string program = "/bin/sleep";
    std::string seconds = "1000";
    std::array<char*, 3> arguments{program.data(), seconds.data(), nullptr};
    ::posix_spawn(&pid_, program.c_str(), nullptr, nullptr, arguments.data(), environ);
#endif
  }
  ~Helper() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;

 private:
  pid_t pid_ = -1;
};

// The next eligible one by id: enough to pass every rule of balancers.
class InTurn final : public weft::LoadBalancer {
 public:
  InTurn() : made_by_(std::this_thread::get_id()) { ++alive; }
  ~InTurn() override {
    --alive;
    if (breaks("destroy_in_its_thread") && std::this_thread::get_id() != made_by_) ::raise(SIGSEGV);
    if (breaks("destroy_hangs")) hang();
  }
  weft::Result<weft::Decision> pick(const weft::RequestView&, const weft::ReplicaTable& table, weft::Time) override {
    if (breaks("pick_writes_stdout")) std::puts("picked");
    if (breaks("pick_changes_cwd")) (void)!::chdir("/");
    if (breaks("pick_takes_children")) (void)::waitpid(-1, nullptr, WNOHANG);
    const weft::ReplicaView* first = nullptr;
    for (const weft::ReplicaView& replica : table.replicas) {
      if (!replica.eligible) continue;
      if (first == nullptr) first = &replica;
      if (replica.id > last_) return decide(replica);
    }
    if (first != nullptr) return decide(*first);
    return weft::fail(weft::ErrorCode::unavailable, "no replica may take a request", true);
  }
  void observe(const weft::Event&, weft::Time) override {}
  void* query(std::string_view id) override {
    if (breaks("query_invents") && id.empty()) return this;
    if (breaks("query_opens") && !id.empty()) (void)!::open("/dev/null", O_RDONLY | O_CLOEXEC);
    return nullptr;
  }

 private:
  weft::Decision decide(const weft::ReplicaView& replica) {
    last_ = replica.id;
    return {.replica = last_, .reason = "in turn"};
  }

  const std::thread::id made_by_;
  const Helper helper_;
  weft::ReplicaId last_ = -1;
};

weft::Status probe() {
  static int calls = 0;
  if (breaks("probe_opens_file")) (void)!::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (breaks("probe_changes_its_mind") && ++calls > 2) return weft::fail(weft::ErrorCode::unavailable, "not any more");
  return {};
}

weft::Result<std::unique_ptr<weft::LoadBalancer>> create(const weft::PluginOptions& options, weft::HostServices&) {
  if (breaks("only_one_at_once") && alive > 0) return weft::fail(weft::ErrorCode::resource_exhausted, "there is one");
  if (breaks("refuses_silently") && options.get<std::int64_t>("depth") == 64)
    return weft::fail(weft::ErrorCode::invalid_argument, "");
  change_process();
  leave_behind();
  return std::make_unique<InTurn>();
}

constexpr weft::OptionSpec options[] = {{.key = "depth",
                                         .type = weft::OptionSpec::Type::integer,
                                         .default_value = "1",
                                         .range = "1..64",
                                         .help = "Unused."}};

const weft::PluginDefinition<weft::LoadBalancer> definition{.name = MUTANT_NAME,
                                                            .version = "1.0.0",
                                                            .summary = "breaks a rule",
                                                            .options = options,
                                                            .probe = &probe,
                                                            .create = &create};

int overrunning_probe(char* reason, std::size_t size) {
  if (size < 64) reason[size] = '!';
  return 0;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const weft::weft_plugin_descriptor* weft_plugin() {
  const weft::weft_plugin_descriptor* const right = weft::plugin_detail::descriptor<weft::LoadBalancer, definition>();
  static weft::weft_plugin_descriptor copies[2] = {*right, *right};
  static int calls = 0;
  if (breaks("two_lines_of_summary")) copies[0].summary = "breaks\na rule";
  if (breaks("probe_overruns")) copies[0].probe = &overrunning_probe;
  if (breaks("descriptor_changes")) return &copies[++calls % 2];
  return std::getenv("WEFT_MUTANT") == nullptr ? right : &copies[0];
}

#ifdef MUTANT_EXPORTS
extern "C" __attribute__((visibility("default"))) int mutant_helper() { return 1; }
#endif
