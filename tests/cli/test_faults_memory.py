#!/usr/bin/env python3
"""Every command with every allocation failing, once and from then on: it ends with exit code 1 and
says why, or nobody notices; nothing leaks, nothing is half written."""

import unittest

import faults
from digits import FAILED


@faults.add_cases
class Memory(faults.FaultTest):
    kind = "memory"

    def run_case(self, case):
        self.check(case, lambda good: [f"memory {n} {when} 0"
                                       for n in faults.points(case, good)
                                       for when in ("once", "on")])

    def judge(self, case, plan, good, bad):
        """What a failing allocation in particular must lead to."""
        if bad.is_as(good):
            return
        if bad.code != FAILED:
            yield f"exit code {bad.code}"
        if "memory" not in bad.err:
            yield "does not say that memory ran out"


if __name__ == "__main__":
    faults.main()
