"""Proves that check_includes.py finds what it is there to find: a checker that never fails checks nothing."""
import tempfile
import unittest
from pathlib import Path

import check_includes


class CheckIncludes(unittest.TestCase):
    def complaints(self, path, text):
        """What is said of a tree that holds this one file (and the headers it may name)."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / path
            file.parent.mkdir(parents=True)
            file.write_text(text + "\n")
            return check_includes.check_tree(Path(folder))[1]

    def refuses(self, path, text, *words):
        found = self.complaints(path, text)
        self.assertEqual(len(found), 1, found)
        for word in (f"{path}:1:", *words):
            self.assertIn(word, found[0])

    def accepts(self, path, text):
        self.assertEqual(self.complaints(path, text), [])

    def test_arrows_that_hold(self):
        self.accepts("core/config/config.cpp", '#include "core/config/config.h"\n#include <weft/status.h>\n#include <toml++/toml.h>')
        self.accepts("core/include/weft/a.h", '#include "weft/b.h"\n#include <tl/expected.hpp>\n#include <vector>')
        self.accepts("engine/model/decoder.cpp", '#include "text/tokenizer/tokenizer.h"')
        self.accepts("worker/worker.cpp", '#include "engine/engine.h"\n#include "core/wire/messages.pb.h"')
        self.accepts("frontend/batch/run.cpp", '#include "core/routing/router.h"\n#include "text/chat/template.h"')
        self.accepts("cli/run.cpp", '#include "frontend/batch/run.h"\n#include "worker/worker.h"')
        self.accepts("plugins/comm_gloo/store.cpp", '#include "plugins/comm_gloo/store.h"\n#include <gloo/context.h>')
        self.accepts("kernels/cpu/device.cpp", '#include "kernels/common/check.h"')
        self.accepts("kernels/cuda/device.cu", "#ifdef __CUDACC__\n#endif")

    def test_arrows_that_point_up(self):
        self.refuses("core/plan/plan.cpp", '#include "engine/engine.h"', "core may not include engine/engine.h")
        self.refuses("core/plan/plan.cpp", '#include "cli/main.h"', "core may not include cli/main.h")
        self.refuses("text/chat/chat.cpp", '#include "core/config/config.h"', "text may not include core/config/config.h")
        self.refuses("engine/engine.cpp", '#include "core/store/store.h"', "engine may not include core/store/store.h")
        self.refuses("engine/engine.cpp", '#include "worker/worker.h"')
        self.refuses("frontend/api/chat.cpp", '#include "engine/engine.h"')
        self.refuses("worker/worker.cpp", '#include "frontend/api/chat.h"')

    def test_a_plugin_sees_the_sdk_and_itself_only(self):
        self.refuses("plugins/executor_mp/spawn.cpp", '#include "core/plan/plan.h"', "it may include core/include")
        self.refuses("plugins/comm_shm/ring.cpp", '#include "plugins/comm_gloo/group.h"')
        self.refuses("kernels/cpu/device.cpp", '#include "kernels/reference/ops.h"')
        self.refuses("kernels/cpu/device.cpp", '#include "engine/engine.h"')

    def test_the_sdk_needs_nothing(self):
        self.refuses("core/include/weft/a.h", '#include "core/config/config.h"')
        self.refuses("core/include/weft/a.h", "#include <fmt/format.h>", "tl/expected")

    def test_headers_that_a_compiler_lacks(self):
        self.refuses("core/plan/plan.cpp", "#include <format>", "clang++ 14")

    def test_backend_macros_outside_their_folders(self):
        self.refuses("engine/engine.cpp", "#ifdef CUDA", "ask the interface")
        self.refuses("worker/worker.cpp", "#if defined(WEFT_WITH_NCCL)", "WEFT_WITH_NCCL")
        self.refuses("engine/math.cpp", "  #  if __AVX2__", "__AVX2__")

    def test_paths_that_lead_nowhere(self):
        self.refuses("core/plan/plan.cpp", '#include "plan.h"', "repository's root")
        self.refuses("misc/thing.cpp", "int x;", "no room")

    def test_a_header_beside_the_file(self):
        self.accepts("core/plan/plan.cpp", '#include "plan.cpp"')
        self.refuses("core/plan/plan.cpp", '#include "../../engine/engine.h"')

    def test_an_empty_tree_is_no_success(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(check_includes.main(["check", folder]), 1)


if __name__ == "__main__":
    unittest.main()
