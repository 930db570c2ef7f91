#!/usr/bin/env python3
"""gltop's screen on a made-up program: keys, sizes, and every way out.

Usage: terminal_test.py MADE_UP_GLTOP [TEST ...]
"""

import os
import re
import signal
import sys

from terminal import Terminal, check, finish

PROGRAM = sys.argv[1]


def shows_a_program():
    with Terminal() as t:
        t.start(PROGRAM)
        t.wait_for(r"gltop shop 4242 shop --port 80")
        t.wait_for(r"Greenlets 40 .*1 running +32 suspended +4 unstarted +3 finished")
        t.wait_for(r"Switches 7.2k/s +Copied 1.0M/s")
        t.wait_for(r"Torn reads 2 of \d+ so far")
        t.wait_for(r"ID NAME +STATE +THREAD? .*SW/S. .*TOP FRAME|ID NAME +STATE .*SW/S.*TOP FRAMES")
        t.wait_for(r"39 connection-39 +suspended .*vector<Order>::sort")
        t.wait_for(r'greenlet 39 "connection-39", suspended, waiting for timer 39, spawned by 1')
        t.wait_for(r"#3 inlined +Session::serve at session.cpp:12")
        t.wait_for(r"^truncated: no unwind information in shop at 0x405000")
        t.wait_for(r"F1Help +F10Quit")
        check(t.state("alternate_on") == "1", "on the alternate screen")
        check(t.state("cursor_flag") == "0", "without a cursor")
        t.keys("q")
        t.expect_end(0)


def selection_follows_its_greenlet():
    with Terminal() as t:
        t.start(PROGRAM)
        t.wait(lambda: (t.selected() or "").startswith("39 "), "the busiest greenlet selected")
        t.keys("Down", "Down", "Down")
        t.wait(lambda: (t.selected() or "").startswith("36 "), "greenlet 36 selected")
        before = re.search(r"so far", t.screen())
        check(before, "a header")
        t.keys("I")  # the idlest first: 36 moves down
        t.wait(lambda: (t.selected() or "").startswith("36 "), "36 still selected in the other order")
        t.wait_for(r'greenlet 36 "connection-36"')
        torn = re.search(r"of ([\d,]+) so far", t.screen()).group(1)
        t.wait(lambda: re.search(r"of ([\d,]+) so far", t.screen()).group(1) != torn, "another sample")
        check((t.selected() or "").startswith("36 "), "36 still selected in the next sample")
        t.keys("Home")
        t.wait(lambda: not (t.selected() or "").startswith("36 "), "the first row selected")
        t.keys("End")
        t.wait(lambda: (t.selected() or "").startswith("39 "), "the last row selected")
        t.keys("PPage")
        t.wait(lambda: not (t.selected() or "").startswith("39 "), "a page further up")
        t.keys("q")
        t.expect_end(0)


def chooses_frames():
    with Terminal() as t:
        t.start(PROGRAM)
        t.wait_for(r"^#4 .* handle_connection at ")
        t.keys("p")
        t.wait_for(r"^#4 .* interpreter_loop at ")
        t.keys("p")
        t.wait_for(r"^#4 .* handler.py at ")
        t.keys("p")
        t.wait_for(r"^#4 .* handle_connection at ")
        t.keys("q")
        t.expect_end(0)


def sorts():
    with Terminal() as t:
        t.start(PROGRAM)
        t.wait_for(r"^ +39 ")
        t.keys("F6")
        t.wait_for(r"^Sort by")
        t.wait(lambda: (t.selected() or "").startswith("SW/S"), "the present column chosen")
        t.keys("Home", "Enter")
        t.wait_for(r"ID. NAME")
        t.wait_for(r"TOP FRAMES.*\n +1 main")
        t.keys("I")
        t.wait_for(r"TOP FRAMES.*\n +40 ")
        t.keys(">")
        t.wait_for(r"NAME. ")
        t.keys("<", "<")
        t.wait_for(r"TOP FRAMES.")
        t.keys("s")
        t.wait_for(r"^Sort by")
        t.keys("Escape")
        t.wait_without(r"^Sort by")
        t.keys("q")
        t.expect_end(0)


def searches():
    with Terminal() as t:
        t.start(PROGRAM)
        t.wait_for(r"^ +39 ")
        t.keys("F3")
        t.wait_for(r"Search:")
        check(t.state("cursor_flag") == "1", "a cursor to type at")
        t.type("ECTION-2")
        t.wait(lambda: (t.selected() or "").startswith("29 "), "the first match selected while typing")
        t.type("7")
        t.wait(lambda: (t.selected() or "").startswith("27 "), "one more letter, another match")
        t.type("x")
        t.wait(lambda: (t.selected() or "").startswith("27 "), "no match: the selection stays")
        t.keys("BSpace", "BSpace", "F3")
        t.wait(lambda: (t.selected() or "").startswith("26 "), "F3 goes to the next match")
        t.keys("Enter")
        t.wait_without(r"Search:")
        t.keys("n")
        t.wait(lambda: (t.selected() or "").startswith("25 "), "n goes on")
        t.keys("N")
        t.wait(lambda: (t.selected() or "").startswith("26 "), "N goes back")
        t.type("/read_req")
        t.wait(lambda: (t.selected() or "").startswith("24 "), "found by a function")
        t.keys("Escape")
        t.wait_without(r"Search:")
        t.keys("q")
        t.expect_end(0)


def filters():
    with Terminal() as t:
        t.start(PROGRAM)
        t.wait_for(r"^ +39 ")
        t.keys("F4")
        t.type("wait_for_lock")
        t.wait_for(r"Filter: wait_for_lock")
        t.wait_without(r"^ +39 ")
        t.keys("Enter")
        t.wait_for(r"Filter wait_for_lock: \d of 40")
        t.keys("\\")
        t.type("zzz")
        t.wait_for(r": 0 of 40")
        t.wait_for(r"no greenlet")
        t.keys("Escape")
        t.wait_for(r"^ +39 ")
        t.keys("q")
        t.expect_end(0)


def backtrace_takes_keys():
    with Terminal(rows=20) as t:
        t.start(PROGRAM)
        t.wait_for(r"^greenlet 39 ")
        t.keys("Tab", "End")
        t.wait_for(r"^truncated:")
        t.keys("Enter")
        t.wait_without(r"TOP FRAMES")
        t.wait_for(r"^#0 .*\n#1 ")
        t.keys("Escape")
        t.wait_for(r"TOP FRAMES")
        t.keys("q")
        t.expect_end(0)


def helps_and_pauses():
    with Terminal() as t:
        t.start(PROGRAM)
        t.wait_for(r"F1Help")
        for key in ("F1", "?", "h"):
            t.keys(key)
            t.wait_for(r"gltop: help")
            t.keys("q")
            t.wait_without(r"gltop: help")
        t.wait_for(r"^greenlet 39 ")
        t.keys("Space")
        t.wait_for(r"PAUSED")
        torn = re.search(r"of ([\d,]+) so far", t.screen()).group(1)
        t.keys("Down")
        t.wait(lambda: (t.selected() or "").startswith("38 "), "keys work while paused")
        check(re.search(r"of ([\d,]+) so far", t.screen()).group(1) == torn, "no new sample while paused")
        t.keys("r")
        t.wait(lambda: re.search(r"of ([\d,]+) so far", t.screen()).group(1) != torn, "one sample on demand")
        t.keys("Z")
        t.wait_without(r"PAUSED")
        t.keys("+")
        t.wait_for(r"every 500ms")
        t.keys("-", "-")
        t.wait_for(r"every 100ms")
        t.keys("q")
        t.expect_end(0)


def fits_every_size():
    with Terminal() as t:
        t.start(PROGRAM)
        t.wait_for(r"F1Help")
        for columns, rows in ((20, 5), (200, 60), (60, 12), (10, 2), (2, 1), (120, 8)):
            t.resize(columns, rows)
            if rows >= 5:
                t.wait(lambda r=rows: re.search(r"^ *\d+ ", t.screen(), re.M)
                       and t.lines()[r - 1].startswith("F1Help"), f"list and keys at {columns}x{rows}")
            t.keys("Down", "PPage", "Tab", "Tab", "End")
            check(t.state("pane_dead") in ("0", ""), "still running")
        t.resize(100, 30)
        t.wait_for(r"Torn reads")
        t.wait_for(r"F1Help")
        t.keys("q")
        t.expect_end(0)


def restores_the_terminal():
    with Terminal() as t:
        t.start(PROGRAM)
        t.wait_for(r"F1Help")
        t.keys("F10")
        t.expect_end(0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGSEGV, signal.SIGABRT,
                       signal.SIGBUS):
            t.start(PROGRAM)
            t.wait_for(r"F1Help")
            os.kill(t.pid(), number)
            t.expect_end(128 + number)
        for key, number in (("C-c", signal.SIGINT), ("C-\\", signal.SIGQUIT)):
            t.start(PROGRAM)
            t.wait_for(r"F1Help")
            t.keys(key)
            t.expect_end(128 + number)
        t.start(PROGRAM, "--crash-after", "3")
        t.expect_end(128 + signal.SIGSEGV)
        t.start(PROGRAM, "--throw-after", "3")
        t.expect_end(1)
        check("gltop: made up" in t.stderr(), "the exception is told after the screen was left")


def survives_being_stopped():
    with Terminal() as t:
        t.start(PROGRAM)
        t.wait_for(r"F1Help")
        for _ in range(2):
            t.keys("C-z")
            t.wait_for(r"Stopped")
            t.wait(lambda: t.state("alternate_on") == "0", "the shell's screen while stopped")
            t.wait(lambda: t.state("cursor_flag") == "1", "a cursor while stopped")
            t.keys("clear; fg", "Enter")
            t.wait_for(r"F1Help")
            t.wait(lambda: t.state("alternate_on") == "1", "gltop's screen after fg")
            t.keys("Down")
            t.wait(lambda: t.selected(), "keys work after fg")
        os.kill(t.pid(), signal.SIGSTOP)
        t.wait_for(r"Stopped")
        t.keys("clear; fg", "Enter")
        t.wait_for(r"F1Help")
        t.keys("q")
        t.wait_without(r"F1Help")
        t.wait(lambda: t.state("alternate_on") == "0", "left for good")


def tells_when_the_target_dies():
    with Terminal() as t:
        t.start(PROGRAM, "--fail-after", "3")
        t.wait_for(r"The process has exited; this is the last view of it")
        t.wait_for(r"^ +39 connection-39")
        t.keys("Down")
        t.wait_for(r'greenlet 38 "connection-38"')
        t.keys("q")
        t.expect_end(0)
        t.start(PROGRAM, "--fail-after", "3", "--lose-permission")
        t.wait_for(r"Cannot be read now: process 4242 has exited")
        t.wait_for(r"^ +39 connection-39")
        t.keys("q")
        t.expect_end(0)


def answers_keys_at_once():
    """Snapshots of 100,000 greenlets, a minute each, must not keep anybody waiting."""
    with Terminal() as t:
        t.start(PROGRAM, "--greenlets", "100000", "-d", "0.1")
        t.wait_for(r"Greenlets 100,000")
        t.keys("End", "Home", "NPage", "NPage")
        t.wait(lambda: t.selected(), "a selection")
        t.keys("/")
        t.type("connection-77777")
        t.wait_for(r'greenlet 77777 "connection-77777"')
        t.keys("Enter", "q")
        t.expect_end(0)
        t.start(PROGRAM, "--delay-ms", "100000")
        t.wait_for(r"Reading the process")
        t.keys("q")
        t.expect_end(0)


def refuses_unknown_terminals():
    with Terminal() as t:
        t.start(PROGRAM, environment="TERM=no-such-terminal")
        t.expect_end(1)
        check('"no-such-terminal" is not known' in t.stderr(), "names the terminal type: " + t.stderr())
        t.start(PROGRAM, environment="TERM=vt100")  # no colours
        t.wait_for(r"F1Help")
        t.keys("q")
        t.expect_end(0)


finish([shows_a_program, selection_follows_its_greenlet, chooses_frames, sorts, searches, filters, backtrace_takes_keys,
        helps_and_pauses, fits_every_size, restores_the_terminal, survives_being_stopped, tells_when_the_target_dies,
        answers_keys_at_once, refuses_unknown_terminals])
