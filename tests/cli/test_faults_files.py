#!/usr/bin/env python3
"""Every command with every system call on files failing, once and from then on: the exit code and
the message say what failed, each file is the old one or the new one. Interrupted calls and short
transfers change nothing."""

import errno
import itertools
import os
import unittest

import faults
from digits import FAILED

INTERRUPTED, SHORT = errno.EINTR, 0

# What each call is refused with; others with EIO and EACCES.
ERRORS = {
    "open": (errno.EMFILE, errno.EACCES, errno.EIO, errno.ENOMEM, INTERRUPTED),
    "read": (errno.EIO, INTERRUPTED, SHORT),
    "write": (errno.ENOSPC, errno.EIO, INTERRUPTED, SHORT),
    "writev": (errno.ENOSPC, errno.EIO, INTERRUPTED, SHORT),
    "fsync": (errno.EIO, errno.ENOSPC, INTERRUPTED),
    "close": (errno.EIO, INTERRUPTED),
    "rename": (errno.ENOSPC, errno.EIO),
    "mkdir": (errno.ENOSPC, errno.EACCES),
}
ERRORS["openat"] = ERRORS["open"]

FROM_THEN_ON = (errno.EIO, errno.ENOSPC)

ERROR_STREAM = "<2>"  # as tests/faults.c calls it


def plans(case, good):
    """What is to fail, from what the untouched run did."""
    names = {int(number): name for number, _, name, *_ in good.lines("call")}
    for n in faults.points(case, good):
        errors = ERRORS.get(names[n], (errno.EIO, errno.EACCES))
        for error in errors[:1] if case.long and not faults.ALL else errors:
            yield f"files {n} once {error}"
        for error in FROM_THEN_ON:
            yield f"files {n} on {error}"
    yield f"files 1 on {SHORT}"
    yield f"files 1 on {INTERRUPTED}"
    yield f"files 2 on {INTERRUPTED}"


@faults.add_cases
class Files(faults.FaultTest):
    kind = "files"

    def run_case(self, case):
        self.check(case, lambda good: plans(case, good))

    def judge(self, case, plan, good, bad):
        """What a failing call in particular must lead to."""
        _, _, when, error = plan.split()
        error = int(error)
        if error in (INTERRUPTED, SHORT):
            if bad.code != good.code:
                yield f"exit code {bad.code}, though nothing failed"
            if bad.err != good.err:
                yield "says something else, though nothing failed"
            return
        if bad.is_as(good):
            return
        _, name, path = bad.lines("failed")[0]
        codes = {*self.codes_for(case, path)}
        if when == "on":  # what failed first may have done no harm
            codes |= {FAILED, *itertools.chain(*case.reads.values())}
        if bad.code not in codes:
            yield f"exit code {bad.code}, not {sorted(codes)}"
        if path == ERROR_STREAM:
            return
        if os.strerror(error) not in bad.err:
            yield f"the message does not say '{os.strerror(error)}'"
        if "'" not in bad.err and "standard output" not in bad.err:
            yield "the message names no file"

    def codes_for(self, case, path):
        """The exit codes that go with a file."""
        path = path.split("/digits-faults-")[-1].partition("/")[2] if path[0] == "/" else path
        return next((codes for start, codes in case.reads.items()
                     if path.startswith(start) or path + "/" == start), (FAILED,))


if __name__ == "__main__":
    faults.main()
