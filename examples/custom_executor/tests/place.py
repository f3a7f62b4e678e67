"""Where the tests of executor/remote run `weft`: nodes, a temporary directory, and a sharp eye for what is left behind.

Every wait has a deadline. Processes are told by a mark: the directory's name or the run's token in command line or environment.
"""
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
PATIENCE = 60  # seconds; far beyond what anything takes on a busy machine


class Unavailable(Exception):
    """This machine has no such place; the text says why."""


def words_of(pid, what):
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:
        return b""


def parent_of(pid):
    stat = words_of(pid, "stat")
    return int(stat[stat.rindex(b")") + 2:].split()[1]) if stat else 0


def wait_ended(pid, seconds):
    """Whether the process, anybody's child, has ended in time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(max(0, seconds) * 1000))
    finally:
        os.close(descriptor)


class Processes:
    """Those that bear one of the marks, this one and its ancestors aside."""

    def __init__(self, *marks):
        self.marks = [mark.encode() for mark in marks]

    def pids(self):
        own, pid = {0}, os.getpid()
        while pid not in own:
            own.add(pid)
            pid = parent_of(pid)
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) not in own:
                text = words_of(entry, "cmdline") + b"\0" + words_of(entry, "environ")
                if any(mark in text for mark in self.marks):
                    found.append(int(entry))
        return found

    def wait_gone(self, patience):
        """What is still there when the patience is over, as text; empty if nothing is."""
        deadline = time.monotonic() + patience
        while left := self.pids():
            if not wait_ended(left[0], deadline - time.monotonic()):
                return "\n".join(f"{pid}: {words_of(pid, 'cmdline').decode(errors='replace')}" for pid in self.pids())
        return ""


class Place:
    """Two nodes, and the options of executor/remote that reach them."""

    listen = "127.0.0.1"

    def __init__(self, prefix, plugin_dir):
        self.weft = Path(prefix) / "bin/weft"
        self.model = Path(prefix) / "share/weft/models/weft-tiny"
        self.plugin_dir = plugin_dir
        self.directory = Path(tempfile.mkdtemp(prefix="weft-nodes-"))
        # The agents' path bears the directory's name, so that they can be told from those of others.
        (self.directory / "weft").symlink_to(self.weft)
        self.options = {"nodes": ["left", "right"], "agent": str(self.directory / "weft")}
        try:
            self.set_up()
        except BaseException:
            self.close()
            raise

    def set_up(self):
        raise NotImplementedError

    def tear_down(self):
        pass

    def close(self):
        self.tear_down()
        shutil.rmtree(self.directory, ignore_errors=True)

    def transport_of(self, run, node):
        """The process of this machine that the executor started for the rank on that node."""
        raise NotImplementedError


class Namespaces(Place):
    """Network namespaces "left" and "right", joined by a bridge. Root."""

    listen = "10.77.0.1"

    def set_up(self):
        self.options["command"] = ["ip", "netns", "exec", "{node}"]
        self.options["addresses"] = ["10.77.0.2", "10.77.0.3"]
        made = subprocess.run([HERE / "namespaces", "up"], capture_output=True, text=True)
        if made.returncode != 0:
            raise Unavailable("no network namespaces can be made here: " + made.stderr.strip())

    def tear_down(self):
        subprocess.run([HERE / "namespaces", "down"], capture_output=True)

    def transport_of(self, run, node):
        # `ip netns exec` becomes the agent, whose command line no longer names the node.
        return parent_of(run.rank_on(node))

    def node_of(self, pid):
        return subprocess.run(["ip", "netns", "identify", str(pid)], capture_output=True, text=True).stdout.strip()


class LoopbackSsh(Place):
    """ssh to this machine under two names; each connection has an sshd of its own."""

    def set_up(self):
        made = subprocess.run([HERE / "loopback_ssh", self.directory / "ssh"], capture_output=True, text=True)
        config = str(self.directory / "ssh/config")
        if made.returncode == 0:
            made = subprocess.run(["ssh", "-F", config, "left", "true"], capture_output=True, text=True, timeout=PATIENCE)
        if made.returncode != 0:
            raise Unavailable("no ssh to this machine: " + made.stderr.strip())
        self.options["command"] = ["ssh", "-F", config, "{node}"]
        self.options["addresses"] = ["127.0.0.1", "127.0.0.1"]

    def transport_of(self, run, node):
        for pid in run.processes.pids():
            words = words_of(pid, "cmdline").split(b"\0")
            if parent_of(pid) == run.head.pid and words[0] == b"ssh" and node.encode() in words:
                return pid
        raise AssertionError(f"no ssh to {node} among the head's children")


CONFIGURATION = """
[model]
path = "{model}"
dtype = "f32"
[parallel]
data = 2
threads = 1
oversubscribe = true
[executor]
plugin = "remote"
[executor.config]
answer_timeout = "1s"
{options}
[communicator]
plugin = "gloo"
[engine]
kv_memory = "16MiB"
[cluster]
listen = "{listen}:0"
run_dir = "{run_dir}"
[timeouts]
lease = "2s"
drain = "0s"
"""


class Run:
    """A `weft run` with a copy of the model on each of the two nodes."""

    def __init__(self, place, name, requests, tokens, extra):
        self.place = place
        self.directory = place.directory / name
        self.directory.mkdir()
        self.run_dir = self.directory / "run"
        (self.directory / "weft.toml").write_text(CONFIGURATION.format(
            model=place.model, listen=place.listen, run_dir=self.run_dir,
            options="".join(f"{key} = {json.dumps(value)}\n" for key, value in place.options.items())))
        prompts = self.directory / "prompts.jsonl"
        prompts.write_text("".join(
            json.dumps({"custom_id": f"r{i}", "prompt": f"{i} + {i} =", "max_tokens": tokens, "temperature": 0,
                        "ignore_eos": True}) + "\n" for i in range(requests)))
        self.output = self.directory / "results.jsonl"
        self.summary = self.directory / "summary.json"
        self.errors = ""
        self.processes = Processes(str(place.directory))
        self.head = subprocess.Popen(
            [place.weft, "run", "-c", self.directory / "weft.toml", "-i", prompts, "-o", self.output, "--summary",
             self.summary, "--plugin-dir", place.plugin_dir, *extra],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)

    def wait_ready(self):
        """Until the head says that both copies are ready; what it said before is kept."""
        deadline = time.monotonic() + PATIENCE
        poll = select.poll()
        poll.register(self.head.stderr, select.POLLIN)
        while "replica(s) ready" not in self.errors:
            if not poll.poll(max(0, deadline - time.monotonic()) * 1000):
                raise AssertionError("not ready in time: " + self.errors)
            got = os.read(self.head.stderr.fileno(), 65536)
            if not got:
                raise AssertionError("ended before it was ready: " + self.errors)
            self.errors += got.decode(errors="replace")
        self.processes.marks.append((self.run_dir / "token").read_bytes().strip())
        return self

    def rank_on(self, node):
        """The pid of the rank on that node: rank 0 is on the first, rank 1 on the second."""
        rank = b"WEFT_RANK=%d" % self.place.options["nodes"].index(node)
        for pid in self.processes.pids():
            if b"worker" in words_of(pid, "cmdline").split(b"\0") and rank in words_of(pid, "environ").split(b"\0"):
                return pid
        raise AssertionError(f"no rank on {node}")

    def end(self):
        """Its exit code; what it said is in `errors`."""
        _, errors = self.head.communicate(timeout=PATIENCE)
        self.errors += errors.decode(errors="replace")
        return self.head.returncode

    def close(self):
        for pid in [*([self.head.pid] if self.head.poll() is None else []), *self.processes.pids()]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.head.returncode is None:
            self.head.communicate()
