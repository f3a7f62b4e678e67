#!/usr/bin/env python3
"""executor/remote, with a real `weft run` of two copies on two nodes, over network namespaces and over ssh.

    tests/nodes_test.py --prefix PREFIX --plugin-dir build [unittest's options]
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import unittest

import place

ALONE = "WEFT_TEST_ALONE"  # in the environment: empty in a network of this test's own, else the reason why not


def be_alone():
    """Run again with a network of one's own, or stay; the tests that need it say so."""
    if ALONE in os.environ:
        return
    tried = subprocess.run([place.HERE / "tests/alone", "--check"], capture_output=True, text=True)
    os.environ[ALONE] = tried.stderr.strip()
    if tried.returncode == 0:
        os.execv(place.HERE / "tests/alone", ["alone", sys.executable, *sys.argv])


class OnNodes:
    """What holds in every place."""

    kind = None

    @classmethod
    def setUpClass(cls):
        try:
            cls.place = cls.kind(arguments.prefix, arguments.plugin_dir)
        except place.Unavailable as why:
            raise unittest.SkipTest(str(why))

    @classmethod
    def tearDownClass(cls):
        cls.place.close()

    def start(self, requests=4000, tokens=400, extra=()):
        run = place.Run(self.place, self._testMethodName, requests, tokens, extra)
        self.addCleanup(run.close)
        return run

    def expect_nothing_left(self, run):
        self.assertEqual(run.processes.wait_gone(15), "", "left behind; the head said: " + run.errors)

    def test_two_nodes_answer_every_request(self):
        run = self.start(requests=40, tokens=24)
        self.assertEqual(run.end(), 0, run.errors)
        answers = [json.loads(line)["custom_id"] for line in run.output.read_text().splitlines()]
        self.assertEqual(sorted(answers), sorted(f"r{i}" for i in range(40)))
        engines = json.loads(run.summary.read_text())["engines"]
        self.assertTrue(all(engines[replica]["steps"] > 0 for replica in ("0", "1")), engines)
        self.expect_nothing_left(run)

    def test_a_rank_that_is_killed_is_named_and_nothing_is_left(self):
        run = self.start().wait_ready()
        os.kill(run.rank_on("right"), signal.SIGKILL)
        self.assertEqual(run.end(), 1, run.errors)
        self.assertIn("rank 1 (replica 1, pp 0, tp 0), pid", run.errors)
        self.assertIn("was killed by signal 9 (SIGKILL)", run.errors)
        self.expect_nothing_left(run)

    def test_a_rank_that_is_stopped_is_missed_and_killed(self):
        run = self.start().wait_ready()
        os.kill(run.rank_on("left"), signal.SIGSTOP)
        self.assertEqual(run.end(), 1, run.errors)
        # Its heartbeats stop and its link goes silent: whichever is noticed first.
        self.assertRegex(run.errors, r"rank 0 \(replica 0, pp 0, tp 0\).*(timeouts.lease|no longer reachable)")
        self.expect_nothing_left(run)

    def test_a_transport_that_is_killed_is_a_node_lost(self):
        run = self.start().wait_ready()
        os.kill(self.place.transport_of(run, "right"), signal.SIGKILL)
        self.assertEqual(run.end(), 1, run.errors)
        self.assertIn("went with its node (node right:", run.errors)
        self.expect_nothing_left(run)

    def test_a_transport_that_is_stopped_is_cut_at_the_end(self):
        run = self.start().wait_ready()
        os.kill(self.place.transport_of(run, "right"), signal.SIGSTOP)
        run.head.send_signal(signal.SIGTERM)
        self.assertEqual(run.end(), 130, run.errors)
        self.expect_nothing_left(run)

    def test_a_head_that_is_killed_leaves_nothing(self):
        run = self.start().wait_ready()
        run.head.kill()
        self.assertEqual(run.end(), -signal.SIGKILL)
        self.expect_nothing_left(run)


class OverNamespaces(OnNodes, unittest.TestCase):
    kind = place.Namespaces

    @classmethod
    def setUpClass(cls):
        if why := os.environ[ALONE]:
            raise unittest.SkipTest("no network of one's own: " + why)
        super().setUpClass()

    def test_ranks_run_in_their_namespaces(self):
        run = self.start().wait_ready()
        for node in ("left", "right"):
            self.assertEqual(self.place.node_of(run.rank_on(node)), node)

    def test_a_head_that_cannot_be_reached_is_refused_by_the_plan(self):
        run = self.start(extra=["--set", "cluster.listen=127.0.0.1:0"])
        self.assertEqual(run.end(), 2, run.errors)
        self.assertIn("node left (10.77.0.2): the head listens on 127.0.0.1", run.errors)


class OverSsh(OnNodes, unittest.TestCase):
    kind = place.LoopbackSsh

    def test_a_host_that_does_not_answer_is_named(self):
        run = self.start(extra=["--set", 'executor.config.nodes=["left", "nowhere.invalid"]'])
        self.assertEqual(run.end(), 5, run.errors)
        self.assertIn("node nowhere.invalid: ssh ended with code 255", run.errors)
        self.expect_nothing_left(run)


if __name__ == "__main__":
    be_alone()
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--plugin-dir", required=True)
    arguments, rest = parser.parse_known_args()
    arguments.prefix, arguments.plugin_dir = map(os.path.abspath, (arguments.prefix, arguments.plugin_dir))
    unittest.main(argv=[sys.argv[0], *rest])
