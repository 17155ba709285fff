"""Asks Protego, an independent reader of robots.txt, what real and made-up files allow.

    robots_oracle.py prepare SDIST COUNT DIR   write DIR/hosts, DIR/robots/HOST/robots.txt and DIR/paths
    robots_oracle.py compare DIR PORT AGENT    read records on standard input, name what is judged otherwise
"""

import json
import pathlib
import random
import re
import sys
import tarfile

from protego import Protego

# What is not compared: files that a program would not get as text, and paths that are no paths.
PATH = re.compile(r"(?im)^\s*(?:dis)?allow\s*:\s*(/[!-\"$-~]*)")
DELAY = re.compile(r"(?im)^(\s*crawl-delay\s*:).*$")


def real(sdist, count):
    """Every so-manieth file of the collection, so that the same ones are taken each time."""
    with tarfile.open(sdist) as archive:
        members = sorted((m for m in archive if "/tests/test_data/" in m.name and m.isfile()), key=lambda m: m.name)
        for member in members[:: max(1, len(members) // count)]:
            yield archive.extractfile(member).read()


def made_up(count):
    """Groups in all orders, rules that overlap, wildcards, ends, escapes, odd spellings."""
    draw = random.Random(9309)
    # Nor does it count a star at the end, which ties with other rules then.
    parts = ["/", "/a", "/a/", "/a/b", "/A", "/*/b", "/*.gif$", "/a$", "/%61/", "/a%2Fb", "/ä", "/a?q=", "/*?", "/a/*/c$"]
    # Protego takes any beginning of a name for the name, so none begins another here.
    agents = ["*", "v6kit", "V6Kit", "Googlebot", "other", "bingbot"]
    for _ in range(count):
        lines = []
        for _ in range(draw.randint(1, 4)):
            lines += [draw.choice(["User-agent: ", "user-agent:", "USER-AGENT : "]) + draw.choice(agents) for _ in range(draw.randint(1, 2))]
            for _ in range(draw.randint(0, 5)):
                lines.append(draw.choice(["Allow: ", "Disallow: ", "disallow:", "ALLOW:\t"]) + draw.choice(parts + [""]) + draw.choice(["", "", " # why"]))
            lines += draw.choice([[], [""], ["# a remark"], ["Sitemap: http://example.org/map"], ["Noise"]])
        yield draw.choice(["\n", "\r\n"]).join(lines).encode()


def paths(text):
    """Paths that the rules of a file are about, hit and missed narrowly."""
    seen = {"/", "/a", "/a/b", "/x.gif", "/nothing/here"}
    for rule in PATH.findall(text)[:6]:
        plain = rule.rstrip("$").replace("*", "x")
        seen |= {plain, plain + "1", plain[:-1] or "/", plain.upper()}
    return sorted(path for path in seen if "#" not in path and "{" not in path and "}" not in path and "\\" not in path)


def prepare(sdist, count, directory):
    directory = pathlib.Path(directory)
    files = [*real(sdist, int(count)), *made_up(150)]
    with open(directory / "hosts", "w") as hosts, open(directory / "paths", "w") as listed:
        for number, body in enumerate(files):
            # Nobody waits in a test. A byte order mark is no part of the first line, which Protego does not know.
            text = DELAY.sub(r"\1 0", body.decode("utf-8-sig", "replace"))
            host = f"r{number}.test"
            place = directory / "robots" / host
            place.mkdir(parents=True)
            (place / "robots.txt").write_text(text, newline="")
            hosts.write(f"::1 {host}\n")
            listed.writelines(f"{host}{path}\n" for path in paths(text))


def compare(directory, port, agent):
    rules, wrong, counts = {}, [], {True: 0, False: 0}
    for line in sys.stdin:
        record = json.loads(line)
        url = record["url"]
        host = url.split("/")[2].rsplit(":", 1)[0]
        if host not in rules:
            text = (pathlib.Path(directory) / "robots" / host / "robots.txt").read_bytes().decode("utf-8", "replace")
            rules[host] = Protego.parse(text)
        allowed = record.get("error", {}).get("kind") != "robots"
        counts[allowed] += 1
        if allowed != rules[host].can_fetch(url.replace(f":{port}", ""), agent):
            wrong.append({"host": host, "url": url, "allowed": allowed})
    print(json.dumps({"allowed": counts[True], "refused": counts[False], "files": len(rules), "wrong": wrong}))


if __name__ == "__main__":
    {"prepare": prepare, "compare": compare}[sys.argv[1]](*sys.argv[2:])
