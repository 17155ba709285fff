import json, sys
near, far = ([(who, bytes.fromhex(sent)) for who, sent in map(json.loads, open(name))] for name in sys.argv[1:3])
hellos = [(who, sent) for who, sent in far if sent.startswith(b"")]
assert len(hellos) >= 9, len(hellos)
for who, sent in hellos:
    assert who.startswith(sys.argv[3]), who
    # The bytes of the handshake, from the first on, are those that the client sent.
    assert sum(theirs.endswith(sent) for _, theirs in near) == 1, sent[:200].hex()
assert len({who for who, _ in hellos}) == len(hellos)
# Four programs, four fingerprints: lengths and cipher suites differ.
assert len({sent[43 + 1 + sent[43]:][:2] for _, sent in hellos}) >= 3
