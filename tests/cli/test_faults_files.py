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


def plans(case, good):
    """What is to fail, from what the untouched run did."""
    calls = {int(number): (name, path) for number, name, path in good.lines("call")}
    for n in faults.points(case, good.n_calls):
        name, path = calls[n]
        errors = ERRORS.get(name, (errno.EIO, errno.EACCES))
        for error in errors[:1] if case.long and not faults.ALL else errors:
            if not (error == INTERRUPTED and is_stream(path)):
                yield f"files {n} once {error}"
        for error in FROM_THEN_ON:
            yield f"files {n} on {error}"
    yield f"files 1 on {SHORT}"


def is_stream(path):
    """Standard output or standard error. The C library gives up what is to go there when a call is
    interrupted; the kernel restarts such calls for those who ask for it, as the program does. Nor
    does it keep the reason of a failure until the program asks for it, at its end."""
    return path.startswith("pipe:")


@faults.add_cases
class Files(faults.FaultTest):
    kind = "files"

    def run_case(self, case):
        self.check(case, lambda good: plans(case, good))

    def judge(self, case, plan, good, bad):
        """What a failing call in particular must lead to."""
        _, _, when, error = plan.split()
        error = int(error)
        if bad.code == good.code:
            return
        if error in (INTERRUPTED, SHORT):
            yield f"exit code {bad.code}, though nothing failed"
            return
        _, name, path = bad.lines("failed")[0]
        codes = {*self.codes_for(case, path)}
        if when == "on":  # what failed first may have done no harm
            codes |= {FAILED, *itertools.chain(*case.reads.values())}
        if bad.code not in codes:
            yield f"exit code {bad.code}, not {sorted(codes)}"
        if os.strerror(error) not in bad.err and not is_stream(path):
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
