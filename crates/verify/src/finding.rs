//! From what was seen to what is wrong.

use crate::evidence::{Evidence, Observation};
use crate::report::Diagnosis;

macro_rules! findings {
    ($($(#[$about:meta])* $name:ident: $diagnosis:ident <- [$($needed:ident),*] unless [$($against:ident),*],)*) => {
        /// What is said at the end. Several findings can have the same diagnosis.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Finding {
            $($(#[$about])* $name,)*
        }

        impl Finding {
            /// In the order in which they are looked at: what lies on this host comes before what lies behind it.
            const ORDER: &'static [Self] = &[$(Self::$name,)*];

            /// What has to have been seen, all of it, before it is named.
            #[cfg(test)]
            pub(crate) fn needs(self) -> &'static [Observation] {
                match self {
                    $(Self::$name => &[$(Observation::$needed,)*],)*
                }
            }

            /// What speaks against it: with any of these it is not named.
            #[cfg(test)]
            pub(crate) fn excluded_by(self) -> &'static [Observation] {
                match self {
                    $(Self::$name => &[$(Observation::$against,)*],)*
                }
            }

            /// Its name in the report.
            pub(crate) fn diagnosis(self) -> Diagnosis {
                match self {
                    $(Self::$name => Diagnosis::$diagnosis,)*
                }
            }

            const fn is_proved(self, evidence: Evidence) -> bool {
                match self {
                    $(Self::$name => {
                        const NEEDS: Evidence = Evidence::of(&[$(Observation::$needed,)*]);
                        const AGAINST: Evidence = Evidence::of(&[$(Observation::$against,)*]);
                        evidence.has_all(NEEDS) && !evidence.has_any(AGAINST)
                    })*
                }
            }
        }
    };
}

findings! {
    /// This host speaks no IPv6.
    Ipv6Off: NoIpv6 <- [Ipv6Off] unless [],
    /// This host does not take the prefix for its own.
    NotSetUp: NotSetUp <- [NotSetUp] unless [],
    /// This host replaces source addresses.
    TranslatedHere: Rewritten <- [LeftAsOther] unless [],
    /// Somebody on the way does.
    TranslatedOnTheWay: Rewritten <- [ToldOther, ToldOnTheWay, LeftUnchanged] unless [ToldImpossible, ToldThisHost, SomeTold, Cached],
    /// Somebody behind this host does, or answers in the endpoint's place.
    TranslatedBeyond: Rewritten <- [ToldOther, OwnTold, LeftUnchanged] unless [ToldImpossible, ToldThisHost, SomeTold, Cached],
    /// Somebody does, whose address lies on the way.
    TranslatedSomewhere: Rewritten <- [ToldOther, ToldOnTheWay] unless [ToldImpossible, ToldThisHost, SomeTold, Cached],
    /// Somebody does.
    Translated: Rewritten <- [ToldOther, OwnTold] unless [ToldImpossible, SomeTold, Cached, LeftUnchanged],
    /// The endpoint does not tell callers' addresses, or it is not known whether it does.
    DoesNotTell: BadEndpoint <- [ToldOther, AllAnswered] unless [],
    /// Nothing is wrong.
    Works: Ok <- [AllAnswered] unless [ToldOther],
    /// Large packets are lost.
    PathMtu: PathMtu <- [SmallPass] unless [],
    /// No name is resolved.
    NameServers: NoName <- [NamesFailed] unless [OwnAnswered, SomeAnswered],
    /// The endpoints do not tell addresses.
    Endpoint: BadEndpoint <- [EndpointOther] unless [OwnAnswered, SomeAnswered],
    /// The table of this host is full.
    TableFullHere: TableFull <- [TableFullHere] unless [],
    /// This host has nothing to make connections of.
    NotBegun: DroppedHere <- [NotBegun] unless [],
    /// This host's routing has no way out for the prefix.
    NoWayOut: Misrouted <- [NoWayOut] unless [SynsLeft],
    /// This host's routing has no way to the endpoint for anybody.
    NoWay: Misrouted <- [NoWay, OwnSilent] unless [SynsLeft, OwnAnswered, SomeAnswered, EndpointOther],
    /// This host's routing does not deliver what comes in.
    NotDelivered: Misrouted <- [AnswersArrived, NotDelivered] unless [],
    /// This host drops the answers.
    DroppedInbound: DroppedHere <- [AnswersArrived] unless [],
    /// This host refuses to send.
    RefusedHere: DroppedHere <- [RefusedHere] unless [SynsLeft, TurnedAway],
    /// The next hop of the prefix is not there.
    GatewaySilent: Misrouted <- [GatewaySilent] unless [SynsLeft, TurnedAway, OwnSilent],
    /// The next hop is not there for anybody on this host.
    GatewayAway: NoUplink <- [GatewaySilent, OwnSilent] unless [SynsLeft, TurnedAway, OwnAnswered, SomeAnswered, EndpointOther],
    /// This host drops what leaves.
    DroppedOutbound: DroppedHere <- [SynsHeld] unless [SynsLeft, TurnedAway, GatewaySilent],
    /// Somebody refuses the prefix and not the host's own address.
    RefusedBeyond: Filtered <- [Refused, OwnAnswered] unless [SomeAnswered],
    /// The endpoint does not tell addresses of the prefix theirs.
    TurnedAway: BadEndpoint <- [TurnedAway] unless [],
    /// A router or firewall forbids the prefix, and says so.
    Forbidden: Filtered <- [Forbidden] unless [],
    /// A router says that it has no route for the prefix's packets.
    NoRouteBeyond: Filtered <- [NoRouteSaid] unless [OwnSilent],
    /// Answers come later than they may.
    TooLate: NoReturn <- [AnswersLate] unless [],
    /// A table on the way looks full.
    TableLooksFull: TableFull <- [NewHang] unless [],
    /// The router asks for each address, and is answered.
    AnsweredInVain: OnLink <- [Solicited, Advertised] unless [],
    /// The router asks for each address.
    OnLink: OnLink <- [Solicited] unless [],
    /// Nobody answers this host at all.
    NoUplink: NoUplink <- [OwnSilent] unless [OwnAnswered, SomeAnswered, EndpointOther],
    /// The network has given up the prefix.
    Renumbered: Renumbered <- [Deprecated, OwnAnswered] unless [SomeAnswered],
    /// The prefix leaves by another device than it is set up on.
    OtherWayOut: Misrouted <- [OtherWayOut, OwnAnswered] unless [SomeAnswered],
    /// Connections are filtered on the way.
    FilteredBeyond: Filtered <- [WayBack, SynsLeft, AnswersMissing] unless [SomeAnswered],
    /// Connections are filtered, on the way or here.
    FilteredSomewhere: Filtered <- [WayBack, OwnAnswered] unless [SomeAnswered],
    /// What leaves is not answered.
    NoReturn: NoReturn <- [SynsLeft, AnswersMissing] unless [],
    /// Nothing is answered, and nothing more is known.
    NoAnswer: NoReturn <- [] unless [],
}

/// The first finding that is proved. The last one needs nothing and says nothing.
pub(crate) fn find(evidence: Evidence) -> Finding {
    Finding::ORDER
        .iter()
        .copied()
        .find(|finding| finding.is_proved(evidence))
        .unwrap_or(Finding::NoAnswer)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeMap;

    use super::*;
    use Observation as Saw;

    fn named(observations: &[Observation]) -> Finding {
        find(Evidence::of(observations))
    }

    /// What each finding claims, said once more without the table: who is accused of what takes this to be true.
    fn is_justified(finding: Finding, saw: &dyn Fn(Observation) -> bool) -> bool {
        // Nothing but a change of sources explains what the endpoint told.
        let replaced = || {
            saw(Saw::ToldOther)
                && (saw(Saw::OwnTold) || saw(Saw::ToldOnTheWay))
                && !saw(Saw::ToldImpossible)
                && !saw(Saw::SomeTold)
                && !saw(Saw::Cached)
        };
        let beyond =
            || replaced() && saw(Saw::LeftUnchanged) && !saw(Saw::ToldThisHost) && !saw(Saw::LeftAsOther);
        match finding {
            Finding::Ipv6Off => saw(Saw::Ipv6Off),
            Finding::NotSetUp => saw(Saw::NotSetUp),
            Finding::TranslatedHere => saw(Saw::LeftAsOther),
            Finding::TranslatedOnTheWay => beyond() && saw(Saw::ToldOnTheWay),
            Finding::TranslatedBeyond => beyond() && saw(Saw::OwnTold),
            Finding::TranslatedSomewhere => replaced() && saw(Saw::ToldOnTheWay) && !saw(Saw::ToldThisHost),
            Finding::Translated => replaced() && saw(Saw::OwnTold) && !saw(Saw::LeftUnchanged),
            Finding::DoesNotTell => saw(Saw::ToldOther) && saw(Saw::AllAnswered) && !saw(Saw::LeftAsOther),
            Finding::Works => saw(Saw::AllAnswered) && !saw(Saw::ToldOther),
            Finding::PathMtu => saw(Saw::SmallPass),
            Finding::NameServers => saw(Saw::NamesFailed) && !saw(Saw::OwnAnswered),
            Finding::Endpoint => saw(Saw::EndpointOther) && !saw(Saw::OwnAnswered),
            Finding::TableFullHere => saw(Saw::TableFullHere),
            Finding::NoWayOut => saw(Saw::NoWayOut) && !saw(Saw::SynsLeft),
            Finding::NotBegun => saw(Saw::NotBegun),
            Finding::NoWay => saw(Saw::NoWay) && saw(Saw::OwnSilent) && !saw(Saw::SynsLeft),
            Finding::NoRouteBeyond => saw(Saw::NoRouteSaid) && !saw(Saw::OwnSilent),
            Finding::NotDelivered => saw(Saw::AnswersArrived) && saw(Saw::NotDelivered),
            Finding::DroppedInbound => saw(Saw::AnswersArrived) && !saw(Saw::NotDelivered),
            Finding::RefusedHere => saw(Saw::RefusedHere) && !saw(Saw::SynsLeft),
            Finding::GatewaySilent => saw(Saw::GatewaySilent) && !saw(Saw::SynsLeft),
            Finding::GatewayAway => {
                saw(Saw::GatewaySilent)
                    && saw(Saw::OwnSilent)
                    && !saw(Saw::SynsLeft)
                    && !saw(Saw::EndpointOther)
            }
            Finding::DroppedOutbound => saw(Saw::SynsHeld) && !saw(Saw::GatewaySilent) && !saw(Saw::SynsLeft),
            Finding::RefusedBeyond => saw(Saw::Refused) && saw(Saw::OwnAnswered) && !saw(Saw::SomeAnswered),
            Finding::TurnedAway => saw(Saw::TurnedAway),
            Finding::Forbidden => saw(Saw::Forbidden),
            Finding::TooLate => saw(Saw::AnswersLate) && !saw(Saw::AnswersArrived),
            Finding::TableLooksFull => saw(Saw::NewHang),
            Finding::AnsweredInVain => saw(Saw::Solicited) && saw(Saw::Advertised),
            Finding::OnLink => saw(Saw::Solicited) && !saw(Saw::Advertised),
            Finding::NoUplink => saw(Saw::OwnSilent) && !saw(Saw::OwnAnswered) && !saw(Saw::EndpointOther),
            Finding::Renumbered => saw(Saw::Deprecated) && saw(Saw::OwnAnswered),
            Finding::OtherWayOut => saw(Saw::OtherWayOut),
            Finding::FilteredBeyond => {
                saw(Saw::WayBack)
                    && saw(Saw::SynsLeft)
                    && saw(Saw::AnswersMissing)
                    && !saw(Saw::AnswersArrived)
            }
            Finding::FilteredSomewhere => saw(Saw::WayBack) && saw(Saw::OwnAnswered),
            Finding::NoReturn => saw(Saw::SynsLeft) && saw(Saw::AnswersMissing) && !saw(Saw::AnswersArrived),
            Finding::NoAnswer => !saw(Saw::AllAnswered),
        }
    }

    /// Where it was seen that the fault lies here, nobody else is accused.
    fn accuses_nobody_else(finding: Finding, saw: &dyn Fn(Observation) -> bool) -> bool {
        let held =
            || saw(Saw::SynsHeld) && !saw(Saw::SynsLeft) && !saw(Saw::TurnedAway) && !saw(Saw::GatewaySilent);
        !ABOUT_OTHERS.contains(&finding.diagnosis())
            || !(saw(Saw::AnswersArrived) || saw(Saw::NotSetUp) || held())
    }

    /// Findings whose sentence names somebody other than this host as the one who drops, lacks or forbids.
    const ABOUT_OTHERS: [Diagnosis; 4] = [
        Diagnosis::Filtered,
        Diagnosis::NoReturn,
        Diagnosis::OnLink,
        Diagnosis::NoUplink,
    ];

    /// What is seen and what is not; of the rest either can be.
    #[derive(Clone, Copy, Default)]
    struct Partly {
        seen: Evidence,
        unseen: Evidence,
    }

    impl Partly {
        fn knows(self, observation: Observation) -> Option<bool> {
            match (self.seen.has(observation), self.unseen.has(observation)) {
                (true, _) => Some(true),
                (_, true) => Some(false),
                _ => None,
            }
        }

        /// With one more that is seen, and with one more that is not.
        fn both(self, observation: Observation) -> [Self; 2] {
            let one = Evidence::of(&[observation]);
            [
                Self {
                    seen: self.seen.and(one),
                    ..self
                },
                Self {
                    unseen: self.unseen.and(one),
                    ..self
                },
            ]
        }

        /// What `question` answers in every set of evidence that is such, or an observation that decides.
        fn decides(
            self,
            question: impl Fn(&dyn Fn(Observation) -> bool) -> bool,
        ) -> Result<bool, Observation> {
            let open = Cell::new(None);
            let answer = question(&|observation| {
                self.knows(observation).unwrap_or_else(|| {
                    open.set(open.get().or(Some(observation)));
                    false
                })
            });
            open.get().map_or(Ok(answer), Err)
        }

        /// The finding in every set of evidence that is such, or an observation that decides.
        fn finding(self) -> Result<Finding, Observation> {
            for finding in Finding::ORDER {
                let needed = finding.needs().iter().map(|one| (one, true));
                let against = finding.excluded_by().iter().map(|one| (one, false));
                let mut open = None;
                let mut refuted = false;
                for (observation, wanted) in needed.chain(against) {
                    match self.knows(*observation) {
                        Some(known) => refuted |= known != wanted,
                        None => open = open.or(Some(*observation)),
                    }
                }
                match open {
                    _ if refuted => {}
                    Some(observation) => return Err(observation),
                    None => return Ok(*finding),
                }
            }
            unreachable!("the last finding needs nothing");
        }
    }

    /// Looks at every set of evidence there can be, those together that nothing tells apart.
    fn look_at_all(partly: Partly, named: &mut BTreeMap<usize, Finding>) {
        let decided = partly.finding().and_then(|finding| {
            let justified = partly.decides(|saw| is_justified(finding, saw))?;
            let fair = partly.decides(|saw| accuses_nobody_else(finding, saw))?;
            Ok((finding, justified && fair))
        });
        match decided {
            Err(observation) => partly
                .both(observation)
                .into_iter()
                .for_each(|one| look_at_all(one, named)),
            Ok((finding, right)) => {
                let most = Evidence::everything().without(partly.unseen);
                assert!(right, "{finding:?} from {:?} to {most:?}", partly.seen);
                assert_eq!([find(partly.seen), find(most)], [finding, finding]);
                named.insert(finding as usize, finding);
            }
        }
    }

    #[test]
    fn in_no_combination_of_evidence_is_a_finding_named_without_what_it_needs() {
        let mut named = BTreeMap::new();
        look_at_all(Partly::default(), &mut named);
        assert_eq!(named.len(), Finding::ORDER.len(), "a finding that is never made");
    }

    #[test]
    fn an_endpoint_that_tells_nobody_its_address_accuses_nobody() {
        let all = [Saw::AllAnswered, Saw::ToldOther, Saw::OwnAnswered];
        let told = |more: &[Observation]| find(Evidence::of(&all).and(Evidence::of(more)));
        for more in [
            &[][..],
            &[Saw::LeftUnchanged],
            &[Saw::ToldImpossible, Saw::LeftUnchanged, Saw::OwnTold],
            &[Saw::SomeTold, Saw::OwnTold, Saw::LeftUnchanged],
            &[Saw::Cached, Saw::OwnTold, Saw::ToldThisHost],
            &[Saw::ToldThisHost, Saw::OwnTold, Saw::LeftUnchanged],
        ] {
            assert_eq!(told(more), Finding::DoesNotTell, "{more:?}");
        }
        assert_eq!(told(&[Saw::OwnTold]), Finding::Translated);
        assert_eq!(told(&[Saw::OwnTold, Saw::ToldThisHost]), Finding::Translated);
        assert_eq!(
            told(&[Saw::OwnTold, Saw::LeftUnchanged]),
            Finding::TranslatedBeyond
        );
        assert_eq!(
            told(&[Saw::ToldOnTheWay, Saw::LeftUnchanged]),
            Finding::TranslatedOnTheWay
        );
        assert_eq!(told(&[Saw::ToldOnTheWay]), Finding::TranslatedSomewhere);
        assert_eq!(
            told(&[Saw::LeftAsOther, Saw::ToldImpossible]),
            Finding::TranslatedHere
        );
    }

    #[test]
    fn what_this_host_does_is_named_before_what_others_may_do() {
        let held = [Saw::OwnAnswered, Saw::SynsHeld, Saw::AnswersMissing];
        assert_eq!(named(&held), Finding::DroppedOutbound);
        let arrived = [Saw::OwnAnswered, Saw::SynsLeft, Saw::AnswersArrived, Saw::WayBack];
        assert_eq!(named(&arrived), Finding::DroppedInbound);
        let elsewhere = [
            Saw::OwnAnswered,
            Saw::SynsLeft,
            Saw::AnswersArrived,
            Saw::NotDelivered,
        ];
        assert_eq!(named(&elsewhere), Finding::NotDelivered);
        assert_eq!(
            named(&[Saw::OwnAnswered, Saw::NoWayOut, Saw::RefusedHere]),
            Finding::NoWayOut
        );
    }

    #[test]
    fn silence_alone_accuses_nobody() {
        assert_eq!(named(&[]), Finding::NoAnswer);
        assert_eq!(named(&[Saw::OwnAnswered]), Finding::NoAnswer);
        let silence = [Saw::OwnAnswered, Saw::SynsLeft, Saw::AnswersMissing];
        assert_eq!(named(&silence), Finding::NoReturn);
        assert_eq!(named(&[Saw::OwnSilent]), Finding::NoUplink);
    }

    #[test]
    fn an_endpoint_that_answers_something_else_is_never_out_of_reach() {
        let other = [Saw::EndpointOther, Saw::OwnSilent];
        assert_eq!(named(&other), Finding::Endpoint);
        let refused = [Saw::OwnAnswered, Saw::TurnedAway, Saw::Forbidden];
        assert_eq!(named(&refused), Finding::TurnedAway);
    }

    #[test]
    fn a_full_table_explains_what_is_missing_and_makes_nothing_wrong_that_works() {
        assert_eq!(
            named(&[Saw::TableFullHere, Saw::RefusedHere]),
            Finding::TableFullHere
        );
        assert_eq!(named(&[Saw::TableFullHere, Saw::AllAnswered]), Finding::Works);
        assert_eq!(named(&[Saw::NewHang, Saw::SomeAnswered]), Finding::TableLooksFull);
    }

    #[test]
    fn a_host_without_an_own_address_is_judged_by_the_prefix() {
        assert_eq!(named(&[Saw::OwnSilent, Saw::AllAnswered]), Finding::Works);
        assert_eq!(named(&[Saw::OwnSilent, Saw::Solicited]), Finding::OnLink);
        assert_eq!(named(&[Saw::OwnSilent, Saw::SomeAnswered]), Finding::NoAnswer);
    }

    #[test]
    fn the_documentation_lists_what_each_finding_needs() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/verify.md");
        let document = std::fs::read_to_string(path).expect("docs/verify.md");
        for finding in Finding::ORDER {
            let list = |observations: &[Observation]| {
                let texts: Vec<&str> = observations.iter().map(|one| one.text()).collect();
                match texts.as_slice() {
                    [] => "nothing".to_owned(),
                    texts => texts.join("; "),
                }
            };
            let row = format!(
                "| `{}` | {} | {} |",
                finding.diagnosis(),
                list(finding.needs()),
                list(finding.excluded_by())
            );
            assert!(document.contains(&row), "docs/verify.md lacks the row\n{row}");
        }
    }
}
