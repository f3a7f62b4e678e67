"""Proves that check_files.py complains where it should and only there."""
import unittest

import check_files


class CheckFiles(unittest.TestCase):
    def test_bad_lines(self):
        for line in ("see /home/somebody/x", 'open("/work/data")', "// TODO: later", "x  ", "<<<<<<< HEAD"):  # hygiene: allow
            self.assertEqual(len(check_files.check_text("f", line + "\n")), 1, line)
        self.assertEqual(len(check_files.check_text("f", "no newline")), 1)
        self.assertEqual(len(check_files.check_text("f", "a\r\nb\n")), 1)

    def test_good_lines(self):
        for line in ("$HOME/work/x", "docs/work/plan.md", "../root/x", "a todo list", "", "x /* hygiene */"):
            self.assertEqual(check_files.check_text("f", line + "\n"), [], line)


if __name__ == "__main__":
    unittest.main()
