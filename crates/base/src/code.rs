//! The codes of errors, each with an entry in docs/errors.md.

/// Defines [`Code`], its names and the list of all, so that none can be left out.
macro_rules! codes {
    ($($(#[$about:meta])* $code:ident => $name:literal,)*) => {
        /// What kind of trouble an error is. Each has an entry in docs/errors.md, which `v6kit explain`
        /// prints: what the messages are, what causes it, what to do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$about])* $code,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$code,)*];

            /// Its name in messages and in the document, as in `no-route`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$code => $name,)*
                }
            }
        }
    };
}

codes! {
    /// What setup was to do at every boot could not be arranged: the file of wishes, a unit, or systemd stands against it.
    AtBoot => "at-boot",
    /// The server that verify asked does not answer with the caller's address: it refuses, redirects, sends a page, or its name cannot stand in a certificate.
    BadEndpoint => "bad-endpoint",
    /// `--expect`, `--block-pattern` or a field path is not in the form that is understood.
    BadExpectation => "bad-expectation",
    /// The file with the items cannot be read or unpacked, holds no item, or came from a pipe and is gone.
    BadList => "bad-list",
    /// What was given is not an IPv6 prefix that can be routed to a host: no length, host bits behind the length, an IPv4 network, too wide, or an address block of another kind.
    BadPrefix => "bad-prefix",
    /// A header or the method of a request is not valid HTTP, or is one that the connection sets by itself.
    BadRequest => "bad-request",
    /// The braces of a URL template are not closed, nest, or hold neither a range nor a set.
    BadTemplate => "bad-template",
    /// It is not a URL that can be fetched over IPv6: no scheme, another scheme than http and https, no host, an IPv4 address, a bad port, or a password inside.
    BadUrl => "bad-url",
    /// A value is not one that the option takes.
    BadValue => "bad-value",
    /// The device is a port of a bridge or bond, which takes the packets before anybody else sees them.
    BridgePort => "bridge-port",
    /// Another v6kit changes this host at the moment, or hangs; or programs that `v6kit setup … -- CMD` started still run.
    Busy => "busy",
    /// A control group of this process holds it below what the machine has: processor time (cpu.max), memory (memory.max) or tasks (pids.max). What runs into a ceiling is slowed down or killed without an error of its own.
    Ceiling => "ceiling",
    /// A certificate or key cannot be read, holds none in PEM form, does not belong together, or cannot be used.
    Certificate => "certificate",
    /// Another process crawls into the same directory.
    CrawlRunning => "crawl-running",
    /// The kernel takes no route on a device that is down.
    DeviceDown => "device-down",
    /// Less space is left than is to be kept free, or the disk reported that it is full or broken.
    DiskFull => "disk-full",
    /// A step of setup is not as setup left it: somebody changed it since, a firewall or network restart took it along, or the host was booted.
    Drifted => "drifted",
    /// This host itself drops packets of the prefix, or the answers to them: a rule of its own firewall, or another filter.
    DroppedHere => "dropped-here",
    /// The server that verify asked accepted the connection and then sent no complete answer.
    EndpointSilent => "endpoint-silent",
    /// Packets from the prefix leave this host and are refused or dropped on their way: by a firewall, or because the provider takes packets only from addresses that it gave out.
    Filtered => "filtered",
    /// A rule of this host's own firewall refuses the connection.
    Firewall => "firewall",
    /// The directory holds files that are not those of a crawl; v6kit does not mix its own with them.
    ForeignDirectory => "foreign-directory",
    /// The server's certificate is not trusted here, has expired, is for another name, or the server speaks no TLS 1.2 or 1.3.
    Handshake => "handshake",
    /// A line of the file with users is not `user:hash` with a hash that is slow to guess, or a user is named twice.
    Htpasswd => "htpasswd",
    /// A step without which nothing works cannot be done on this host, as in a container with a read-only /proc/sys.
    Impossible => "impossible",
    /// With the local route, every service that listens on [::] answers on every address of the prefix, and no rule keeps callers out.
    Inbound => "inbound",
    /// A signal ended the command.
    Interrupted => "interrupted",
    /// The name has A records only.
    Ipv4Only => "ipv4-only",
    /// The job directory cannot be made or opened.
    JobDirectory => "job-directory",
    /// The journal of setup cannot be read, written, or understood.
    Journal => "journal",
    /// A part of the lab could not be built; the message says which.
    Lab => "lab",
    /// The command given behind `--` is not there or cannot be run.
    LabCommand => "lab-command",
    /// The prefix covers the addresses that the lab gives its own links.
    LabPrefix => "lab-prefix",
    /// SQLite could not read or write the ledger of the crawl.
    Ledger => "ledger",
    /// The ledger holds something that v6kit did not write.
    LedgerDamaged => "ledger-damaged",
    /// The file with limits on open files cannot be read or written.
    LimitsFile => "limits-file",
    /// Nothing can listen there: the address is in use, is not one of this host, or its port is not permitted.
    Listen => "listen",
    /// The kernel has no memory left for sockets (`net.ipv4.tcp_mem`), or the control group is at its ceiling.
    Memory => "memory",
    /// The routing of this host has no way out for the prefix, leads it out by another device than it is set up on, or does not deliver what comes in for it.
    Misrouted => "misrouted",
    /// The kernel's routing interface did not answer, or refused a request.
    Netlink => "netlink",
    /// nft ran and failed, or printed something that is not understood.
    Nft => "nft",
    /// The prefix has no address that may be used: all are anycast, the host's own, or the gateway's.
    NoAddress => "no-address",
    /// The directory holds no crawl.
    NoCrawl => "no-crawl",
    /// There is no network device of that name.
    NoDevice => "no-device",
    /// The kernel, a seccomp profile or a security module keeps `v6kit exec` from seeing the connections of a program, or from binding its sockets.
    NoExec => "no-exec",
    /// The kernel was started without IPv6, it is switched off on a device that needs it, or no device has an address to leave the link with.
    NoIpv6 => "no-ipv6",
    /// The device has no link-local address (fe80::/10), which neighbour discovery and routing need.
    NoLinkLocal => "no-link-local",
    /// The name does not resolve, or no name server answered in time.
    NoName => "no-name",
    /// The kernel or its security module does not let this user make namespaces, which the lab consists of.
    NoNamespaces => "no-namespaces",
    /// Nobody solicits neighbours on such a link: it is point-to-point, or no Ethernet.
    NoNeighbours => "no-neighbours",
    /// nft is not installed or not on the PATH.
    NoNft => "no-nft",
    /// No answer comes back to the prefix. Either a router does not know that the prefix lies behind this host, or a filter discards packets without a word: from here the two look alike.
    NoReturn => "no-return",
    /// This system has no certificates of authorities to check servers against.
    NoRoots => "no-roots",
    /// This host has no route to the destination, or a router said that it has none.
    NoRoute => "no-route",
    /// Not even an address of its own gets this host to an endpoint: there is no default route, no name service, or nothing beyond the router.
    NoUplink => "no-uplink",
    /// This v6kit was built without a feature that the job needs, such as `parquet` for `--format parquet` and for directories whose records are tables. The static binaries of a release have all of them.
    NotBuiltIn => "not-built-in",
    /// A step of setup is not possible or not permitted here, or something that is not of v6kit stands against it. It was left out; `skipped` says that the rest works without it.
    NotDone => "not-done",
    /// The crawl was told to keep no records (`--store none`): there are none to be read, or to choose items by.
    NotKept => "not-kept",
    /// A capability is missing; the message says which.
    NotPermitted => "not-permitted",
    /// The prefix named is not one that setup has set up on this host.
    NotSetUp => "not-set-up",
    /// The router takes the prefix for one of its own link: it solicits each address instead of routing the prefix to this host.
    OnLink => "on-link",
    /// Every connection is an open file, and the limit of this process or of the system is reached.
    OpenFiles => "open-files",
    /// This host has no way out, or its prefix does not lead to it: nothing that was asked says anything about a site.
    OutOfService => "out-of-service",
    /// The directory holds a crawl with another description; going on would mix two jobs.
    OtherJob => "other-job",
    /// The state directory belongs to a setup in another network namespace.
    OtherNamespace => "other-namespace",
    /// The directory was written by a version of v6kit with another format.
    OtherVersion => "other-version",
    /// What is printed or logged cannot be written.
    Output => "output",
    /// Some addresses were answered only at the second try, though nothing stands in their way.
    PacketLoss => "packet-loss",
    /// A fault of v6kit itself.
    Panic => "panic",
    /// Connections to the server that verify asked come about and stall, and are answered in segments that fit into packets of 1280 bytes: larger packets are lost, and nobody tells this host so.
    PathMtu => "path-mtu",
    /// All source ports from this address to this destination are taken, or another program holds them without IP_BIND_ADDRESS_NO_PORT.
    Ports => "ports",
    /// The process could not give up the privileges that it does not need any more, so it did not go on.
    Privileges => "privileges",
    /// A router on the way, or a route of this host, refuses packets from this source address.
    Prohibited => "prohibited",
    /// The proxy does not connect to loopback, private and link-local addresses, nor to what its operator closed.
    ProxyDenied => "proxy-denied",
    /// Nothing moved on the connection, or its start took too long.
    ProxyIdle => "proxy-idle",
    /// A limit on connections, their rate, or bytes is reached: the proxy's own or the user's.
    ProxyLimit => "proxy-limit",
    /// The client asked for a source address that it may not choose, or that is reserved.
    ProxyPin => "proxy-pin",
    /// What the client sent is not a request that the proxy understands: not HTTP/1.1 or SOCKS5, no port, too long a head.
    ProxyRequest => "proxy-request",
    /// The destination accepted the connection and sent no valid HTTP response.
    ProxyUpstream => "proxy-upstream",
    /// User name or password are missing or wrong, or the name asks for something that it cannot have.
    ProxyUser => "proxy-user",
    /// The kernel gave no random numbers.
    Random => "random",
    /// A stored frame cannot be read back.
    RecordsDamaged => "records-damaged",
    /// Nothing listens on that port, or a firewall in front of it says so.
    Refused => "refused",
    /// The network has deprecated the address that the prefix belongs to, and has given out another.
    Renumbered => "renumbered",
    /// The other side, or something on the way, broke the connection off.
    Reset => "reset",
    /// The endpoint saw another address than the connection was made from: something on the way replaces source addresses or answers in the place of the endpoint.
    Rewritten => "rewritten",
    /// The router answered something that v6kit does not understand.
    RouterAnswer => "router-answer",
    /// The router has no space left for the files.
    RouterDiskFull => "router-disk-full",
    /// The script on the router failed; the message is what it said.
    RouterFailed => "router-failed",
    /// The prefix does not lie in the one that is to be followed.
    RouterFollow => "router-follow",
    /// The prefix covers the LAN's own; every host there would lose its addresses.
    RouterLan => "router-lan",
    /// The settings that are on the router are not valid, so its service refused them.
    RouterSettings => "router-settings",
    /// The site answers with refusals: the last answers failed by more than `--max-error-rate`, or it asked to stop.
    SiteRefused => "site-refused",
    /// A system call on a socket failed in a way that has no name of its own here.
    Socket => "socket",
    /// The kernel does not list this host's sockets, which ndp needs to know the addresses in use.
    SocketList => "socket-list",
    /// The kernel does not let the socket take an address that is not configured.
    SourceNotLocal => "source-not-local",
    /// ssh is not there, did not reach the router, or the connection broke.
    Ssh => "ssh",
    /// The state directory cannot be made or opened.
    StateDir => "state-dir",
    /// A step of setup failed, and everything done before it was undone.
    Step => "step",
    /// The summary of the last setup cannot be read or written.
    Summary => "summary",
    /// What stood between a program and the network died, so that the program was ended too: nothing may leave from another address.
    SupervisorGone => "supervisor-gone",
    /// A kernel setting cannot be read or set here.
    Sysctl => "sysctl",
    /// The system refused something that always works otherwise; the `why:` line says what.
    System => "system",
    /// A table of tracked connections has no room, or soon will not: new connections hang or are dropped while established ones go on.
    TableFull => "table-full",
    /// The system lets this process start no more threads.
    Thread => "thread",
    /// No answer came: packets are dropped on the way there or back, or the host is down.
    TimedOut => "timed-out",
    /// TLS cannot be set up with what is given.
    Tls => "tls",
    /// Whoever has the last link before the destination says that nobody there has the address: a router far away, or this host of its own link.
    Unreachable => "unreachable",
    /// Something below /proc or /etc cannot be read.
    Unreadable => "unreadable",
    /// The command line does not fit together.
    Usage => "usage",
}

impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
