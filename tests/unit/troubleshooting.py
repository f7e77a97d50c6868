#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
#
# contrib/doc/TROUBLESHOOTING.md has every sentence in which the program tells of an error or a warning: each
# format of log_err(), log_warn(), diag_set() in src/, and of log_event() with a message that is one. A message in
# the page is text between backticks with "…" for what differs; it has to be found in the sentence, and one that is
# found in no sentence of the program or the package is out of date.
#
# Usage: troubleshooting.py SOURCE-FOLDER
import glob
import re
import sys

ROOT = sys.argv[1]
LEAST = 8  # letters that a message needs to be told from others
CALL = re.compile(r"\b(log_err|log_warn|diag_set|tell|log_event|log_event_limited)\(")
STRING = r'"(?:[^"\\\n]|\\.)*"'
FORMAT = re.compile(rf"{STRING}(?:\s*(?:{STRING}|[A-Z][A-Z0-9_]+))*")


def read(path):
    with open(f"{ROOT}/{path}", encoding="utf-8") as file:
        return file.read()


def arguments(text, at):
    """What stands between the parenthesis that was opened before at and its end."""
    depth = 1
    for part in re.finditer(rf"{STRING}|[()]", text[at:]):
        depth += {"(": 1, ")": -1}.get(part.group(), 0)
        if depth == 0:
            return text[at:at + part.start()]
    raise ValueError("unbalanced parentheses")


def plain(literals):
    """A format as text: its conversions are "…"."""
    text = "".join(part[1:-1] if part[0] == '"' else "…"
                   for part in re.findall(rf"{STRING}|[A-Z][A-Z0-9_]+", literals))
    text = text.replace('\\"', '"').replace("\\n", " ")
    return re.sub(r"%[-+ #0]*[0-9*]*(?:\.[0-9*]+)?(?:hh|h|ll|l|z|j|t)?[a-zA-Z]", "…", text)


def warnings():
    """The MESSAGE_… of src/messages.c that are a warning or an error."""
    return set(re.findall(r"\[(MESSAGE_\w+)\] = \{\s*\"[0-9a-f]+\", \"[^\"]+\", LOG_(?:WARNING|ERR)",
                          read("src/messages.c")))


def sentences(serious):
    for path in sorted(glob.glob(f"{ROOT}/src/*.c")):
        text = read(path[len(ROOT) + 1:])
        for call in CALL.finditer(text):
            inside = arguments(text, call.end())
            if call.group(1).startswith("log_event") and not set(re.findall(r"MESSAGE_\w+", inside)) & serious:
                continue
            literals = FORMAT.search(inside)
            if literals and re.search(r"[A-Za-z]{3}", plain(literals.group())):
                yield path[len(ROOT) + 1:], plain(literals.group())


def messages(page):
    """Those of the first column of each table below the section "Starting"."""
    for line in page[page.index("\n## Starting"):].splitlines():
        if line.startswith("| `"):
            yield from re.findall(r"`([^`]+)`", line.split(" | ")[0])


def parts(message):
    return [part.strip() for part in message.split("…") if part.strip(" ;:,.()[]\"=")]


def letters(text):
    return len(re.findall(r"\w", text))


def found(message, sentence):
    """A short message is one for a sentence only that has no other words."""
    at = 0
    if letters(message) < LEAST and letters(message) != letters(sentence):
        return False
    for part in parts(message):
        at = sentence.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True


def main():
    page = read("contrib/doc/TROUBLESHOOTING.md")
    entries = list(messages(page))
    told = list(sentences(warnings()))
    # What is put together from words elsewhere, and what is no error: any text of the source will do.
    texts = "\n".join(plain(text) for path in glob.glob(f"{ROOT}/src/*.c")
                      for text in FORMAT.findall(read(path[len(ROOT) + 1:])))
    scripts = " ".join(read(f"contrib/{name}") for name in
                       ("docker-gate", "debian/prerm", "debian/postrm", "debian/postinst"))
    scripts = scripts.replace("${action}", "start") + scripts.replace("${action}", "restart")
    faults = [f"{path}: no entry for: {sentence}" for path, sentence in told
              if not any(parts(entry) and found(entry, sentence) for entry in entries)]
    faults += [f"no such sentence any more: {entry}" for entry in entries
               if parts(entry) and not all(part in texts for part in parts(entry))
               and not found(entry, scripts)]
    print(*sorted(set(faults)), sep="\n")
    print(f"{len(told)} sentences, {len(entries)} entries, {len(set(faults))} faults")
    sys.exit(bool(faults) or len(told) < 150 or len(entries) < 80)


main()
