"""Fetches items 1 to N, one after the other, each by a connection of its own, and counts the answers by status.

usage: one_by_one.py 'https://api.example.org/items/{}' N
The proxy is that of the environment: https_proxy, http_proxy.
"""

import collections
import sys
import urllib.error
import urllib.request

url, count = sys.argv[1], int(sys.argv[2])
statuses = collections.Counter()
for item in range(1, count + 1):
    try:
        with urllib.request.urlopen(url.format(item)) as answer:
            answer.read()
            statuses[answer.status] += 1
    except urllib.error.HTTPError as refusal:
        statuses[refusal.code] += 1
for status, answers in sorted(statuses.items()):
    print(f"{status}: {answers}")
