//! What was seen, as a set. What was not seen and what could not be looked at are both absent: nothing follows from
//! either, so that a finding that needs the opposite of something needs an observation of that opposite.

use std::fmt;

macro_rules! observations {
    ($($(#[$about:meta])* $name:ident: $text:literal,)*) => {
        /// Something that was seen.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Observation {
            $($(#[$about])* $name,)*
        }

        impl Observation {
            /// Every one.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What was seen, in words, as docs/verify.md has them.
            #[cfg(test)]
            pub(crate) fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

observations! {
    /// No IPv6 in the kernel, or switched off and no address left.
    Ipv6Off: "IPv6 is not there, or switched off with no address left",
    /// No local route covers the prefix, or sockets cannot bind to its addresses.
    NotSetUp: "no local route covers the prefix, or sockets cannot bind to it",
    /// The endpoint answered every address that was tried.
    AllAnswered: "the endpoint answered every address that was tried",
    /// The endpoint answered some of them and not others.
    SomeAnswered: "the endpoint answered some addresses and not others",
    /// The endpoint told another address than the connection was made from.
    ToldOther: "the endpoint told another address than the connection was made from",
    /// It told the host's own address as it is, each time that it was asked.
    OwnTold: "it told the host's own address as it is, each time",
    /// It told some addresses of the prefix as they are.
    SomeTold: "it told some addresses of the prefix as they are",
    /// What it told lies before it, or is a translation of each address.
    ToldOnTheWay: "what it told answers nearer than the endpoint does, or is each address with another prefix",
    /// What it told cannot be the source of a packet from here.
    ToldImpossible: "what it told cannot be the source of a packet that comes to it from elsewhere",
    /// What it told is an address of this host.
    ToldThisHost: "what it told is an address of this host",
    /// To the same question with another query it told the address.
    Cached: "to the same question with another query it told the address as it is",
    /// A connection from the prefix was seen to leave the device with another source address.
    LeftAsOther: "a connection of the prefix left the device with another source address",
    /// A connection that was told as another was seen to leave the device as it was made.
    LeftUnchanged: "a connection that was told as another left the device with its own source address",
    /// The endpoint answered the host's own address with an address.
    OwnAnswered: "the endpoint told the host's own address",
    /// The endpoints were asked from the host's own address, and nobody answered at all.
    OwnSilent: "no endpoint gave the host's own address any answer",
    /// Connections that stall are answered in small segments.
    SmallPass: "connections that stalled twice were answered in segments of 1220 bytes",
    /// No endpoint's name was resolved, because no name server gave an answer.
    NamesFailed: "no name server gave an answer, for any endpoint",
    /// An endpoint was reached from the host's own address, or is none that can be asked, and none told an address.
    EndpointOther: "no endpoint told an address: one was reached and answered something else, or has no name or certificate to be asked by",
    /// An endpoint, or somebody in its place, answered connections of the prefix with something else.
    TurnedAway: "connections of the prefix were answered, with something else than an address",
    /// Connections of the prefix left, and were refused.
    Refused: "connections of the prefix left the device, and were refused",
    /// Another host said by ICMPv6 that it forbids packets from the prefix.
    Forbidden: "another host said by ICMPv6 that it forbids packets from the prefix",
    /// Connections of the prefix left, and an ICMPv6 error "no route" came back.
    NoRouteSaid: "connections of the prefix left the device, and were answered by ICMPv6 that there is no route",
    /// This host refused to send (EPERM, an ICMPv6 error of its own, a refusal before anything left).
    RefusedHere: "this host itself refused packets from the prefix",
    /// This host's own table of tracked connections is full, and new connections hang.
    TableFullHere: "this host's table of tracked connections is full, and new connections hang",
    /// Every connection that failed did so before anything was sent: no descriptor, port or memory for it.
    NotBegun: "no connection that failed was begun: this host has no descriptor, port or memory for it",
    /// New connections hang, from the host's own address too, while an established one goes on.
    NewHang: "new connections of the host's own address hang while an established one goes on",
    /// The route look-up from the prefix finds no way to the endpoint, and the one from the own address does.
    NoWayOut: "the route look-up with a source of the prefix finds no way, the one without it or with another address of this host does",
    /// The look-up finds none for anybody on this host, although there is a default route.
    NoWay: "the route look-up finds no way for any address of this host, although there is a default route",
    /// The look-up from the prefix ends on another device than the one that the prefix is set up on.
    OtherWayOut: "the look-up with a source of the prefix ends on another device than it is set up on",
    /// The next hop of the look-up from the prefix does not answer neighbour solicitations.
    GatewaySilent: "the next hop for the prefix does not answer neighbour solicitations",
    /// The connections of all addresses that were not answered were seen to leave the device.
    SynsLeft: "the connections that got no answer were seen to leave the device",
    /// None of them was, although there is a way whose next hop is known, or was never asked for.
    SynsHeld: "none of them was seen to leave, although there is a way whose next hop is known, or was never asked for",
    /// Answers to addresses that got none were seen to arrive on the device, in time.
    AnswersArrived: "answers were seen to arrive on the device, and did not reach their connections",
    /// No answer was seen to arrive while it was looked for.
    AnswersMissing: "no answer was seen to arrive on the device",
    /// Answers came, later than a connection may take.
    AnswersLate: "answers reached their connections later than `--timeout` allows",
    /// The look-up for what comes in by the device does not deliver addresses of the prefix to this host.
    NotDelivered: "the look-up for what comes in by the device does not deliver the prefix here",
    /// Neighbour solicitations for unanswered addresses arrived.
    Solicited: "neighbour solicitations for addresses without an answer arrived",
    /// Neighbour advertisements for them left.
    Advertised: "neighbour advertisements for such addresses were seen",
    /// A router's answer found its way back to an address of the prefix, or an own address inside it was answered.
    WayBack: "an answer of a router found its way back to an address of the prefix",
    /// The prefix belongs to an address of this host that the network has deprecated.
    Deprecated: "the announced address that the prefix belongs to is deprecated, another one is not",
}

/// A set of observations.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Evidence(u64);

impl Evidence {
    /// A set of these.
    pub(crate) const fn of(observations: &[Observation]) -> Self {
        let mut bits = 0;
        let mut n = 0;
        while n < observations.len() {
            bits |= 1 << observations[n] as u32;
            n += 1;
        }
        Self(bits)
    }

    /// Every observation.
    #[cfg(test)]
    pub(crate) fn everything() -> Self {
        Self::of(Observation::ALL)
    }

    /// These and those.
    #[cfg(test)]
    pub(crate) const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// These without those.
    #[cfg(test)]
    pub(crate) const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Adds `observation` where it was `seen`.
    pub(crate) fn add_if(&mut self, seen: bool, observation: Observation) {
        if seen {
            self.0 |= Self::of(&[observation]).0;
        }
    }

    #[cfg(test)]
    pub(crate) const fn has(self, observation: Observation) -> bool {
        self.0 & (1 << observation as u32) != 0
    }

    pub(crate) const fn has_all(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    pub(crate) const fn has_any(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#b}", self.0)
    }
}
